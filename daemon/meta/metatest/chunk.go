package metatest

import (
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var chunkTests = map[string]func(*env){
	"chunks come back whole and in order": func(e *env) {
		u := e.beginChunks("x")
		e.same("in chunks", []any{u.Chunks, u.InOrder.Next, len(u.InOrder.State), u.Blob}, []any{true, 1, 0, 0})
		e.clock.Add(time.Second)
		two, _ := e.chunk(u.UID, 2, 7, 2), e.chunk(u.UID, 1, 5, 1)
		parts, gen, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("gen", gen, 2)
		e.same("numbers", []any{len(parts), parts[0].Number, parts[1].Number}, []any{2, 1, 2})
		e.same("the second", []any{parts[1].Length, parts[1].Offset, parts[1].Blob, parts[1].Gen, *parts[1].MD5, parts[1].BootID, len(parts[1].Blocks)},
			[]any{7, 0, two.Blob, 1, [16]byte{2}, "boot", 1})
		got, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("touched, charged", []any{got.TouchedAt, got.Reserved, got.Gen}, []any{e.clock.Now(), 12, 2})
		e.blobState(two.Blob, meta.BlobLive)
		e.same("usage", e.usageNow().Bytes, 12)
		list, err := e.db.Uploads(e.ctx, alice, 10, 0)
		e.ok(err)
		e.same("listed in chunks", []any{len(list), list[0].Chunks}, []any{1, true})
	},
	"the same bytes again stay, others take their place": func(e *env) {
		u := e.beginChunks("x")
		first := e.chunk(u.UID, 1, 5, 1)
		again := e.newChunk(u.UID, 1, 5, 1)
		held, stays, err := e.db.RecordChunk(e.ctx, alice, u.UID, again)
		e.ok(err)
		e.same("stays", []any{stays, held.Blob, held.Gen}, []any{true, first.Blob, 1})
		e.blobState(again.Blob, meta.BlobWriting)
		e.ok(e.db.DropBlob(e.ctx, again.Blob))
		for what, change := range map[string]func(*meta.NewChunk){
			"another length":  func(c *meta.NewChunk) { c.Length = 6 },
			"another XXH3":    func(c *meta.NewChunk) { c.XXH3 = protocol.XXH3{9} },
			"another MD5":     func(c *meta.NewChunk) { c.MD5 = &[16]byte{9} },
			"another SHA-256": func(c *meta.NewChunk) { c.Blocks = []protocol.Block{{SHA256: [32]byte{9}}} },
			"another boot":    func(c *meta.NewChunk) { c.BootID = "next boot" },
		} {
			u := e.beginChunks("y")
			first := e.chunk(u.UID, 1, 5, 1)
			other := e.newChunk(u.UID, 1, 5, 1)
			change(&other)
			held, stays, err := e.db.RecordChunk(e.ctx, alice, u.UID, other)
			e.ok(err)
			e.same(what, []any{stays, held.Blob, held.Gen, e.blob(first.Blob).Offered}, []any{false, other.Blob, 2, true})
			parts, _, err := e.db.Parts(e.ctx, alice, u.UID)
			e.ok(err)
			e.same("one row", []any{len(parts), parts[0].Blob}, []any{1, other.Blob})
		}
	},
	"synced chunks of another boot stay": func(e *env) {
		u := e.beginChunks("x")
		first := e.chunk(u.UID, 1, 5, 1)
		e.ok(e.db.PartsSynced(e.ctx, u.UID, first.Blob, 1))
		again := e.newChunk(u.UID, 1, 5, 1)
		again.BootID = "next boot"
		_, stays, err := e.db.RecordChunk(e.ctx, alice, u.UID, again)
		e.ok(err)
		e.same("stays", stays, true)
	},
	"the MD5 goes on with chunks in order": func(e *env) {
		type step struct {
			n             protocol.PartNumber
			bytes         byte
			before, after string
			next          protocol.PartNumber
			state         string
		}
		for what, steps := range map[string][]step{
			"in order":                     {{1, 1, "", "a", 2, "a"}, {2, 2, "a", "b", 3, "b"}, {3, 3, "b", "c", 4, "c"}},
			"out of order":                 {{2, 2, "", "", 1, ""}, {1, 1, "", "a", 2, "a"}, {3, 3, "", "", 2, "a"}},
			"not hashed":                   {{1, 1, "", "", 1, ""}, {2, 2, "", "", 1, ""}},
			"the same again":               {{1, 1, "", "a", 2, "a"}, {2, 2, "a", "b", 3, "b"}, {1, 1, "", "a", 3, "b"}, {2, 2, "a", "b", 3, "b"}},
			"an earlier one by others":     {{1, 1, "", "a", 2, "a"}, {2, 2, "a", "b", 3, "b"}, {2, 9, "", "", 1, ""}, {3, 3, "b", "c", 1, ""}},
			"the first by others":          {{1, 1, "", "a", 2, "a"}, {2, 2, "a", "b", 3, "b"}, {1, 9, "", "z", 2, "z"}, {2, 8, "z", "y", 3, "y"}},
			"the first by others, unknown": {{1, 1, "", "a", 2, "a"}, {1, 9, "", "", 1, ""}},
			"a later one by others":        {{1, 1, "", "a", 2, "a"}, {3, 3, "", "", 2, "a"}, {3, 9, "", "", 2, "a"}, {2, 2, "a", "b", 3, "b"}},
			"hashed after what is no more": {{1, 1, "", "a", 2, "a"}, {1, 9, "", "z", 2, "z"}, {2, 2, "a", "b", 2, "z"}},
		} {
			u := e.beginChunks(what)
			for i, s := range steps {
				c := e.newChunk(u.UID, s.n, 5, s.bytes)
				c.Before, c.After = bytesOf(s.before), bytesOf(s.after)
				_, _, err := e.db.RecordChunk(e.ctx, alice, u.UID, c)
				e.ok(err)
				got, err := e.db.Upload(e.ctx, alice, u.UID)
				e.ok(err)
				if got.InOrder.Next != s.next || string(got.InOrder.State) != s.state {
					e.Fatalf("%s: after step %d it is %d and %q, want %d and %q", what, i+1, got.InOrder.Next, got.InOrder.State, s.next, s.state)
				}
			}
		}
	},
	"the MD5 has no bytes of a chunk that is gone": func(e *env) {
		for what, gone := range map[string]func(u meta.Upload, p meta.Part) error{
			"dropped": func(u meta.Upload, p meta.Part) error { return e.db.DropPart(e.ctx, u.UID, p.Number, p.Gen) },
			"lost":    func(u meta.Upload, p meta.Part) error { return e.db.LoseBlob(e.ctx, u.UID, p.Blob) },
		} {
			for n, want := range map[protocol.PartNumber]meta.InOrder{1: {Next: 1}, 2: {Next: 1}, 3: {Next: 3, State: []byte("b")}} {
				u := e.beginChunks(what)
				held := map[protocol.PartNumber]meta.Part{}
				for i, turn := range []string{"a", "b", ""} {
					c := e.newChunk(u.UID, protocol.PartNumber(i+1), 5, byte(i+1))
					c.Before, c.After = bytesOf([]string{"", "a", ""}[i]), bytesOf(turn)
					p, _, err := e.db.RecordChunk(e.ctx, alice, u.UID, c)
					e.ok(err)
					held[p.Number] = p
				}
				e.ok(gone(u, held[n]))
				got, err := e.db.Upload(e.ctx, alice, u.UID)
				e.ok(err)
				e.same(fmt.Sprintf("chunk %d %s", n, what), []any{got.InOrder.Next, string(got.InOrder.State)}, []any{want.Next, string(want.State)})
			}
		}
	},
	"what was refused changes nothing": func(e *env) {
		u := e.beginChunks("x")
		e.chunk(u.UID, 1, 5, 1)
		lost := e.newChunk(u.UID, 1, 6, 2)
		e.ok(e.db.DropBlob(e.ctx, lost.Blob))
		_, _, err := e.db.RecordChunk(e.ctx, alice, u.UID, lost)
		e.kind(err, protocol.KindStoreUnavailable)
		_, _, err = e.db.RecordChunk(e.ctx, bob, u.UID, e.newChunk(u.UID, 1, 6, 2))
		e.kind(err, protocol.KindNotFound)
		e.ok(e.db.SetQuota(e.ctx, alice, limit(10, -1, -1)))
		_, _, err = e.db.RecordChunk(e.ctx, alice, u.UID, e.newChunk(u.UID, 2, 6, 2))
		e.kind(err, protocol.KindQuotaExceeded)
		e.chunk(u.UID, 2, 5, 3)
		parts, gen, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("parts", []any{len(parts), gen, parts[0].Length, e.usageNow().Bytes}, []any{2, 2, 5, 10})
	},
	"parts and chunks are not of one upload": func(e *env) {
		u, other := e.beginChunks("x"), e.begin(e.newUpload("y"))
		_, err := e.db.RecordPart(e.ctx, alice, u.UID, e.newChunk(u.UID, 1, 5, 1).NewPart)
		e.kind(err, protocol.KindConflict)
		_, _, err = e.db.Part(e.ctx, alice, u.UID, 1)
		e.kind(err, protocol.KindConflict)
		_, _, err = e.db.RecordChunk(e.ctx, alice, other.UID, e.newChunk(other.UID, 1, 5, 1))
		e.kind(err, protocol.KindConflict)
		for _, uid := range []protocol.UID{u.UID, other.UID} {
			parts, gen, err := e.db.Parts(e.ctx, alice, uid)
			e.ok(err)
			e.same("parts", []any{len(parts), gen}, []any{0, 0})
		}
	},
	"chunks are merged": func(e *env) {
		u := e.beginChunks("x")
		two, one := e.chunk(u.UID, 2, 7, 2), e.chunk(u.UID, 1, 5, 1)
		replaced := e.chunk(u.UID, 3, 3, 3)
		three := e.chunk(u.UID, 3, 4, 4)
		c := e.mergeOf(u, 4, 16, meta.Extent{Blob: one.Blob, Length: 5, XXH3: &protocol.XXH3{1}}, meta.Extent{Blob: two.Blob, Length: 7, XXH3: &protocol.XXH3{2}},
			meta.Extent{Blob: three.Blob, Length: 4, XXH3: &protocol.XXH3{4}})
		stale := c
		stale.Gen--
		if _, err := e.db.Commit(e.ctx, stale); !isGenChanged(err) {
			e.Fatalf("got %v", err)
		}
		f, err := e.db.Commit(e.ctx, c)
		e.ok(err)
		e.same("file", []any{f.Size, f.Digest == nil, f.MD5 == nil, e.usageNow().Bytes}, []any{16, true, true, 16})
		_, mc := e.contentOf(u.UID)
		e.same("extents", []any{len(mc.Extents), mc.Extents[1].Blob, *mc.Extents[2].XXH3, mc.Refused}, []any{3, two.Blob, protocol.XXH3{4}, false})
		_, _, err = e.db.RecordChunk(e.ctx, alice, u.UID, e.newChunkOf(one.Blob, 1, 5, 1))
		e.kind(err, protocol.KindCommitted)
		e.sweepAll()
		e.blobState(replaced.Blob, meta.BlobGone)
		e.blobState(one.Blob, meta.BlobLive)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"an upload in chunks that is given up leaves nothing": func(e *env) {
		u := e.beginChunks("x")
		one := e.chunk(u.UID, 1, 5, 1)
		e.ok(e.db.AbortUpload(e.ctx, alice, u.UID))
		e.blobState(one.Blob, meta.BlobDoomed)
		e.same("usage", e.usageNow(), meta.Usage{})
		v := e.beginChunks("y")
		two := e.chunk(v.UID, 1, 5, 2)
		e.clock.Add(time.Hour)
		n, err := e.db.AbandonUploads(e.ctx, e.clock.Now(), 10)
		e.ok(err)
		e.same("abandoned", n, 1)
		e.blobState(two.Blob, meta.BlobDoomed)
	},
	"what did not come is not charged": func(e *env) {
		charged := func(u meta.Upload, what string, want int64) {
			e.Helper()
			got, err := e.db.Upload(e.ctx, alice, u.UID)
			e.ok(err)
			e.same(what, []any{got.Reserved, e.usageNow().Bytes}, []any{want, want})
		}
		ease := func(u meta.Upload, coming int64) {
			e.Helper()
			e.ok(e.db.EaseUpload(e.ctx, alice, u.UID, coming))
		}
		u := e.beginChunks("x")
		e.chunk(u.UID, 2, 5, 1)
		e.chunk(u.UID, 3, 7, 2)
		e.ok(e.db.ReserveUpload(e.ctx, alice, u.UID, 1000))
		ease(u, 988)
		charged(u, "all that is coming", 1000)
		ease(u, 1200)
		charged(u, "more than is charged", 1000)
		e.ok(e.db.EaseUpload(e.ctx, bob, u.UID, 0))
		charged(u, "another's", 1000)
		ease(u, 10)
		charged(u, "some", 22)
		ease(u, 0)
		charged(u, "nothing is coming", 12)
		e.ok(e.db.AbortUpload(e.ctx, alice, u.UID))
		ease(u, 0)
		e.same("aborted", e.usageNow().Bytes, 0)
		n := e.newUpload("y")
		n.Size = nil
		p := e.begin(n)
		e.record(p.UID, part(2, p.Blob, 5, 5))
		e.ok(e.db.ReserveUpload(e.ctx, alice, p.UID, 50))
		ease(p, 30)
		charged(p, "to the end of what is coming", 30)
		ease(p, 0)
		charged(p, "to the end of what is there", 10)
		sized := e.begin(e.newUpload("z"))
		before := e.usageNow()
		ease(sized, 0)
		e.same("of a known size", e.usageNow(), before)
		drifts, err := e.db.CheckQuotas(e.ctx)
		e.ok(err)
		e.same("drifts", len(drifts), 0)
	},
	"a lost chunk": func(e *env) {
		u := e.beginChunks("x")
		one, two := e.chunk(u.UID, 1, 5, 1), e.chunk(u.UID, 2, 5, 2)
		e.ok(e.db.LoseBlob(e.ctx, u.UID, one.Blob))
		e.ok(e.db.DropPart(e.ctx, u.UID, 2, two.Gen))
		parts, _, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("parts", len(parts), 0)
		e.blobState(one.Blob, meta.BlobDoomed)
		e.same("offered", e.blob(two.Blob).Offered, true)
	},
}

func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// beginChunks begins an upload of alice's in chunks.
func (e *env) beginChunks(name string) meta.Upload {
	e.Helper()
	n := e.newUpload(name)
	n.InPlace, n.Chunks = nil, true
	return e.begin(n)
}

// newChunk is chunk n in a blob of its own; which bytes it has b says.
func (e *env) newChunk(uid protocol.UID, n protocol.PartNumber, length int64, b byte) meta.NewChunk {
	e.Helper()
	blob, err := e.db.AddBlob(e.ctx, e.newBlob(length), uid)
	e.ok(err)
	return e.newChunkOf(blob, n, length, b)
}

func (e *env) newChunkOf(blob meta.BlobID, n protocol.PartNumber, length int64, b byte) meta.NewChunk {
	p := part(n, blob, 0, length)
	p.XXH3, p.MD5 = protocol.XXH3{b}, &[16]byte{b}
	return meta.NewChunk{NewPart: p}
}

func (e *env) chunk(uid protocol.UID, n protocol.PartNumber, length int64, b byte) meta.Part {
	e.Helper()
	held, stays, err := e.db.RecordChunk(e.ctx, alice, uid, e.newChunk(uid, n, length, b))
	e.ok(err)
	e.same("stays", stays, false)
	return held
}

// mergeOf is the commit of chunks, whose digest is not known.
func (e *env) mergeOf(u meta.Upload, gen, size int64, extents ...meta.Extent) meta.Commit {
	c := e.commitOf(u, gen, 0, size, extents...)
	c.Digest, c.Fingerprint, c.Blocks = nil, nil, nil
	return c
}

// usageNow is what alice has.
func (e *env) usageNow() meta.Usage {
	e.Helper()
	u, err := e.db.Usage(e.ctx, alice)
	e.ok(err)
	return u
}
