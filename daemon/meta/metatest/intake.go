package metatest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var importTests = map[string]func(*env){
	"a file of an object": func(e *env) {
		j := e.importJob()
		o := e.object("a", 7)
		since := e.lastEvent()
		done := e.recordImport(j, 0, o)
		e.same("entry", []any{done[0].UID, done[0].Outcome}, []any{o.UID, protocol.ImportImported})
		f, c := e.contentOf(o.UID)
		e.same("the file", []any{f.Name, f.Size, f.Digest == nil, f.ETag, f.CreatedAt.Time, f.CommittedAt.Time},
			[]any{"a", 7, true, o.ETag, o.ModifiedAt, e.clock.Now()})
		e.same("its bytes", []any{len(c.Extents), c.Extents[0].Key, c.Extents[0].XXH3 == nil}, []any{1, "@a", true})
		b := e.blob(c.Extents[0].Blob)
		e.same("its blob", []any{b.State, b.Origin, b.Size}, []any{meta.BlobLive, meta.OriginForeign, 7})
		e.same("events", e.kinds(since), []protocol.EventKind{protocol.EventFileCommitted})
		e.same("a digest job is due", e.dueOf(o.UID).DigestKnown, false)
		usage, err := e.db.Usage(e.ctx, alice)
		e.ok(err)
		e.same("usage", usage, meta.Usage{Bytes: 7, Files: 1})
		e.same("where the job is", string(e.job(j.ID).Checkpoint), `{"at":1}`)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"each object once": func(e *env) {
		j := e.importJob()
		o := e.object("a", 7)
		e.recordImport(j, 0, o)
		again := e.object("a", 7)
		done := e.recordImport(j, 1, again)
		e.same("entry", []any{done[0].UID, done[0].Outcome}, []any{o.UID, protocol.ImportAlready})
		known, err := e.db.ImportedFiles(e.ctx, alice, []string{o.From, "disk/none"})
		e.ok(err)
		e.same("known", []any{len(known), known[o.From].UID, known[o.From].Size}, []any{1, o.UID, 7})
		other := e.object("a", 7)
		other.Owner = bob
		e.same("another owner's", e.recordImport(j, 2, other)[0].Outcome, protocol.ImportImported)
		e.same("blobs", e.blobCount(), 1)
		e.ok(e.db.DeleteFile(e.ctx, alice, o.UID))
		done = e.recordImport(j, 3, again)
		e.same("after its deletion", []any{done[0].UID, done[0].Outcome}, []any{again.UID, protocol.ImportImported})
		list, err := e.db.Manifest(e.ctx, j.ID, 1, 2)
		e.ok(err)
		e.same("manifest", []any{len(list), list[0].Path, list[0].UID, list[1].UID}, []any{2, "a", o.UID, other.UID})
	},
	"an upload or put of an object that was imported meanwhile": func(e *env) {
		o := e.object("a", 7)
		n := e.newUpload("a")
		n.Imported = o.Imported
		u := e.begin(n)
		gen := e.record(u.UID, part(1, u.Blob, 0, 7))
		e.same("of an upload", []any{u.From, u.CreatedAt}, []any{o.From, o.ModifiedAt})
		e.recordImport(e.importJob(), 0, o)
		c := e.commitOf(u, gen, 1, 7, meta.Extent{Blob: u.Blob, Length: 7})
		c.From = u.From
		_, err := e.db.Commit(e.ctx, c)
		e.kind(err, protocol.KindConflict)
		shot := e.oneShot("a", 1, 7)
		shot.Imported = o.Imported
		_, err = e.db.PutFile(e.ctx, shot, nil)
		e.kind(err, protocol.KindConflict)
		e.ok(e.db.DeleteFile(e.ctx, alice, o.UID))
		f, err := e.db.PutFile(e.ctx, shot, nil)
		e.ok(err)
		e.same("its time", f.CreatedAt.Time, o.ModifiedAt)
	},
	"two imports of overlapping prefixes at once": func(e *env) {
		const count, page = 60, 7
		entries := func(job meta.LeasedJob, from int) func() error {
			objects := make([]meta.InPlace, 0, count-from)
			for i := from; i < count; i++ {
				objects = append(objects, e.object(fmt.Sprintf("%02d", i), 7))
			}
			return func() error {
				for first := 0; first < len(objects); first += page {
					some := objects[first:min(first+page, len(objects))]
					if _, err := e.db.RecordImport(meta.Fenced(e.ctx, job.Lease), job.ID, int64(first), entriesOf(some...), json.RawMessage(`{}`)); err != nil {
						return fmt.Errorf("in place from %d: %w", first, err)
					}
				}
				return nil
			}
		}
		copies := func(from int) func() error {
			var shots []meta.NewFile
			for i := from; i < count; i++ {
				shot := e.oneShot(fmt.Sprintf("%02d", i), byte(i+1), 7)
				shot.Imported = meta.Imported{From: "disk/" + shot.Name, ModifiedAt: e.clock.Now()}
				shots = append(shots, shot)
			}
			return func() error {
				for _, shot := range shots {
					_, err := e.db.PutFile(e.ctx, shot, nil)
					if err != nil && protocol.KindOf(err) != protocol.KindConflict {
						return fmt.Errorf("a copy of %s: %w", shot.Name, err)
					}
				}
				return nil
			}
		}
		jobs := []meta.LeasedJob{e.importJob(), e.importJob()}
		all := []func() error{entries(jobs[0], 0), entries(jobs[1], 20), copies(10), copies(0)}
		errs := make([]error, len(all))
		var wg sync.WaitGroup
		for i, do := range all {
			wg.Go(func() { errs[i] = do() })
		}
		wg.Wait()
		e.ok(errors.Join(errs...))
		var from []string
		for i := range count {
			from = append(from, fmt.Sprintf("disk/%02d", i))
		}
		files, err := e.db.ImportedFiles(e.ctx, alice, from)
		e.ok(err)
		e.same("files", len(files), count)
		usage, err := e.db.Usage(e.ctx, alice)
		e.ok(err)
		e.same("usage", usage, meta.Usage{Bytes: 7 * count, Files: count})
		for n, j := range jobs {
			list, err := e.db.Manifest(e.ctx, j.ID, 0, 100)
			e.ok(err)
			e.same("entries", len(list), count-20*n)
			for _, entry := range list {
				e.same(entry.Path, []any{entry.UID, entry.Outcome != protocol.ImportFailed}, []any{files["disk/"+entry.Path].UID, true})
			}
		}
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"a file that has expired gives way": func(e *env) {
		j := e.importJob()
		at := e.clock.Now().Add(time.Minute)
		expiring := func(name string) meta.InPlace {
			o := e.object(name, 7)
			o.ExpiresAt = &at
			return o
		}
		a, b, c := expiring("a"), expiring("b"), expiring("c")
		e.recordImport(j, 0, a, b, c)
		e.clock.Add(time.Hour)
		anew := e.object("a", 7)
		done := e.recordImport(j, 3, anew)
		e.same("in place", []any{done[0].UID, done[0].Outcome}, []any{anew.UID, protocol.ImportImported})
		shot := e.oneShot("b", 1, 7)
		shot.Imported = b.Imported
		_, err := e.db.PutFile(e.ctx, shot, nil)
		e.ok(err)
		n := e.newUpload("c")
		n.Imported = c.Imported
		u := e.begin(n)
		gen := e.record(u.UID, part(1, u.Blob, 0, 7))
		commit := e.commitOf(u, gen, 1, 7, meta.Extent{Blob: u.Blob, Length: 7})
		commit.From = u.From
		_, err = e.db.Commit(e.ctx, commit)
		e.ok(err)
		known, err := e.db.ImportedFiles(e.ctx, alice, []string{a.From, b.From, c.From})
		e.ok(err)
		e.same("known", []any{len(known), known[a.From].UID, known[b.From].UID, known[c.From].UID}, []any{3, anew.UID, shot.UID, u.UID})
		n0, err := e.db.ExpireFiles(e.ctx, e.clock.Now(), 10)
		e.ok(err)
		e.same("expired", n0, 3)
		e.sweepAll()
		_, content := e.contentOf(anew.UID)
		e.blobState(content.Extents[0].Blob, meta.BlobLive)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"a file that is let go": func(e *env) {
		j := e.importJob()
		o := e.object("a", 7)
		e.recordImport(j, 0, o)
		known, err := e.db.ImportedFiles(e.ctx, alice, []string{o.From})
		e.ok(err)
		f := known[o.From]
		e.same("known", []any{f.UID, f.Store, f.Key, f.Tag, f.CreatedAt}, []any{o.UID, o.Store, o.Key, o.Tag, o.ModifiedAt})
		e.ok(e.db.LetGoImported(e.ctx, bob, []protocol.UID{o.UID}))
		e.same("of nobody else's", e.recordImport(j, 1, e.object("a", 7))[0].Outcome, protocol.ImportAlready)
		e.ok(e.db.LetGoImported(e.ctx, alice, []protocol.UID{o.UID}))
		shot := e.oneShot("a", 1, 9)
		shot.Imported = o.Imported
		_, err = e.db.PutFile(e.ctx, shot, nil)
		e.ok(err)
		known, err = e.db.ImportedFiles(e.ctx, alice, []string{o.From})
		e.ok(err)
		e.same("the other one is", []any{known[o.From].UID, known[o.From].Store, known[o.From].Key, known[o.From].Tag}, []any{shot.UID, "", "", ""})
		_, c := e.contentOf(o.UID)
		e.same("the first is a file still", len(c.Extents), 1)
	},
	"the object of a foreign blob stays": func(e *env) {
		j := e.importJob()
		o := e.object("a", 7)
		e.recordImport(j, 0, o)
		_, c := e.contentOf(o.UID)
		e.ok(e.db.DeleteFile(e.ctx, alice, o.UID))
		doomed, err := e.db.Doomed(e.ctx, "", e.clock.Now(), nil, 10)
		e.ok(err)
		e.same("the sweep is told", []any{len(doomed), doomed[0].Origin}, []any{1, meta.OriginForeign})
		again := e.object("a", 9)
		e.recordImport(j, 1, again)
		e.ok(e.db.MarkGone(e.ctx, idsOf(doomed)))
		_, renewed := e.contentOf(again.UID)
		e.same("its new blob", []any{renewed.Extents[0].Blob == c.Extents[0].Blob, e.blob(renewed.Extents[0].Blob).Size}, []any{false, 9})
		e.blobState(renewed.Extents[0].Blob, meta.BlobLive)
	},
	"the state of the object": func(e *env) {
		j := e.importJob()
		o := e.object("a", 7)
		e.recordImport(j, 0, o)
		_, c := e.contentOf(o.UID)
		e.same("its tag", []any{c.Extents[0].Tag, e.blob(c.Extents[0].Blob).Tag}, []any{o.Tag, o.Tag})
		changed := e.object("a", 7)
		changed.Owner, changed.Tag = bob, "another"
		done := e.recordImport(j, 1, changed)
		e.same("another state, for another owner", []any{done[0].UID, done[0].Outcome}, []any{0, protocol.ImportFailed})
		e.ok(e.db.DeleteFile(e.ctx, alice, o.UID))
		doomed, err := e.db.Doomed(e.ctx, "", e.clock.Now(), nil, 10)
		e.ok(err)
		e.same("the sweep is told", []any{len(doomed), doomed[0].Tag}, []any{1, o.Tag})
	},
	"an adopted one": func(e *env) {
		j := e.importJob()
		a, b := e.object("a", 7), e.object("b", 7)
		a.Adopted = true
		e.recordImport(j, 0, a, b)
		_, ca := e.contentOf(a.UID)
		_, cb := e.contentOf(b.UID)
		e.same("origins", []any{e.blob(ca.Extents[0].Blob).Origin, e.blob(cb.Extents[0].Blob).Origin}, []any{meta.OriginAdopted, meta.OriginForeign})
		b.Adopted = true
		e.recordImport(j, 2, b)
		e.same("adopted later", e.blob(cb.Extents[0].Blob).Origin, meta.OriginAdopted)
		e.ok(e.db.DeleteFile(e.ctx, alice, a.UID))
		done := e.recordImport(j, 3, e.object("a", 7))
		e.same("while it is being deleted", []any{done[0].UID, done[0].Outcome}, []any{0, protocol.ImportFailed})
		e.sweepAll()
		done = e.recordImport(j, 4, e.object("a", 7))
		e.same("what is there later", done[0].Outcome, protocol.ImportImported)
	},
	"none in a store that is closed": func(e *env) {
		j := e.importJob()
		before := e.object("before", 7)
		e.recordImport(j, 0, before)
		e.ok(e.db.CloseStore(e.ctx, "disk", "other"))
		others := e.object("before", 7)
		others.Owner = bob
		done := e.recordImport(j, 1, e.object("a", 7), others, e.object("before", 7))
		e.same("a new one", []any{done[0].UID, done[0].Outcome}, []any{0, protocol.ImportFailed})
		e.same("another file of one that is there", []any{done[1].UID, done[1].Outcome}, []any{0, protocol.ImportFailed})
		e.same("a file that is there", []any{done[2].UID, done[2].Outcome}, []any{before.UID, protocol.ImportAlready})
		e.same("blobs", e.blobCount(), 1)
		e.ok(e.db.CloseStore(e.ctx, "other", "disk"))
		e.same("once it is open", e.recordImport(j, 4, e.object("a", 7))[0].Outcome, protocol.ImportImported)
	},
	"nothing": func(e *env) {
		o := e.object("empty", 0)
		e.recordImport(e.importJob(), 0, o)
		f, c := e.contentOf(o.UID)
		e.same("the file", []any{*f.Digest, len(c.Extents), e.blobCount()}, []any{protocol.DigestOf(nil), 0, 0})
	},
	"an object that has changed": func(e *env) {
		j := e.importJob()
		e.recordImport(j, 0, e.object("a", 7))
		other := e.object("a", 8)
		other.Owner = bob
		e.same("outcome", e.recordImport(j, 1, other)[0].Outcome, protocol.ImportFailed)
	},
	"beyond a quota nothing is recorded": func(e *env) {
		j := e.importJob()
		limit := int64(10)
		e.ok(e.db.SetQuota(e.ctx, alice, meta.Quota{Bytes: &limit}))
		a, b := e.object("a", 7), e.object("b", 7)
		_, err := e.db.RecordImport(e.ctx, j.ID, 0, entriesOf(a, b), json.RawMessage(`{}`))
		e.kind(err, protocol.KindQuotaExceeded)
		list, err := e.db.Manifest(e.ctx, j.ID, 0, 10)
		e.ok(err)
		e.same("recorded", []any{len(list), e.blobCount()}, []any{0, 0})
	},
	"only while the lease is the job's": func(e *env) {
		j := e.importJob()
		e.clock.Add(2 * lease)
		e.leaseAll(other, 10)
		_, err := e.db.RecordImport(meta.Fenced(e.ctx, j.Lease), j.ID, 0, entriesOf(e.object("a", 7)), json.RawMessage(`{}`))
		e.lost(err)
		e.same("blobs", e.blobCount(), 0)
	},
	"a manifest goes with its job": func(e *env) {
		j := e.importJob()
		for i := range 5 {
			e.recordImport(j, int64(i), e.object(fmt.Sprint(i), 7))
		}
		e.ok(e.db.EndJob(e.ctx, j.Lease, meta.JobOutcome{Result: meta.ResultDone}))
		e.clock.Add(time.Hour)
		_, err := e.db.Prune(e.ctx, e.clock.Now().Add(-2*time.Hour), 3)
		e.ok(err)
		e.same("while the job is known", e.entries(j.ID), 5)
		for range 3 {
			_, err := e.db.Prune(e.ctx, e.clock.Now(), 3)
			e.ok(err)
		}
		e.same("then", e.entries(j.ID), 0)
	},
	"a digest, and nothing equal": func(e *env) {
		o := e.object("a", 7)
		e.recordImport(e.importJob(), 0, o)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(o.UID), 5)))
		f, c := e.contentOf(o.UID)
		e.same("content", []any{*f.Digest, c.Extents[0].Key, f.ETag}, []any{protocol.Digest{5}, "@a", o.ETag})
		may, err := e.db.MayHave(e.ctx, alice, meta.ScopeOwner, 7, protocol.Fingerprint{5})
		e.ok(err)
		e.same("may be claimed, where others may change it", may, false)
	},
	"a digest that a content of ours has": func(e *env) {
		old, _ := e.put("old", 5, 7)
		o := e.object("a", 7)
		e.recordImport(e.importJob(), 0, o)
		_, before := e.contentOf(o.UID)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(o.UID), 5)))
		_, c := e.contentOf(o.UID)
		e.same("ours is kept", c.Extents[0].Blob, old.Blob)
		e.same("that of the object is offered", e.blob(before.Extents[0].Blob).Offered, true)
		e.sweepAll()
		e.blobState(old.Blob, meta.BlobLive)
		e.blobState(before.Extents[0].Blob, meta.BlobGone)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"a digest that a damaged content of ours has": func(e *env) {
		old, f := e.put("old", 5, 7)
		_, c := e.contentOf(f.UID)
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		o := e.object("a", 7)
		e.recordImport(e.importJob(), 0, o)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(o.UID), 5)))
		_, healed := e.contentOf(old.UID)
		e.same("healed", []any{healed.State, healed.Extents[0].Key}, []any{meta.ContentLive, "@a"})
	},
	"a digest that a content in another object has": func(e *env) {
		a, b := e.object("a", 7), e.object("b", 7)
		e.recordImport(e.importJob(), 0, a, b)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(a.UID), 5)))
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(b.UID), 5)))
		_, ca := e.contentOf(a.UID)
		_, cb := e.contentOf(b.UID)
		e.same("one content", []any{ca.ID, ca.Extents[0].Key}, []any{cb.ID, "@b"})
		e.sweepAll()
		done := e.recordImport(e.importJob(), 0, e.object("a", 7))
		e.same("is still its file", []any{done[0].UID, done[0].Outcome}, []any{a.UID, protocol.ImportAlready})
		known, err := e.db.ImportedFiles(e.ctx, alice, []string{a.From, b.From})
		e.ok(err)
		for _, o := range []meta.InPlace{a, b} {
			f := known[o.From]
			e.same("where the bytes of "+o.Name+" lie", []any{f.UID, f.Store, f.Key, f.Tag}, []any{o.UID, "disk", "@b", b.Tag})
		}
	},
	"what is put replaces what lies in an object": func(e *env) {
		o := e.object("a", 7)
		e.recordImport(e.importJob(), 0, o)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(o.UID), 5)))
		u, _ := e.put("x", 5, 7)
		_, c := e.contentOf(o.UID)
		e.same("blob", c.Extents[0].Blob, u.Blob)
		e.sweepAll()
	},
}

// importJob is a job that runs.
func (e *env) importJob() meta.LeasedJob {
	e.Helper()
	e.enqueue(meta.NewJob{})
	return e.leaseAll(one, 1)[0]
}

// object is one of alice's that lies in the store under a name of its own.
func (e *env) object(name string, size int64) meta.InPlace {
	uid := e.uid()
	return meta.InPlace{
		FileFields: meta.FileFields{Owner: alice, Name: name,
			Imported: meta.Imported{From: "disk/" + name, ModifiedAt: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)}},
		UID: uid, ETag: fmt.Sprintf(`"u%d"`, uid), Store: "disk", Key: "@" + name, Size: size, Tag: "as of " + name,
	}
}

func entriesOf(objects ...meta.InPlace) (entries []meta.ImportEntry) {
	for _, o := range objects {
		entries = append(entries, meta.ImportEntry{Path: o.Name, Size: o.Size, Make: &o})
	}
	return entries
}

func (e *env) recordImport(j meta.LeasedJob, first int64, objects ...meta.InPlace) []meta.ImportEntry {
	e.Helper()
	at := fmt.Sprintf(`{"at":%d}`, first+int64(len(objects)))
	done, err := e.db.RecordImport(meta.Fenced(e.ctx, j.Lease), j.ID, first, entriesOf(objects...), json.RawMessage(at))
	e.ok(err)
	return done
}

func (e *env) entries(job protocol.JobID) int {
	e.Helper()
	list, err := e.db.Manifest(e.ctx, job, 0, 100)
	e.ok(err)
	return len(list)
}
