package upload_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local/record"
)

// errSync is what a store says of a failed sync.
var errSync = fmt.Errorf("the disk: %w: %w", store.ErrLost, syscall.EIO)

func unsynced(n int64) func(*upload.Config) { return func(c *upload.Config) { c.Unsynced = n } }

// sendAll sends parts 1 to n of size bytes each, twice each, all at once.
func (b *bench) sendAll(uid protocol.UID, n, size int64) (wait func() []error) {
	var wg sync.WaitGroup
	errs := make([]error, 2*n)
	for i := range 2 * n {
		wg.Go(func() {
			_, errs[i] = b.PutPart(b.t.Context(), owner, uid, protocol.PartNumber(i/2+1), body(random(i, size)))
		})
	}
	return func() []error { wg.Wait(); return errs }
}

// TestUnsynced: at the bound, over all blobs of the upload, writers wait for a
// sync, and go on after it.
func TestUnsynced(t *testing.T) {
	const limit = 1 << 20
	g := newGate(t)
	b := newEnded(t, setup{backend: g, change: unsynced(limit)})
	uid := b.begin(protocol.BeginUpload{})
	g.holdSyncs()
	wait := b.sendAll(uid, 4, 700_000)
	g.wait(func() bool { return g.unsynced >= limit-(256<<10) && g.syncing > 0 })
	g.releaseSyncs()
	for _, err := range wait() {
		wants(t, err, "")
	}
	if g.most > limit {
		t.Errorf("%d bytes were unsynced, the bound is %d", g.most, limit)
	}
	if got := b.parts(uid); len(got) != 4 {
		t.Errorf("listed %v", got)
	}
	b.mustBeSound()
}

// TestUnsyncedTiny: a bound below one write still lets one after the other
// through.
func TestUnsyncedTiny(t *testing.T) {
	for _, limit := range []int64{1, 100_000, 300_000} {
		g := newGate(t)
		b := newEnded(t, setup{backend: g, change: unsynced(limit)})
		for _, err := range b.sendAll(b.begin(protocol.BeginUpload{}), 3, 600_000)() {
			wants(t, err, "")
		}
		if g.most > max(limit, 256<<10) {
			t.Errorf("%d bytes were unsynced, the bound is %d", g.most, limit)
		}
	}
}

// TestSyncFailsUnderWriters: who waits for a sync that fails is told, and so
// is everyone whose part lies in what was lost; sent again, it goes elsewhere.
func TestSyncFailsUnderWriters(t *testing.T) {
	const limit = 1 << 20
	g := newGate(t)
	b := newEnded(t, setup{backend: g, change: unsynced(limit)})
	uid := b.begin(protocol.BeginUpload{})
	b.put(uid, 9, []byte("acknowledged"))
	g.holdSyncs()
	wait := b.sendAll(uid, 4, 700_000)
	g.wait(func() bool { return g.unsynced >= limit-(256<<10) && g.syncing > 0 })
	g.failSyncs(errSync)
	for _, err := range wait() {
		if err != nil {
			wants(t, err, protocol.KindStoreUnavailable)
		}
	}
	g.failSyncs(nil)
	if got := b.parts(uid); got[9] != 0 {
		t.Error("a part in a blob that was lost is listed")
	}
	b.elsewhere(uid)
	for _, err := range b.sendAll(uid, 4, 700_000)() {
		wants(t, err, "")
	}
	b.elsewhere(uid)
	if got := b.parts(uid); len(got) != 4 || g.again != 0 {
		t.Errorf("listed %v; %d syncs of what was lost", got, g.again)
	}
	b.mustBeSound()
}

// elsewhere checks that nothing is assembled in place any more: each part lies
// in a blob of its own.
func (b *bench) elsewhere(uid protocol.UID) {
	b.t.Helper()
	up, err := b.db.Upload(b.t.Context(), owner, uid)
	must(b.t, err)
	parts, _, err := b.db.Parts(b.t.Context(), owner, uid)
	must(b.t, err)
	blobs := map[meta.BlobID]bool{}
	for _, p := range parts {
		blobs[p.Blob] = true
	}
	if up.Blob != 0 || len(blobs) != len(parts) {
		b.t.Errorf("the upload is assembled in blob %d, its %d parts lie in %d blobs", up.Blob, len(parts), len(blobs))
	}
}

// TestSyncFailsAtCommit: the commit fails, the parts are no longer listed, and
// the upload goes on by sending them again.
func TestSyncFailsAtCommit(t *testing.T) {
	for _, kind := range []record.Kind{record.SyncFile, record.SyncDir} {
		for errno, want := range map[syscall.Errno]protocol.Kind{syscall.EIO: protocol.KindStoreUnavailable, syscall.ENOSPC: protocol.KindStoreFull} {
			t.Run(fmt.Sprint(kind, " ", errno), func(t *testing.T) {
				rec := record.New()
				b := newEnded(t, setup{backend: localOn(t, rec)})
				content := random(1, 600_000)
				uid := b.begin(protocol.BeginUpload{Size: ptr(int64(len(content)))})
				b.put(uid, 1, content)
				rec.Inject(record.Nth(kind, 1, errno))
				_, _, err := b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
				wants(t, err, want)
				if got := b.parts(uid); len(got) != 0 {
					t.Errorf("listed %v", got)
				}
				_, _, err = b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
				wants(t, err, protocol.KindPartsMissing)
				b.put(uid, 1, content)
				b.elsewhere(uid)
				b.commit(uid, protocol.CommitUpload{})
				b.holds(uid, content)
				b.mustBeSound()
			})
		}
	}
}

// TestLossThatCannotBeRecorded: while the database does not take it, a lost
// blob is neither listed nor synced again through a new descriptor, which would
// succeed; when it does, its parts are gone.
func TestLossThatCannotBeRecorded(t *testing.T) {
	g := newGate(t)
	path := filepath.Join(t.TempDir(), "meta.db")
	b := newEnded(t, setup{backend: g, db: path, change: func(c *upload.Config) { c.IdleAfter = 10 * time.Millisecond }})
	uid := b.begin(protocol.BeginUpload{Size: ptr(int64(3))})
	g.holdSyncs() // the upload is not brought to rest
	b.put(uid, 1, []byte("abc"))
	allow := metatest.Refuse(t, path, "DELETE", "parts")
	g.failSyncs(errSync)
	_, _, err := b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
	if err == nil {
		t.Fatal("committed what was lost")
	}
	g.failSyncs(nil)
	g.allClosed()
	for range 3 {
		_, _, err = b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
		wants(t, err, protocol.KindInternal)
		_, err = b.Upload(t.Context(), owner, uid)
		wants(t, err, protocol.KindInternal)
	}
	allow()
	if got := b.parts(uid); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
	b.put(uid, 1, []byte("abc"))
	b.commit(uid, protocol.CommitUpload{})
	b.holds(uid, []byte("abc"))
	b.mustBeSound()
}

// TestDiskFull: a write that fails fails its part only, and when there is room
// again everything goes on.
func TestDiskFull(t *testing.T) {
	rec := record.New()
	b := newEnded(t, setup{backend: localOn(t, rec)})
	uid := b.begin(protocol.BeginUpload{})
	first := random(1, 600_000)
	b.put(uid, 1, first)
	rec.SetRoom(300_000)
	for range 2 { // in place, then again
		_, err := b.PutPart(t.Context(), owner, uid, 2, body(random(2, 600_000)))
		wants(t, err, protocol.KindStoreFull)
	}
	_, err := b.PutPart(t.Context(), owner, uid, 1, body(random(2, 600_000)))
	wants(t, err, protocol.KindStoreFull)
	_, err = b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: random(2, 600_000)}, nil)
	wants(t, err, protocol.KindStoreFull)
	if got := b.parts(uid); len(got) != 1 {
		t.Errorf("listed %v", got)
	}
	rec.SetRoom(-1)
	_, err = b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: random(2, 600_000)}, nil)
	wants(t, err, "")
	b.commit(uid, protocol.CommitUpload{Size: ptr(int64(len(first)))})
	b.holds(uid, first)
	b.mustBeSound()
}

// TestIdle: what nobody writes to is synced, its boot ids are cleared, and its
// descriptors are closed; it goes on afterwards.
func TestIdle(t *testing.T) {
	g := newGate(t)
	b := newEnded(t, setup{backend: g, change: func(c *upload.Config) { c.IdleAfter = 10 * time.Millisecond }})
	uid := b.begin(protocol.BeginUpload{})
	for n := range protocol.PartNumber(3) {
		b.put(uid, n+1, []byte("abc"))
		b.put(uid, n+1, []byte("def"))
		g.allClosed()
		parts, _, err := b.db.Parts(t.Context(), owner, uid)
		must(t, err)
		for _, p := range parts {
			if p.BootID != "" {
				t.Errorf("part %d is not known to be synced", p.Number)
			}
		}
	}
	if g.unsynced != 0 {
		t.Errorf("%d bytes were closed unsynced", g.unsynced)
	}
}

// TestCloseUnderWriters: a request that runs when the service is closed ends,
// is reported, and leaves no descriptor.
func TestCloseUnderWriters(t *testing.T) {
	g := newGate(t)
	b := newBench(t, setup{backend: g, change: unsynced(256 << 10)})
	uid := b.begin(protocol.BeginUpload{})
	waits := b.send(uid, 1, random(1, 600_000))
	reads := b.send(uid, 2, random(1, 600))
	g.holdSyncs()
	closed := make(chan error, 1)
	go func() { closed <- b.Close() }()
	go func() { _, _ = waits.Write(waits.p[300_000:]) }() // until the pipe closes
	g.releaseSyncs()
	if err := <-closed; err == nil {
		t.Error("closed under two requests without a word")
	}
	// Each was recorded, or was waiting for room when the service closed.
	for _, err := range []error{<-waits.done, reads.finish()} {
		if err != nil {
			wants(t, err, protocol.KindDraining)
		}
	}
	g.allClosed()
	must(t, b.db.Close())
}

// TestReplacedPartsHoldFewDescriptors: a small part that is sent over and over
// waits for a sync each time, and not for the many bytes that it never has.
func TestReplacedPartsHoldFewDescriptors(t *testing.T) {
	g := newGate(t)
	b := newEnded(t, setup{backend: g})
	uid := b.begin(protocol.BeginUpload{})
	most := 0
	for i := range 600 {
		b.put(uid, 1, fmt.Appendf(nil, "%03d", i))
		g.change(func() { most = max(most, g.opened-g.closed) })
	}
	if most > 260 {
		t.Errorf("%d descriptors were open at once", most)
	}
	must(t, b.Abort(t.Context(), owner, uid))
	g.allClosed()
}

// TestDescriptors: failing requests leave none.
func TestDescriptors(t *testing.T) {
	g := newGate(t)
	b := newEnded(t, setup{backend: g})
	long := b.begin(protocol.BeginUpload{})
	b.put(long, 1, []byte("abc"))
	wrong := func() upload.Body {
		return upload.Body{Reader: slicesReader([]byte("abc")), Length: 3, XXH3: &protocol.XXH3{}}
	}
	for i := range 500 {
		uid := long
		if i%2 == 0 {
			uid = b.begin(protocol.BeginUpload{})
		}
		_, err := b.PutPart(t.Context(), owner, uid, 1, wrong())
		wants(t, err, protocol.KindChecksumMismatch)
		if uid != long {
			must(t, b.Abort(t.Context(), owner, uid))
		}
	}
	if open := g.opened - g.closed; open != 1 {
		t.Errorf("%d descriptors are open, want that of the one upload in hand", open)
	}
	must(t, b.Abort(t.Context(), owner, long))
	g.allClosed()
}
