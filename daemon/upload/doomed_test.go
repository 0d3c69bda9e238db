package upload_test

import (
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// sweptBy is an object store on which, while one object is put, another node takes
// the object for one that nobody writes any more, and deletes it.
func sweptBy(t *testing.T, takes func(b *bench)) *bench {
	puts := 0
	hook := &hooked{Backend: mem.New()}
	b := newEnded(t, setup{backend: hook})
	hook.put = func() {
		if puts++; puts == 1 {
			takes(b)
			b.deleteDoomed()
		}
	}
	return b
}

// deleteDoomed deletes what is doomed, as another node's sweep does once the grace
// is over.
func (b *bench) deleteDoomed() {
	b.t.Helper()
	list, err := b.db.Doomed(b.t.Context(), "", b.clock.Now(), nil, 10)
	must(b.t, err)
	if len(list) != 1 {
		b.t.Errorf("doomed are %v", list)
	}
	for _, blob := range list {
		must(b.t, b.store.Delete(b.t.Context(), store.Key(blob.Key)))
		must(b.t, b.db.MarkGone(b.t.Context(), []meta.BlobID{blob.ID}))
	}
}

// TestDoomedInAPut: a node that was stopped in the middle of a put, for so long that
// another took its object for an orphan's, acknowledges nothing.
func TestDoomedInAPut(t *testing.T) {
	b := sweptBy(t, func(b *bench) {
		b.clock.add(time.Hour + time.Minute)
		n, err := b.db.DoomOrphans(t.Context(), 10)
		if must(t, err); n != 1 {
			t.Errorf("%d blobs were doomed", n)
		}
	})
	_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	wants(t, err, protocol.KindStoreUnavailable)
	if list, err := b.db.Files(t.Context(), owner, meta.FileQuery{Limit: 10}); err != nil || len(list) != 0 {
		t.Errorf("files of lost bytes: %+v, %v", list, err)
	}
	b.holds(b.putSmall(owner, "b", "abc"), []byte("abc"))
	b.mustBeSound()
}

// TestDoomedInAPart: nor does one in the middle of a part whose upload another node
// has ended meanwhile.
func TestDoomedInAPart(t *testing.T) {
	b := sweptBy(t, func(b *bench) {
		b.clock.add(8 * 24 * time.Hour)
		n, err := b.db.AbandonUploads(t.Context(), b.clock.Now().Add(-time.Hour), 10)
		if must(t, err); n != 1 {
			t.Errorf("%d uploads were abandoned", n)
		}
		_, err = b.db.DoomOrphans(t.Context(), 10)
		must(t, err)
	})
	content := random(1, block)
	uid := b.begin(protocol.BeginUpload{Size: ptr(int64(block))})
	_, err := b.PutPart(t.Context(), owner, uid, 1, body(content))
	wants(t, err, protocol.KindNotFound)
	_, _, err = b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
	wants(t, err, protocol.KindNotFound)
	b.mustBeSound()
}
