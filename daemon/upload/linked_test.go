package upload_test

import (
	"bytes"
	"crypto/md5"
	"testing"

	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// linked is a link that puts one new file.
func (b *bench) linked() upload.Linked {
	b.t.Helper()
	uid, err := b.minter.Next(b.t.Context())
	must(b.t, err)
	return upload.Linked{Owner: owner, UID: uid, MaxSize: -1}
}

func TestLinkedPutChecksMD5(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		p := random(1, protocol.MinPartSize+5) // two parts: the MD5 is of both
		begin := protocol.BeginUpload{Name: "a", Size: ptr(int64(len(p)))}
		l := b.linked()
		put := func(sum [md5.Size]byte) (protocol.File, error) {
			return b.PutLinked(t.Context(), l, begin, upload.Body{Reader: bytes.NewReader(p), Length: int64(len(p)), MD5: &sum})
		}
		if _, err := put(md5.Sum(p[1:])); protocol.KindOf(err) != protocol.KindChecksumMismatch {
			t.Fatalf("with a wrong MD5: %v", err)
		}
		if _, err := b.db.File(t.Context(), owner, l.UID); protocol.KindOf(err) != protocol.KindNotFound {
			t.Errorf("there is a file: %v", err)
		}
		if got := b.parts(l.UID); len(got) != 0 {
			t.Errorf("%v is listed of what was refused", got)
		}
		f, err := put(md5.Sum(p))
		must(t, err)
		if f.UID != l.UID {
			t.Errorf("it is file %s, not %s", f.UID, l.UID)
		}
		b.holds(l.UID, p)
	})
}
