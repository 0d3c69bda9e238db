package daemon_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/digest"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

const bs = protocol.BlockSize

// digests has a digest job look at what is due. It must not fail.
func (w *world) digests() { w.t.Helper(); w.digestsBy(w.t.Context(), w.digest) }

func (w *world) digestsBy(ctx context.Context, d *digest.Worker) {
	w.t.Helper()
	_, _, err := w.db.Enqueue(w.t.Context(), digest.Job())
	must(w.t, err)
	w.runDue(ctx, job.Handler{Kind: protocol.JobDigest, Do: d.Do})
	jobs, err := w.db.Jobs(w.t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 1, Kind: protocol.JobDigest})
	must(w.t, err)
	if jobs[0].State != protocol.JobDone && ctx.Err() == nil {
		w.t.Fatalf("the digest job is %s: %s", jobs[0].State, jobs[0].Error)
	}
}

// knows expects a file's sums to be those of data, or, without, not known.
func (w *world) knows(owner protocol.Owner, uid protocol.UID, data []byte, known bool) {
	w.t.Helper()
	f, err := w.files.File(w.t.Context(), owner, uid)
	must(w.t, err)
	sha, md := sha256.Sum256(data), md5.Sum(data)
	check := func(what string, got *string, sum []byte, known bool) {
		w.t.Helper()
		if known && (got == nil || *got != hex.EncodeToString(sum)) || !known && got != nil {
			w.t.Errorf("the %s of %s is %v, known should be %v", what, f.Name, got, known)
		}
	}
	check("SHA-256", f.SHA256, sha[:], known || len(data) <= bs)
	check("MD5", f.MD5, md[:], known || len(data) == 0)
	if f.Digest == nil || *f.Digest != digestOf(data) {
		w.t.Errorf("the digest of %s is %v", f.Name, f.Digest)
	}
}

func pngOf(width, height int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		panic(err) // memory takes it
	}
	return b.Bytes()
}

func TestDigestJob(t *testing.T) {
	for _, s := range []setup{{}, {mem: true}} {
		w := newWorld(t, s)
		type kept struct {
			uid  protocol.UID
			data []byte
		}
		var all []kept
		add := func(uid protocol.UID, data []byte) { all = append(all, kept{uid, data}) }
		for i, size := range []int{0, 1, 1000, bs, bs + 1, 2*protocol.MinPartSize + 7} {
			data := noise(byte(i), size)
			add(w.put("ann", fmt.Sprint("large", size), data), data)
			if size <= protocol.OneShotMax {
				data := noise(byte(100+i), size)
				add(w.putSmall("ann", fmt.Sprint("small", size), data), data)
			}
		}
		picture, text := pngOf(31, 17), []byte(strings.Repeat("text ", 1000))
		add(w.putSmall("ann", "picture", picture), picture)
		add(w.putSmall("ann", "text", text), text)
		for _, k := range all {
			w.knows("ann", k.uid, k.data, false)
		}
		w.digests()
		for _, k := range all {
			w.knows("ann", k.uid, k.data, true)
			w.reads("ann", k.uid, k.data)
		}
		types := map[string]string{}
		for _, k := range all[len(all)-3:] {
			f, err := w.files.File(t.Context(), "ann", k.uid)
			must(t, err)
			if types[f.Name] = "none"; f.MediaType != nil {
				types[f.Name] = *f.MediaType
			}
		}
		if types["picture"] != "image/png" || types["text"] != "text/plain; charset=utf-8" || types[fmt.Sprint("large", 2*protocol.MinPartSize+7)] != "none" {
			t.Errorf("types are %v", types)
		}
		if width, height, err := w.db.ImageSize(t.Context(), "ann", all[len(all)-2].uid); width != 31 || height != 17 || err != nil {
			t.Errorf("the picture is %dx%d, %v", width, height, err)
		}
		due, err := w.db.DueDigests(t.Context(), 10)
		if err != nil || len(due) != 0 {
			t.Errorf("still due are %v, %v", due, err)
		}
		jobs, err := w.db.Jobs(t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 1, Kind: protocol.JobDigest})
		must(t, err)
		if p := jobs[0].Progress; p == nil || p.Done < 2*protocol.MinPartSize || p.Note != fmt.Sprintf("%d files looked at", len(all)-2) {
			t.Errorf("it says %+v", p) // of nothing all was known
		}
		if w.committed != len(all) {
			t.Errorf("%d commits were told of %d", w.committed, len(all))
		}
		w.end()
	}
}

// What one owner's job found is the other's once his own has run, and no byte
// is read for that.
func TestDigestOfSharedContent(t *testing.T) {
	w := newWorld(t, setup{})
	data := noise(1, bs+1)
	ann := w.put("ann", "a", data)
	w.digests()
	bob, again := w.put("bob", "b", data), w.put("bob", "b2", data)
	w.knows("ann", ann, data, true)
	w.knows("bob", bob, data, false)
	w.pacing = func(context.Context) { t.Error("bytes were read") }
	w.digests()
	w.knows("bob", bob, data, true)
	w.knows("bob", again, data, true)
	w.end()
}

// Of files that share a content and are due together it is read once.
func TestDigestReadsAContentOnce(t *testing.T) {
	w := newWorld(t, setup{})
	data, blocks := noise(1, bs+1), 0
	ann, bob := w.put("ann", "a", data), w.put("bob", "b", data)
	w.pacing = func(context.Context) { blocks++ }
	w.digests()
	w.knows("ann", ann, data, true)
	w.knows("bob", bob, data, true)
	if blocks != 2 {
		t.Errorf("%d blocks were read", blocks)
	}
	w.end()
}

func TestDigestOfDamagedContent(t *testing.T) {
	w := newWorld(t, setup{})
	data, other := noise(1, 3*bs), noise(2, 10)
	bad, good := w.put("ann", "bad", data), w.putSmall("ann", "good", other)
	w.damage("ann", bad, 2*bs)
	w.digests()
	w.knows("ann", good, other, true)
	w.knows("ann", bad, data, false)
	err := w.read("ann", bad, &bytes.Buffer{})
	wantKind(t, err, protocol.KindContentCorrupt)
	w.put("ann", "bad", data) // heals it
	w.clocks.pass(59 * time.Minute)
	w.digests()
	w.knows("ann", bad, data, false)
	w.clocks.pass(time.Minute)
	w.digests()
	w.knows("ann", bad, data, true)
	w.end()
}

func TestDigestOfAContentThatGoesAway(t *testing.T) {
	w := newWorld(t, setup{})
	data, other := noise(1, 3*bs), noise(2, 10)
	gone, stays := w.put("ann", "gone", data), w.putSmall("ann", "stays", other)
	blocks := 0
	w.pacing = func(context.Context) {
		if blocks++; blocks == 2 {
			w.delete("ann", gone)
			w.round()
		}
	}
	w.digests()
	w.knows("ann", stays, other, true)
	w.end()
}

func TestDigestOfAContentThatMoves(t *testing.T) {
	w := newWorld(t, setup{})
	data := noise(1, 3*bs)
	uid := w.put("ann", "a", data)
	blocks := 0
	w.pacing = func(context.Context) {
		if blocks++; blocks == 2 {
			w.put("bob", "b", data) // wins
			w.round()               // and the old bytes are gone
		}
	}
	w.digests()
	w.knows("ann", uid, data, true)
	w.pacing = nil
	w.digests()
	w.end()
}

// commitUnknown is a put whose digest nobody computed.
func (w *world) commitUnknown(owner protocol.Owner, name string, data []byte) protocol.UID {
	w.t.Helper()
	u := w.begin(owner, name, data)
	must(w.t, w.sendParts(owner, u, data))
	parts, gen, err := w.db.Parts(w.t.Context(), owner, u.UID)
	must(w.t, err)
	c := meta.Commit{Owner: owner, UID: u.UID, Gen: gen, CommittedAt: w.clocks.Now(), Size: int64(len(data)), ETag: fmt.Sprintf(`"u%d"`, u.UID)}
	for _, p := range parts {
		c.Extents = append(c.Extents, meta.Extent{Blob: p.Blob, Store: p.Store, Key: p.Key, Offset: p.BlobOffset, Length: p.Length, XXH3: &p.XXH3})
	}
	_, err = w.db.Commit(w.t.Context(), c)
	must(w.t, err)
	return u.UID
}

func TestDigestThatWasNotKnown(t *testing.T) {
	w := newWorld(t, setup{instant: meta.ScopeOwner})
	data := noise(1, 2*protocol.MinPartSize+7)
	twin := w.put("bob", "twin", data)
	unknown := w.commitUnknown("ann", "a", data)
	_, err := w.files.Blocks(t.Context(), "ann", unknown)
	wantKind(t, err, protocol.KindDigestPending)
	w.digestsBy(t.Context(), digest.New(digest.Config{Meta: w.db, Read: w.files, Pace: pace.New(pace.Config{})})) // in no store for its own sake
	w.knows("ann", unknown, data, true)
	w.reads("ann", unknown, data)
	w.reads("bob", twin, data)
	if a, b := w.extentOf("bob", twin), w.extentOf("ann", unknown); a.Blob != b.Blob {
		t.Errorf("equal contents lie in blobs %d and %d", a.Blob, b.Blob)
	}
	f, err := w.files.File(t.Context(), "ann", unknown)
	must(t, err)
	if want := fmt.Sprintf(`"u%d"`, unknown); f.ETag != want {
		t.Errorf("the ETag became %s", f.ETag)
	}
	u := w.begin("ann", "again", data)
	if !u.Maybe {
		t.Error("it cannot be claimed")
	}
	_, err = w.claim("ann", u.UID, data)
	must(t, err)
	w.round()
	w.end()
}

// extentOf is the first of a file's.
func (w *world) extentOf(owner protocol.Owner, uid protocol.UID) meta.Extent {
	w.t.Helper()
	_, c, err := w.db.Content(w.t.Context(), owner, uid)
	must(w.t, err)
	return c.Extents[0]
}

func TestDigestThatWasNotKnownOfDamagedBytes(t *testing.T) {
	w := newWorld(t, setup{})
	data := noise(1, bs)
	uid := w.commitUnknown("ann", "a", data)
	w.damage("ann", uid, 5)
	w.digests()
	f, err := w.files.File(t.Context(), "ann", uid)
	must(t, err)
	if f.Digest != nil {
		t.Error("damaged bytes were given a digest")
	}
	wantKind(t, w.read("ann", uid, &bytes.Buffer{}), protocol.KindContentCorrupt)
	w.delete("ann", uid)
	w.round()
	w.end()
}

// Contents of stores that are not read are looked at once they are, those
// whose digest is not known at once.
func TestDigestsOfSomeStores(t *testing.T) {
	w := newWorld(t, setup{})
	in := func(stores ...string) *digest.Worker {
		return digest.New(digest.Config{Meta: w.db, Read: w.files, Stores: stores, Pace: pace.New(pace.Config{}), Logger: slog.New(slog.DiscardHandler)})
	}
	data, other, third := noise(1, bs+1), noise(2, bs+1), noise(3, bs+1)
	uid := w.put("ann", "a", data)
	for range 2 {
		w.digestsBy(t.Context(), in("elsewhere"))
		w.clocks.pass(24 * time.Hour)
	}
	w.knows("ann", uid, data, false)
	unknown := w.commitUnknown("ann", "b", other)
	w.digestsBy(t.Context(), in("elsewhere"))
	w.knows("ann", unknown, other, true)
	w.digestsBy(t.Context(), in("disk", "elsewhere"))
	w.knows("ann", uid, data, true)
	later := w.put("ann", "c", third)
	w.digestsBy(t.Context(), in())
	w.knows("ann", later, third, false)
	w.digestsBy(t.Context(), in("disk"))
	w.knows("ann", later, third, true)
	// Two nodes that are configured otherwise, which take the job in turn.
	reads, leaves := in("disk"), in()
	for seed := range byte(2) {
		data := noise(10+seed, bs+1)
		uid := w.put("ann", "of both", data)
		w.digestsBy(t.Context(), leaves)
		w.knows("ann", uid, data, false)
		w.digestsBy(t.Context(), reads)
		w.knows("ann", uid, data, true)
	}
	w.end()
}

// absent fails to read while it is away.
type absent struct {
	store.Backend
	away bool
}

func (a *absent) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	if a.away {
		return nil, errors.New("the network is down")
	}
	return a.Backend.Get(ctx, key, off, n)
}

func TestDigestsOfAStoreThatIsAway(t *testing.T) {
	var st *absent
	w := newWorld(t, setup{mem: true, wrap: func(b store.Backend) store.Backend { st = &absent{Backend: b}; return st }})
	data := noise(1, bs+1)
	uid := w.put("ann", "a", data)
	st.away = true
	w.digests()
	st.away = false
	w.digests()
	w.knows("ann", uid, data, false)
	w.clocks.pass(5 * time.Minute)
	w.digests()
	w.knows("ann", uid, data, true)
	w.end()
}

// A job that is ended goes on in the content that it was reading.
func TestDigestJobThatIsEnded(t *testing.T) {
	w := newWorld(t, setup{})
	data := append(pngOf(31, 17), noise(1, 6*bs)...)
	uid, other := w.put("ann", "a", data), w.putSmall("ann", "b", noise(2, 10))
	blocks, from := 0, 3
	run := func() {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.pacing = func(attempt context.Context) {
			if blocks++; blocks == from {
				cancel()
				<-attempt.Done()
				blocks-- // it is not read now
			}
		}
		q, err := job.New(job.Config{Meta: w.db, Alone: true, Holder: meta.JobHolder{Name: "one"}, Logger: slog.New(slog.DiscardHandler),
			Handlers: []job.Handler{{Kind: protocol.JobDigest, Do: w.digest.Do}}})
		must(t, err)
		_, _, err = w.db.Enqueue(t.Context(), digest.Job())
		must(t, err)
		if err := q.RunDue(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	for ; from <= 7; from++ {
		run()
		w.knows("ann", uid, data, false)
		if blocks != from-1 {
			t.Fatalf("%d blocks were read", blocks)
		}
	}
	from = 0
	w.put("bob", "a", data) // moves it
	run()
	w.knows("ann", uid, data, true)
	w.knows("ann", other, noise(2, 10), true)
	if blocks != 7+1 {
		t.Errorf("%d blocks were read", blocks)
	}
	if width, height, err := w.db.ImageSize(t.Context(), "ann", uid); width != 31 || height != 17 || err != nil {
		t.Errorf("the picture is %dx%d, %v", width, height, err)
	}
	w.end()
}

// What was kept of another content, or cannot be read, is as good as nothing.
func TestDigestJobWithAKeptPlaceThatIsNone(t *testing.T) {
	for _, kept := range []string{
		`{"content":99,"block":1,"sha256":"","md5":"","media_type":"x/y","width":1,"height":1}`,
		`{"content":1,"block":1,"sha256":"bm9uZQ==","md5":"","media_type":"x/y","width":1,"height":1}`, `{"no":"such field"}`, `7`,
	} {
		w := newWorld(t, setup{})
		data := noise(1, bs+1)
		uid := w.put("ann", "a", data)
		id, _, err := w.db.Enqueue(t.Context(), digest.Job())
		must(t, err)
		holder := meta.JobHolder{Name: "one"}
		lines, err := w.db.JobLines(t.Context(), holder, []protocol.JobKind{protocol.JobDigest})
		must(t, err)
		jobs, err := w.db.LeaseJobs(t.Context(), holder, lines[0], time.Minute, 1)
		must(t, err)
		must(t, w.db.EndJob(t.Context(), jobs[0].Lease, meta.JobOutcome{Result: meta.ResultSnoozed, Checkpoint: []byte(kept)}))
		w.digests()
		w.knows("ann", uid, data, true)
		if f, err := w.files.File(t.Context(), "ann", uid); err != nil || f.MediaType != nil {
			t.Errorf("with %s kept its type is %v, %v", kept, f.MediaType, err)
		}
		if j := w.jobOf(id); j.State != protocol.JobDone {
			t.Errorf("with %s kept the job is %s", kept, j.State)
		}
		w.end()
	}
}
