package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// bucket is a store with foreign objects, of which reading runs before each is
// read.
type bucket struct {
	*mem.Backend
	reading func(key store.Key)
}

func (b *bucket) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	if b.reading != nil {
		b.reading(key)
	}
	return b.Backend.Get(ctx, key, off, n)
}

// importWorld is a world with such a store beside its own; end ends it.
func importWorld(t *testing.T) (w *world, b *bucket, im *intake.Worker, end func()) {
	w = newWorld(t, setup{})
	b = &bucket{Backend: mem.New()}
	st := store.New("old", b, store.Options{Attempts: 1})
	must(t, st.Claim(t.Context(), "old", false))
	must(t, w.db.RememberStore(t.Context(), "old"))
	w.stores["old"] = st
	quiet := slog.New(slog.DiscardHandler)
	// The world counts what its own uploads do, one after the other.
	uploads := upload.New(upload.Config{Meta: w.db, Minter: w.minter, Store: w.stores["disk"], Stores: w.stores, BootID: "boot", Clock: w.clocks.Now, Logger: quiet})
	end = func() {
		must(t, uploads.Close())
		w.end()
	}
	w.importing = intake.Config{Meta: w.db, Uploads: uploads, Minter: w.minter, Stores: w.stores,
		Folders: map[string]string{"disk": w.root}, Data: w.dir, Now: w.clocks.Now, Logger: quiet}
	return w, b, w.intake(nil), end
}

// intake does imports into the world, in whose buckets other stores lie.
func (w *world) intake(others map[string][]string) *intake.Worker {
	c := w.importing
	c.Others = others
	return intake.New(c)
}

func (w *world) foreign(b *bucket, name, mediaType string, data []byte) {
	w.t.Helper()
	must(w.t, b.PutForeign(w.t.Context(), name, mediaType, data))
}

// imports runs an import once and gives its job and manifest.
func (w *world) imports(im *intake.Worker, a intake.Args) (meta.Job, map[string]meta.ImportEntry) {
	w.t.Helper()
	w.clocks.pass(time.Minute)
	args, err := json.Marshal(a)
	must(w.t, err)
	n, err := im.Request(w.t.Context(), job.Caller{Owner: "ann", All: true}, args)
	must(w.t, err)
	id, _, err := w.db.Enqueue(w.t.Context(), n)
	must(w.t, err)
	return w.goesOn(im, id)
}

func (w *world) goesOn(im *intake.Worker, id protocol.JobID) (meta.Job, map[string]meta.ImportEntry) {
	w.t.Helper()
	w.runDue(w.t.Context(), job.Handler{Kind: protocol.JobImport, Do: job.With(im.Do)})
	list, err := w.db.Manifest(w.t.Context(), id, 0, 10_000)
	must(w.t, err)
	entries := map[string]meta.ImportEntry{}
	for _, e := range list {
		if _, twice := entries[e.Path]; twice {
			w.t.Errorf("%s is there twice", e.Path)
		}
		entries[e.Path] = e
	}
	return w.jobOf(id), entries
}

func (w *world) outcome(entries map[string]meta.ImportEntry, path string, want protocol.ImportOutcome, why string) protocol.UID {
	w.t.Helper()
	e := entries[path]
	if e.Outcome != want || !strings.Contains(e.Error, why) || (e.UID != 0) != (want != protocol.ImportFailed) {
		w.t.Errorf("%s: %+v, want %s with %q", path, e, want, why)
	}
	return e.UID
}

func TestImportOfAStore(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprint("in place: ", inPlace), func(t *testing.T) {
			w, b, im, end := importWorld(t)
			defer end()
			large := noise(1, 3*protocol.MinPartSize+5)
			w.foreign(b, "a/b/large.bin", "application/x-large", large)
			w.foreign(b, "a/b/c/small.json", "", []byte("{}"))
			w.foreign(b, "a/bad\\name", "", []byte("x"))
			w.foreign(b, "a/empty", "text/plain", nil)
			w.foreign(b, "a/folder/", "", nil)
			w.foreign(b, "other", "", []byte("x"))
			w.clocks.set(time.Since(w.clocks.Now()) + time.Hour) // the objects are of now
			args := intake.Args{Source: "s3:old/a/b", InPlace: inPlace}
			j, entries := w.imports(im, args)
			if j.State != protocol.JobDone || len(entries) != 3 {
				t.Fatalf("job %+v, entries %v", j, entries)
			}
			uid := w.outcome(entries, "a/b/large.bin", protocol.ImportImported, "")
			w.outcome(entries, "a/b/c/small.json", protocol.ImportImported, "")
			w.outcome(entries, "a/bad\\name", protocol.ImportFailed, "backslash")
			f, c, err := w.db.Content(t.Context(), "ann", uid)
			must(t, err)
			found, err := b.Describe(t.Context(), "a/b/large.bin")
			must(t, err)
			if f.Name != "b/large.bin" || f.MediaType == nil || *f.MediaType != "application/x-large" || f.CreatedAt.UnixMilli() != found.Time.UnixMilli() ||
				f.Size != int64(len(large)) || (f.Digest == nil) != inPlace || (c.Extents[0].Store == "old") != inPlace {
				t.Errorf("file %+v in %+v", f, c.Extents)
			}
			w.digests()
			if f, _ = w.file("ann", uid); f.Digest == nil || *f.Digest != digestOf(large) {
				t.Errorf("digest %v", f.Digest)
			}
			w.reads("ann", uid, large)
			_, again := w.imports(im, args)
			if got := w.outcome(again, "a/b/large.bin", protocol.ImportAlready, ""); got != uid {
				t.Errorf("imported again as %s, was %s", got, uid)
			}
			_, all := w.imports(im, intake.Args{Source: "store:old/", InPlace: !inPlace})
			w.outcome(all, "a/b/large.bin", protocol.ImportAlready, "")
			w.outcome(all, "a/empty", protocol.ImportImported, "")
			w.outcome(all, "other", protocol.ImportImported, "")
			if _, drawn := all["a/folder/"]; drawn {
				t.Error("a folder that a console drew was imported")
			}
			w.delete("ann", uid)
			w.round()
			if _, err := b.Describe(t.Context(), "a/b/large.bin"); err != nil {
				t.Errorf("the object of a deleted file: %v", err)
			}
		})
	}
}

// TestImportOfWhatChanges: an object that vanishes or changes while it is copied
// is told and not made a file of; the next import makes it.
func TestImportOfWhatChanges(t *testing.T) {
	w, b, im, end := importWorld(t)
	defer end()
	large := noise(1, protocol.MinPartSize+5)
	for _, name := range []string{"changes", "gone", "grows"} {
		w.foreign(b, name, "", large)
	}
	w.foreign(b, "stays", "", []byte("x"))
	b.reading = func(key store.Key) {
		switch name, _ := key.Foreign(); name {
		case "changes":
			w.foreign(b, name, "", bytes.ToUpper(large))
		case "gone":
			must(t, b.Delete(t.Context(), key))
		case "grows":
			w.foreign(b, name, "", large[:100])
		}
	}
	j, entries := w.imports(im, intake.Args{Source: "s3:old"})
	if j.State != protocol.JobDone || j.Progress.Note != "3 failed" {
		t.Errorf("job %+v at %+v", j, j.Progress)
	}
	w.outcome(entries, "changes", protocol.ImportFailed, "changed")
	w.outcome(entries, "gone", protocol.ImportFailed, "vanished")
	w.outcome(entries, "grows", protocol.ImportFailed, "changed")
	w.outcome(entries, "stays", protocol.ImportImported, "")
	if list, err := w.db.Uploads(t.Context(), "ann", 10, 0); err != nil || len(list) > 0 {
		t.Errorf("uploads that are left: %+v, %v", list, err)
	}
	b.reading = nil
	_, entries = w.imports(im, intake.Args{Source: "s3:old"})
	w.outcome(entries, "changes", protocol.ImportImported, "")
	w.outcome(entries, "stays", protocol.ImportAlready, "")
}

// TestImportOfWhatChangedSince: a copy is the old object's, and the new one is
// imported anew, once. A file in place has nothing but the object that others
// changed: who may, removes it.
func TestImportOfWhatChangedSince(t *testing.T) {
	for what, second := range map[string]string{"another size": "second", "the same size": "other"} {
		for _, inPlace := range []bool{false, true} {
			t.Run(fmt.Sprint(what, ", in place: ", inPlace), func(t *testing.T) {
				w, b, im, end := importWorld(t)
				defer end()
				w.clocks.set(time.Since(w.clocks.Now()) + time.Hour) // the objects are of now
				args := intake.Args{Source: "s3:old", InPlace: inPlace}
				w.foreign(b, "report", "", []byte("first"))
				_, entries := w.imports(im, args)
				uid := w.outcome(entries, "report", protocol.ImportImported, "")
				_, entries = w.imports(im, args)
				w.outcome(entries, "report", protocol.ImportAlready, "")
				b.rewrite(t, "report", second)
				_, entries = w.imports(im, args)
				if inPlace {
					w.outcome(entries, "report", protocol.ImportFailed, "imported as "+uid.String()+"; remove that file")
					w.delete("ann", uid)
					_, entries = w.imports(im, args)
				} else {
					w.reads("ann", uid, []byte("first"))
				}
				again := w.outcome(entries, "report", protocol.ImportImported, "")
				w.reads("ann", again, []byte(second))
				for range 2 {
					_, entries = w.imports(im, args)
					if got := w.outcome(entries, "report", protocol.ImportAlready, ""); got != again {
						t.Errorf("imported again as %s, is %s", got, again)
					}
				}
			})
		}
	}
}

// TestImportOfWhatChangedAfterItWasFolded: the bytes of a file in place are ospd's
// own by then, so that it stays and the object is imported anew.
func TestImportOfWhatChangedAfterItWasFolded(t *testing.T) {
	w, b, im, end := importWorld(t)
	defer end()
	w.clocks.set(time.Since(w.clocks.Now()) + time.Hour)
	args := intake.Args{Source: "s3:old", InPlace: true}
	first := noise(1, 1000)
	w.put("ann", "ours", first)
	w.foreign(b, "report", "", first)
	_, entries := w.imports(im, args)
	uid := w.outcome(entries, "report", protocol.ImportImported, "")
	w.digests()
	b.rewrite(t, "report", string(noise(2, 1000)))
	args.InPlace = false
	_, entries = w.imports(im, args)
	again := w.outcome(entries, "report", protocol.ImportImported, "")
	w.reads("ann", uid, first)
	w.reads("ann", again, noise(2, 1000))
}

// rewrite replaces an object, by one of another time: a storage tells times in
// seconds, some in milliseconds.
func (b *bucket) rewrite(t *testing.T, name, text string) {
	t.Helper()
	before, err := b.Describe(t.Context(), name)
	must(t, err)
	for now := before; now.Time.UnixMilli() == before.Time.UnixMilli(); {
		must(t, b.PutForeign(t.Context(), name, "", []byte(text)))
		now, err = b.Describe(t.Context(), name)
		must(t, err)
	}
}

// TestImportOfWhatCannotBeRead: what cannot be read while its store answers is
// tried again, each object for itself, and then fails by itself; the tries of the
// job are left.
func TestImportOfWhatCannotBeRead(t *testing.T) {
	w, b, im, end := importWorld(t)
	defer end()
	w.foreign(b, "a", "", []byte("x"))
	for i := range 70 { // more than a page
		w.foreign(b, fmt.Sprintf("n%02d", i), "", []byte("y"))
	}
	w.foreign(b, "o", "", []byte("x"))
	w.foreign(b, "z", "", []byte("x"))
	u := &unreadable{bucket: b, left: map[string]int{"a": 100, "o": 2, "z": 100}}
	w.stores["old"] = store.New("old", u, store.Options{Attempts: 1})
	j, entries := w.imports(im, intake.Args{Source: "s3:old"})
	for n := 0; j.State == protocol.JobReady && n < 10; n++ {
		if j.Attempts > 1 || j.Error != "" {
			t.Fatalf("after attempt %d: %+v", n, j)
		}
		w.clocks.pass(time.Hour)
		j, entries = w.goesOn(im, j.ID)
	}
	if j.State != protocol.JobDone || len(entries) != 73 || u.left["a"] != 97 || u.left["z"] != 97 {
		t.Fatalf("%+v, %d entries, left %v", j, len(entries), u.left)
	}
	w.outcome(entries, "a", protocol.ImportFailed, "cannot be read")
	w.outcome(entries, "z", protocol.ImportFailed, "cannot be read")
	w.outcome(entries, "o", protocol.ImportImported, "")
	w.outcome(entries, "n69", protocol.ImportImported, "")
}

// TestImportWhileTheStoreIsAway: however often it was tried, no object is passed
// over for what its store does.
func TestImportWhileTheStoreIsAway(t *testing.T) {
	w, b, im, end := importWorld(t)
	defer end()
	w.foreign(b, "a", "", []byte("x"))
	away := &awayStore{bucket: b, away: true}
	w.stores["old"] = store.New("old", away, store.Options{Attempts: 1})
	j, entries := w.imports(im, intake.Args{Source: "s3:old"})
	for range 3 {
		w.clocks.pass(time.Hour)
		j, entries = w.goesOn(im, j.ID)
	}
	if j.State != protocol.JobReady || j.Attempts != 4 || len(entries) != 0 {
		t.Fatalf("while it is away: %+v, entries %v", j, entries)
	}
	away.away = false
	w.clocks.pass(time.Hour)
	j, entries = w.goesOn(im, j.ID)
	if j.State != protocol.JobDone {
		t.Fatalf("then: %+v", j)
	}
	w.outcome(entries, "a", protocol.ImportImported, "")
}

// awayStore lists its objects, and answers nothing else while it is away.
type awayStore struct {
	*bucket
	away bool
}

func (a *awayStore) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	if a.away {
		return nil, io.ErrUnexpectedEOF
	}
	return a.bucket.Get(ctx, key, off, n)
}

func (a *awayStore) Check(context.Context) error {
	if a.away {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// unreadable has objects of which so many reads fail.
type unreadable struct {
	*bucket
	mu   sync.Mutex
	left map[string]int
}

func (u *unreadable) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	name, _ := key.Foreign()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.left[name] > 0 {
		u.left[name]--
		return nil, io.ErrUnexpectedEOF
	}
	return u.bucket.Get(ctx, key, off, n)
}

// TestImportBeyondTheQuota ends, and goes on where it was once there is room.
func TestImportBeyondTheQuota(t *testing.T) {
	w, b, im, end := importWorld(t)
	defer end()
	w.foreign(b, "a", "", noise(1, 100))
	w.foreign(b, "b", "", noise(2, 100))
	few := int64(1)
	must(t, w.db.SetQuota(t.Context(), "ann", meta.Quota{Files: &few}))
	j, _ := w.imports(im, intake.Args{Source: "s3:old"})
	if j.State != protocol.JobDead || !strings.Contains(j.Error, "quota") {
		t.Fatalf("job %+v", j)
	}
	must(t, w.db.SetQuota(t.Context(), "ann", meta.Quota{}))
	_, err := w.db.RetryJob(t.Context(), meta.AnyOwner, j.ID)
	must(t, err)
	j, entries := w.goesOn(im, j.ID)
	if j.State != protocol.JobDone || len(entries) != 2 {
		t.Fatalf("job %+v, entries %v", j, entries)
	}
	w.outcome(entries, "a", protocol.ImportImported, "")
	w.outcome(entries, "b", protocol.ImportImported, "")
}

func TestImportRequests(t *testing.T) {
	w, _, im, end := importWorld(t)
	defer end()
	admin := job.Caller{Owner: "ann", All: true}
	for _, tt := range []struct {
		args   string
		caller job.Caller
		fails  protocol.Kind
		says   string
	}{
		{`{"source": "s3:old/x"}`, admin, "", ""},
		{`{"source": "s3:old/x", "in_place": true, "adopt": true, "owner": "bob"}`, admin, "", ""},
		{`{"source": "s3:old/x"}`, job.Caller{Owner: "ann"}, protocol.KindForbidden, "only who runs"},
		{`{"source": "s3:old/x", "adopt": true}`, admin, protocol.KindBadRequest, "in_place"},
		{`{"source": "s3:none/x"}`, admin, protocol.KindBadRequest, "no store"},
		{`{"source": "what"}`, admin, protocol.KindBadRequest, "no source"},
		{`{"source": "dir:relative"}`, admin, protocol.KindBadRequest, "absolute"},
		{`{"source": "dir:/nowhere/at/all"}`, admin, protocol.KindBadRequest, "no such folder"},
		{`{"source": "dir:` + w.root + `"}`, admin, "", ""},
		{`{"source": "dir:` + w.dir + `"}`, admin, protocol.KindBadRequest, "holds that of store"},
		{`{"source": "s3:old", "owner": "*"}`, admin, protocol.KindBadRequest, ""},
		{`{"source": "s3:old", "more": 1}`, admin, protocol.KindBadRequest, ""},
	} {
		n, err := im.Request(t.Context(), tt.caller, json.RawMessage(tt.args))
		if protocol.KindOf(err) != tt.fails || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.args, err)
		}
		if err == nil && (n.Kind != protocol.JobImport || n.Owner != "" || n.Subject == "" || slices.Contains([]string{"", "{}"}, string(n.Args))) {
			t.Errorf("%s: %+v", tt.args, n)
		}
	}
}

func (w *world) file(owner protocol.Owner, uid protocol.UID) (protocol.File, error) {
	return w.files.File(w.t.Context(), owner, uid)
}
