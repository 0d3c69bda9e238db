package upload_test

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// charged expects how many bytes the owner is charged for.
func (b *bench) charged(what string, want int64) {
	b.t.Helper()
	u, err := b.db.Usage(b.t.Context(), owner)
	must(b.t, err)
	if u.Bytes != want {
		b.t.Errorf("%s: charged are %d bytes, want %d", what, u.Bytes, want)
	}
}

// lookingReader calls look before the first byte.
type lookingReader struct {
	io.Reader
	look func()
}

func (r *lookingReader) Read(p []byte) (int, error) {
	if r.look != nil {
		r.look()
		r.look = nil
	}
	return r.Reader.Read(p)
}

// The header of a chunk alone keeps nothing of its owner's quota, and takes
// nothing of what is charged for those that are coming.
func TestChunksThatFailAreNotCharged(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		l := b.linked()
		b.chunk(l, 1, random(1, 6))
		broken := func(n protocol.PartNumber, look func()) {
			t.Helper()
			body := chunkBody(random(int64(n), 1000))
			body.Reader = &lookingReader{iotest.ErrReader(io.ErrUnexpectedEOF), look}
			if got := b.sendChunk(l, n, body); got != protocol.KindBadLength {
				t.Errorf("chunk %d broken off: %q", n, got)
			}
		}
		broken(2, func() {
			b.charged("while it comes", 1006)
			broken(3, func() { b.charged("while both come", 2006) })
			b.charged("while one comes", 1006)
			b.chunk(l, 4, random(4, 10))
			b.charged("while one comes and another came", 1016)
		})
		b.charged("after all failed", 16)
		b.chunk(l, 1, random(5, 2))
		b.charged("a shorter one took the place of a longer", 12)
		same := random(6, 100)
		body := chunkBody(same)
		body.Reader = &lookingReader{bytes.NewReader(same), func() { b.chunk(l, 2, same) }}
		if got := b.sendChunk(l, 2, body); got != "" {
			t.Errorf("the same at once: %q", got)
		}
		b.charged("the same at once", 112)
	})
}

func TestPartsThatFailAreNotCharged(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		uid := b.beginBlocks(nil)
		b.put(uid, 1, random(1, 5))
		broken := func(n protocol.PartNumber, look func()) {
			t.Helper()
			r := &lookingReader{iotest.ErrReader(io.ErrUnexpectedEOF), look}
			_, err := b.PutPart(t.Context(), owner, uid, n, upload.Body{Reader: r, Length: 3})
			wants(t, err, protocol.KindBadLength)
		}
		broken(9, func() {
			b.charged("while it comes", 8*block+3)
			broken(8, func() { b.charged("while a lower one comes", 8*block+3) })
			b.charged("while it comes still", 8*block+3)
		})
		b.charged("after all failed", 5)
		broken(8, func() { b.charged("once more", 7*block+3) })
		b.charged("after that", 5)
	})
}
