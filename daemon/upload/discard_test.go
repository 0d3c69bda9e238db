package upload_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
)

// stored is how many objects there are, and their bytes.
func (b *bench) stored() (objects int, size int64) {
	b.t.Helper()
	for info, err := range b.store.List(b.t.Context(), "", "") {
		must(b.t, err)
		objects, size = objects+1, size+info.Size
	}
	return objects, size
}

// brokenChunk is a chunk that ends one byte early.
func brokenChunk(p []byte) upload.Body {
	c := chunkBody(p)
	c.Reader = io.MultiReader(bytes.NewReader(p[1:]), iotest.ErrReader(io.ErrUnexpectedEOF))
	return c
}

// A stranger with a link fills the disk with nothing that is not charged to the
// owner's quota: what breaks off, or has another MD5, is gone when it is answered.
func TestChunksThatFailLeaveNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		l := b.linked()
		p := random(1, 300<<10)
		b.chunk(l, 2, p)
		for range 5 {
			if got := b.sendChunk(l, 1, brokenChunk(p)); got != protocol.KindBadLength {
				t.Errorf("broken off: %q", got)
			}
			if got := b.sendChunk(l, 1, upload.Body{Reader: bytes.NewReader(p), Length: int64(len(p)), MD5: &[md5.Size]byte{}}); got != protocol.KindChecksumMismatch {
				t.Errorf("another MD5: %q", got)
			}
		}
		if n, size := b.stored(); n != 1 || size != int64(len(p)) {
			t.Errorf("%d objects of %d bytes are left", n, size)
		}
		b.held(l, 2)
		b.mustBeSound()
	})
}

// What cannot be removed at once is the sweep's.
func TestChunkThatCannotBeRemoved(t *testing.T) {
	faulty := storetest.NewFaulty(mem.New())
	b := newEnded(t, setup{backend: faulty})
	l := b.linked()
	p := random(1, 1000)
	faulty.Queue(storetest.OpDelete, storetest.Fault{Before: errors.New("it does not delete")})
	if got := b.sendChunk(l, 1, upload.Body{Reader: bytes.NewReader(p), Length: 1000, MD5: &[md5.Size]byte{}}); got != protocol.KindChecksumMismatch {
		t.Errorf("another MD5: %q", got)
	}
	list, err := b.db.Doomed(t.Context(), "", b.clock.Now(), nil, 10)
	must(t, err)
	if n, _ := b.stored(); n != 1 || len(list) != 1 {
		t.Errorf("%d objects are there, %d are doomed", n, len(list))
	}
	b.mustBeSound()
}
