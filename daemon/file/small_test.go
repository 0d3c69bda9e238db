package file

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestSmallContentsNeedNoFile: a small content that matched is sent from
// memory, in every range of it, until it has to be read again; a larger one
// never is.
func TestSmallContentsNeedNoFile(t *testing.T) {
	for _, size := range []int{1, 100, smallMax - 1, smallMax, smallMax + 1} {
		b := newBench(t, "local", VerifyFirst)
		data := make([]byte, size)
		rand.NewChaCha8([32]byte{byte(size)}).Read(data)
		uid := b.put(data, size)
		_, err := b.read(uid, 0, int64(size))
		must(t, err)
		path := filepath.Join(b.root, filepath.FromSlash(b.extents[uid][0].Key))
		must(t, os.Rename(path, path+".away"))
		for off := 0; off < size; off += max(1, size/3) {
			n := min(size-off, size/2+1)
			got, err := b.read(uid, int64(off), int64(n))
			if kept := size <= smallMax; kept != (err == nil) || kept && !bytes.Equal(got, data[off:off+n]) {
				t.Fatalf("%d bytes from %d of %d: %v", n, off, size, err)
			}
			if size > smallMax {
				break
			}
		}
		b.clock.add(seenFor)
		if _, err := b.read(uid, 0, 1); protocol.KindOf(err) != protocol.KindContentCorrupt {
			t.Errorf("after %s %d bytes without a file: %v", seenFor, size, err)
		}
	}
}
