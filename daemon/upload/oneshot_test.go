package upload_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"path/filepath"
	"testing"
	"time"

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

// TestPutFileLeavesNothing: whatever fails, no object is left, or the next
// start removes it.
func TestPutFileLeavesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		fault storetest.Fault
		want  protocol.Kind
		left  int
	}{
		"the store is full":       {storetest.Fault{Before: store.ErrFull}, protocol.KindStoreFull, 0},
		"the store fails":         {storetest.Fault{Before: io.ErrClosedPipe}, protocol.KindStoreUnavailable, 0},
		"its answer is lost":      {storetest.Fault{After: io.ErrClosedPipe}, protocol.KindStoreUnavailable, 1},
		"its answer is a timeout": {storetest.Fault{After: io.ErrUnexpectedEOF}, protocol.KindStoreUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := storetest.NewFaulty(mem.New())
			b := newEnded(t, setup{backend: faulty})
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

// TestPutFileUnrecorded: a file that the database refuses leaves no object.
func TestPutFileUnrecorded(t *testing.T) {
	b := newBench(t, setup{})
	st := localOn(t, nil)
	closing := &hooked{Backend: st, put: func() { must(t, b.db.Close()) }}
	must(t, b.Service.Close())
	b.store = store.New("disk", closing, store.Options{})
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
