package upload_test

import (
	"bytes"
	"crypto/md5"
	"io"
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

// TestLinkedPutOfAnySize: a request that broke off binds the next one to nothing.
func TestLinkedPutOfAnySize(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		first := random(1, 33<<20) // three parts
		l := b.linked()
		l.AnySize, l.MaxSize = true, int64(len(first))
		put := func(p []byte, size int) error {
			begin := protocol.BeginUpload{Name: "a", Size: ptr(int64(size))}
			sum := md5.Sum(p)
			_, err := b.PutLinked(t.Context(), l, begin, upload.Body{Reader: bytes.NewReader(p), Length: int64(size), MD5: &sum})
			return err
		}
		if err := put(first, len(first)+1); protocol.KindOf(err) != protocol.KindTooLarge {
			t.Errorf("one byte more than the link is for: %v", err)
		}
		if err := put(first[:32<<20], len(first)); protocol.KindOf(err) != protocol.KindBadLength {
			t.Errorf("one that breaks off: %v", err)
		}
		if got := b.parts(l.UID); len(got) != 2 {
			t.Fatalf("%v is left of it", got)
		}
		must(t, put(first[:5], 5))
		b.holds(l.UID, first[:5])
	})
}

// meanwhile does something before the byte at after is read.
type meanwhile struct {
	io.Reader
	after int
	do    func()
}

func (m *meanwhile) Read(p []byte) (int, error) {
	if m.after <= 0 && m.do != nil {
		m.do()
		m.do = nil
	}
	n, err := m.Reader.Read(p)
	m.after -= n
	return n, err
}

// TestLinkedPutIsTakenBack: who shares a link with one who sends other bytes is told
// so, not that parts are missing, of which a request for a whole file knows none.
func TestLinkedPutIsTakenBack(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		p := random(1, protocol.MinPartSize+5)
		l := b.linked()
		other := func() {
			_, err := b.PutLinkedPart(t.Context(), l, 1, upload.Body{Reader: bytes.NewReader(random(2, protocol.MinPartSize)), Length: protocol.MinPartSize})
			if protocol.KindOf(err) != protocol.KindPartsDiffer {
				t.Errorf("other bytes: %v", err)
			}
		}
		put := func(r io.Reader) error {
			_, err := b.PutLinked(t.Context(), l, protocol.BeginUpload{Name: "a", Size: ptr(int64(len(p)))}, upload.Body{Reader: r, Length: int64(len(p))})
			return err
		}
		if err := put(&meanwhile{bytes.NewReader(p), protocol.MinPartSize, other}); protocol.KindOf(err) != protocol.KindPartsDiffer {
			t.Errorf("a part was taken back: %v", err)
		}
		must(t, put(bytes.NewReader(p)))
		b.holds(l.UID, p)
	})
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
