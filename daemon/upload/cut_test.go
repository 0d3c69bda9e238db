package upload_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
)

// waitCut waits until no object is longer than its blob. The limit is the
// test's.
func (b *bench) waitCut() {
	b.t.Helper()
	for {
		list, err := b.db.OverlongBlobs(b.t.Context(), b.store.Name(), 0, 1)
		must(b.t, err)
		if len(list) == 0 {
			return
		}
		runtime.Gosched()
	}
}

// length is that of the only object.
func (b *bench) length() int64 {
	b.t.Helper()
	var sizes []int64
	for info, err := range b.store.List(b.t.Context(), "", "") {
		must(b.t, err)
		sizes = append(sizes, info.Size)
	}
	if len(sizes) != 1 {
		b.t.Fatalf("there are objects of %v bytes, want one", sizes)
	}
	return sizes[0]
}

// short sends a part one byte short of what it announces.
func (b *bench) short(uid protocol.UID, n protocol.PartNumber) {
	b.t.Helper()
	p := body(random(int64(n), 300_000))
	p.Length++
	_, err := b.PutPart(b.t.Context(), owner, uid, n, p)
	wants(b.t, err, protocol.KindBadLength)
}

// TestPartsBeyondTheEndAreFreed: what parts that failed wrote beyond the end
// of the file is gone once it is committed.
func TestPartsBeyondTheEndAreFreed(t *testing.T) {
	b := newEnded(t, setup{})
	uid := b.begin(protocol.BeginUpload{})
	b.put(uid, 1, []byte("x"))
	for n := range protocol.PartNumber(3) {
		b.short(uid, n+2)
	}
	if b.length() <= 32<<20 {
		t.Fatalf("the object has %d bytes, so nothing is tested", b.length())
	}
	b.commit(uid, protocol.CommitUpload{Size: ptr(int64(1))})
	b.waitCut()
	if b.length() != 1 {
		t.Errorf("the object of a file of 1 byte has %d", b.length())
	}
	b.holds(uid, []byte("x"))
	b.mustBeSound()
}

// TestTheLastWriterIsWaitedFor: while a part request of a committed upload
// still writes nothing is cut; when it has ended all of it goes.
func TestTheLastWriterIsWaitedFor(t *testing.T) {
	b := newEnded(t, setup{})
	uid := b.begin(protocol.BeginUpload{})
	b.put(uid, 1, []byte("x"))
	slow := b.send(uid, 2, random(2, 600_000))
	b.commit(uid, protocol.CommitUpload{Size: ptr(int64(1))})
	if list, err := b.db.OverlongBlobs(t.Context(), "disk", 0, 1); err != nil || len(list) != 1 {
		t.Errorf("under a writer the blob is listed as %v (%v)", list, err)
	}
	wants(t, slow.finish(), protocol.KindCommitted)
	b.waitCut()
	if b.length() != 1 {
		t.Errorf("the object of a file of 1 byte has %d", b.length())
	}
	b.holds(uid, []byte("x"))
	b.mustBeSound()
}

// uncut is a local store that cannot cut while fail is set.
type uncut struct {
	*local.Backend
	fail error
}

func (u *uncut) Cut(ctx context.Context, key store.Key, size int64) error {
	if u.fail != nil {
		return u.fail
	}
	return u.Backend.Cut(ctx, key, size)
}

// TestSettleCuts: what could not be cut, or was not before a crash, is cut at
// the next start; until then fsck calls it pending and the daemon starts.
func TestSettleCuts(t *testing.T) {
	u := &uncut{Backend: localOn(t, nil), fail: errors.New("no")}
	b := newEnded(t, setup{backend: u})
	uid := b.begin(protocol.BeginUpload{})
	b.put(uid, 1, []byte("x"))
	b.short(uid, 2)
	b.commit(uid, protocol.CommitUpload{Size: ptr(int64(1))})
	b.restart("boot 1") // waits for the try, and tries it again
	_, err := b.Settle(t.Context())
	must(t, err)
	if b.length() == 1 {
		t.Fatal("the object was cut, so nothing is tested")
	}
	b.mustBeSound()
	u.fail = nil
	_, err = b.Settle(t.Context())
	must(t, err)
	b.waitCut()
	if b.length() != 1 {
		t.Errorf("the object of a file of 1 byte has %d", b.length())
	}
	b.holds(uid, []byte("x"))
	b.mustBeSound()
}

// TestQuotaOfAnUnknownSize: an upload without a size counts up to the end of
// the farthest part that was begun, before its bytes are taken, and in the end
// as what it became.
func TestQuotaOfAnUnknownSize(t *testing.T) {
	eachStore(t, func(t *testing.T, b *bench) {
		const part = 16 << 20
		usage := func(want int64) {
			t.Helper()
			u, err := b.db.Usage(t.Context(), owner)
			must(t, err)
			if u.Bytes != want {
				t.Errorf("%d bytes are counted, want %d", u.Bytes, want)
			}
		}
		must(t, b.db.SetQuota(t.Context(), owner, meta.Quota{Bytes: ptr(int64(part + 10))}))
		uid := b.begin(protocol.BeginUpload{})
		usage(0)
		b.put(uid, 1, random(1, part))
		usage(part)
		_, err := b.PutPart(t.Context(), owner, uid, 2, body(random(2, 11)))
		wants(t, err, protocol.KindQuotaExceeded)
		usage(part)
		never := body(nil)
		never.Reader, never.Length = failing{t}, 16<<20
		_, err = b.PutPart(t.Context(), owner, uid, 9, never)
		wants(t, err, protocol.KindQuotaExceeded)
		b.put(uid, 2, random(2, 10))
		b.put(uid, 2, random(3, 5))
		usage(part + 10)
		b.commit(uid, protocol.CommitUpload{Size: ptr(int64(part + 5))})
		usage(part + 5)
		other := b.begin(protocol.BeginUpload{})
		b.put(other, 1, random(1, 5))
		usage(part + 10)
		must(t, b.Abort(t.Context(), owner, other))
		usage(part + 5)
		b.mustBeSound()
	})
}

// failing is a body that must not be read.
type failing struct{ t *testing.T }

func (f failing) Read([]byte) (int, error) {
	f.t.Error("the body of a part that is too much was read")
	return 0, errors.New("read")
}
