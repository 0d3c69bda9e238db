package upload_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
)

func slicesReader(p []byte) io.Reader { return bytes.NewReader(p) }

func (b *bench) objects() (keys []store.Key) {
	b.t.Helper()
	for info, err := range b.store.List(b.t.Context(), "", "") {
		must(b.t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

func TestPutFile(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		expires, media := protocol.TimeOf(b.clock.Now().Add(time.Hour)), "text/plain"
		for i, size := range []int64{0, 1, 2, protocol.HeadSize, protocol.OneShotMax - 1, protocol.OneShotMax} {
			p := random(int64(i), size)
			r, err := b.PutFile(t.Context(), owner, upload.NewFile{
				Name: "a/b", Body: p, XXH3: ptr(protocol.SumXXH3(p)), SHA256: ptr(sha256.Sum256(p)),
				MediaType: &media, Meta: map[string]string{"k": "v"}, ExpiresAt: &expires,
			}, nil)
			must(t, err)
			b.holds(r.UID, p)
			f, err := b.db.File(t.Context(), owner, r.UID)
			must(t, err)
			if want, _ := json.Marshal(f); !r.Created || string(want) != string(r.Body) {
				t.Errorf("answered %s, stored is %s", r.Body, want)
			}
			if want := sha256.Sum256(p); f.SHA256 == nil || *f.SHA256 != hex.EncodeToString(want[:]) {
				t.Errorf("of %d bytes the SHA-256 is %v", size, f.SHA256)
			}
		}
		b.mustBeSound()
	})
}

func TestPutFileRefuses(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		past, bad := protocol.TimeOf(b.clock.Now()), "not a type"
		for name, c := range map[string]struct {
			f    upload.NewFile
			want protocol.Kind
		}{
			"too large":     {upload.NewFile{Name: "a", Body: make([]byte, protocol.OneShotMax+1)}, protocol.KindTooLarge},
			"wrong XXH3":    {upload.NewFile{Name: "a", XXH3: &protocol.XXH3{}}, protocol.KindChecksumMismatch},
			"wrong SHA-256": {upload.NewFile{Name: "a", SHA256: &[32]byte{}}, protocol.KindChecksumMismatch},
			"no name":       {upload.NewFile{}, protocol.KindBadName},
			"a media type":  {upload.NewFile{Name: "a", MediaType: &bad}, protocol.KindBadRequest},
			"expired":       {upload.NewFile{Name: "a", ExpiresAt: &past}, protocol.KindBadRequest},
		} {
			_, err := b.PutFile(t.Context(), owner, c.f, nil)
			if got := protocol.KindOf(err); got != c.want {
				t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
			}
		}
		if left := b.objects(); len(left) != 0 {
			t.Errorf("refused files left %v", left)
		}
	})
}

// smallFaults are ways in which storing a small file fails, and whether its
// object may be there all the same.
var smallFaults = map[string]struct {
	fault storetest.Fault
	want  protocol.Kind
	left  int
}{
	"the store is full":       {storetest.Fault{Before: store.ErrFull}, protocol.KindStoreFull, 0},
	"the store fails":         {storetest.Fault{Before: io.ErrClosedPipe}, protocol.KindStoreUnavailable, 0},
	"it gives up":             {storetest.Fault{Before: context.DeadlineExceeded}, protocol.KindStoreUnavailable, 0},
	"its answer is lost":      {storetest.Fault{After: io.ErrClosedPipe}, protocol.KindStoreUnavailable, 1},
	"its answer is a timeout": {storetest.Fault{After: io.ErrUnexpectedEOF}, protocol.KindStoreUnavailable, 1},
}

// files makes an object store one of files: its keys have directories.
type files struct{ *storetest.Faulty }

func (files) MakeDir(context.Context, store.Dir) error { return nil }

// TestPutFileLeavesNothing: whatever fails, no object is left, or the next
// start removes it.
func TestPutFileLeavesNothing(t *testing.T) {
	for name, c := range smallFaults {
		t.Run(name, func(t *testing.T) {
			faulty := storetest.NewFaulty(mem.New())
			b := newEnded(t, setup{backend: files{faulty}})
			faulty.Queue(storetest.OpPut, c.fault)
			put := func() error {
				_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
				return err
			}
			wants(t, put(), c.want)
			if left := b.objects(); len(left) != c.left {
				t.Errorf("left %v, want %d", left, c.left)
			}
			must(t, put())
			removed, err := b.Settle(t.Context())
			must(t, err)
			if left := b.objects(); removed != c.left || len(left) != 1 {
				t.Errorf("settle removed %d and left %v", removed, left)
			}
		})
	}
}

// states are how many blobs are in each state; every object has one.
func (b *bench) states() map[meta.BlobState]int {
	b.t.Helper()
	rows, err := b.db.BlobsIn(b.t.Context(), b.store.Name(), "")
	must(b.t, err)
	for _, key := range b.objects() {
		if rows[string(key)] == "" {
			b.t.Errorf("object %s has no row", key)
		}
	}
	n := map[meta.BlobState]int{}
	for _, state := range rows {
		n[state]++
	}
	return n
}

// TestPutFileNamesItsObject: on an object store the row is there before the
// object is, which is doomed where the put fails; no directory is reserved, and
// neither the end nor the next start lists the storage.
func TestPutFileNamesItsObject(t *testing.T) {
	for name, c := range smallFaults {
		t.Run(name, func(t *testing.T) {
			named := &rowFirst{Backend: mem.New()}
			faulty := storetest.NewFaulty(named)
			b := newEnded(t, setup{backend: faulty})
			named.bench = b
			faulty.Queue(storetest.OpPut, c.fault)
			put := func() error {
				_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
				return err
			}
			wants(t, put(), c.want)
			if got, left := b.states(), b.objects(); len(left) != c.left || !maps.Equal(got, map[meta.BlobState]int{meta.BlobDoomed: 1}) {
				t.Errorf("the failed put left blobs %v and objects %v", got, left)
			}
			must(t, put())
			if got := b.states(); !maps.Equal(got, map[meta.BlobState]int{meta.BlobDoomed: 1, meta.BlobLive: 1}) {
				t.Errorf("blobs %v", got)
			}
			if named.puts != c.left+1 {
				t.Errorf("%d puts were looked at", named.puts)
			}
			if dirs, err := b.db.OpenDirs(t.Context(), b.store.Name()); err != nil || len(dirs) != 0 {
				t.Errorf("reserved are %v (%v)", dirs, err)
			}
			lists := faulty.Calls(storetest.OpList)
			b.restart("boot 1")
			if removed, err := b.Settle(t.Context()); removed != 0 || err != nil || faulty.Calls(storetest.OpList) != lists {
				t.Errorf("settle removed %d, listed %d times, %v", removed, faulty.Calls(storetest.OpList)-lists, err)
			}
			b.mustBeSound()
		})
	}
}

// TestPutFileIsTriedAgain: a small file's bytes are given to a store that can ask
// for them again, and so get over an answer that was lost.
func TestPutFileIsTriedAgain(t *testing.T) {
	faulty := storetest.NewFaulty(mem.New())
	b := newEnded(t, setup{backend: faulty})
	must(t, b.Service.Close())
	b.store = store.New("disk", faulty, store.Options{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	b.Service = b.service(nil)
	faulty.Queue(storetest.OpPut, storetest.Fault{After: io.ErrUnexpectedEOF}, storetest.Fault{Before: io.ErrUnexpectedEOF})
	_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	must(t, err)
	if n := faulty.Calls(storetest.OpPut); n != 3 {
		t.Errorf("%d puts, want 3", n)
	}
	b.mustBeSound()
}

// rowFirst is an object store that wants each object to have a row.
type rowFirst struct {
	store.Backend
	bench *bench
	puts  int
}

func (r *rowFirst) Put(ctx context.Context, key store.Key, body io.Reader, size int64) error {
	r.puts++
	rows, err := r.bench.db.BlobsIn(ctx, r.bench.store.Name(), string(key))
	if err != nil || rows[string(key)] != meta.BlobWriting {
		r.bench.t.Errorf("%s is put and its blob is %q (%v)", key, rows[string(key)], err)
	}
	return r.Backend.Put(ctx, key, body, size)
}

// TestBusyStoreSaysHowLong: what a store asks for is passed on, within reason.
func TestBusyStoreSaysHowLong(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{0: 0, 7 * time.Second: 7 * time.Second, time.Hour: time.Minute} {
		faulty := storetest.NewFaulty(mem.New())
		b := newEnded(t, setup{backend: faulty})
		faulty.Queue(storetest.OpPut, slices.Repeat([]storetest.Fault{{Before: &store.BusyError{After: asked, Err: io.ErrNoProgress}}}, 100)...)
		_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
		e, ok := errors.AsType[*protocol.Error](err)
		if !ok || e.Kind != protocol.KindStoreUnavailable || e.RetryAfter != want {
			t.Errorf("asked for %v: %v", asked, err)
		}
	}
}

// TestDoubtfulRecordKeepsItsObject: where the database failed over a file, it
// may turn out to be recorded when the database is opened again. Until then
// nobody may take its object for one without a row, also not on a clean end.
func TestDoubtfulRecordKeepsItsObject(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	b := newEnded(t, setup{db: path})
	allow := metatest.Refuse(t, path, "INSERT", "files")
	_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	wants(t, err, protocol.KindInternal)
	allow()
	b.restart("boot")
	if left := b.objects(); len(left) != 1 {
		t.Errorf("the clean end left %v", left)
	}
	if dirs, err := b.db.OpenDirs(t.Context(), b.store.Name()); err != nil || len(dirs) != 1 {
		t.Errorf("reserved are %v (%v)", dirs, err)
	}
	if removed, err := b.Settle(t.Context()); removed != 1 || err != nil {
		t.Errorf("the next start removed %d, %v", removed, err)
	}
}

// TestDoubtfulRecordOnAnObjectStore: there the row knows, so nothing waits for
// a restart.
func TestDoubtfulRecordOnAnObjectStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	b := newEnded(t, setup{db: path, backend: mem.New()})
	allow := metatest.Refuse(t, path, "INSERT", "files")
	_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	wants(t, err, protocol.KindInternal)
	allow()
	if got := b.states(); !maps.Equal(got, map[meta.BlobState]int{meta.BlobDoomed: 1}) {
		t.Errorf("blobs %v", got)
	}
	b.mustBeSound()
}

// TestPutFileUnrecorded: a file that the database refuses leaves no object.
func TestPutFileUnrecorded(t *testing.T) {
	b := newBench(t, setup{})
	st := localOn(t, nil)
	closing := &hooked{Backend: st, put: func() { must(t, b.db.Close()) }}
	must(t, b.Service.Close())
	b.store = store.New("disk", struct {
		store.Backend
		store.DirMaker
	}{closing, st}, store.Options{})
	b.Service = b.service(nil)
	_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	wants(t, err, protocol.KindUnavailable)
	if left := b.objects(); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	must(t, b.Service.Close())
}

// hooked calls put after each object it stored.
type hooked struct {
	store.Backend
	put func()
}

func (h *hooked) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	err := h.Backend.Put(ctx, key, r, size)
	h.put()
	return err
}
