package upload_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/storetest"
)

// TestSettle: objects without a row go from reserved directories and from
// nowhere else; every other object stays.
func TestSettle(t *testing.T) {
	b := newEnded(t, setup{})
	ctx := t.Context()
	r, err := b.PutFile(ctx, owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	must(t, err)
	deleted, err := b.PutFile(ctx, owner, upload.NewFile{Name: "a", Body: []byte("def")}, nil)
	must(t, err)
	must(t, b.db.DeleteFile(ctx, owner, deleted.UID))
	open := b.begin(protocol.BeginUpload{Size: ptr(int64(3))})
	b.put(open, 1, []byte("ghi"))
	b.put(open, 1, []byte("ghi"))
	rows := b.objects()
	dir := rows[0].Dir()
	reserved, err := b.db.ReserveDir(ctx, b.store.Name()) // and the crash came before it was made
	must(t, err)
	put := func(d store.Dir) store.Key {
		key := store.NewKey(d)
		must(t, b.store.Put(ctx, key, bytes.NewReader([]byte("left")), 4))
		return key
	}
	put(dir)
	put(dir)
	foreign := put(store.DirOf(reserved + 1))
	removed, err := b.Settle(ctx)
	must(t, err)
	want := append(rows, foreign)
	slices.Sort(want)
	if got := b.objects(); removed != 2 || !slices.Equal(got, want) {
		t.Errorf("removed %d and left %v, want %v", removed, got, want)
	}
	if dirs, err := b.db.OpenDirs(ctx, b.store.Name()); err != nil || len(dirs) != 0 {
		t.Errorf("directories %v are still reserved (%v)", dirs, err)
	}
	b.holds(r.UID, []byte("abc"))
	b.commit(open, protocol.CommitUpload{})
	b.holds(open, []byte("ghi"))
	if removed, err := b.Settle(ctx); removed != 0 || err != nil {
		t.Errorf("settling again removed %d, %v", removed, err)
	}
}

// TestSettleFails: what could not be listed stays reserved, for the next start.
func TestSettleFails(t *testing.T) {
	g := newGate(t)
	faulty := storetest.NewFaulty(g)
	b := newEnded(t, setup{backend: files{faulty}})
	_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	must(t, err)
	key := store.NewKey(b.objects()[0].Dir())
	must(t, b.store.Put(t.Context(), key, bytes.NewReader(nil), 0))
	for _, op := range []storetest.Op{storetest.OpList, storetest.OpDelete} {
		faulty.Queue(op, storetest.Fault{Before: errGone})
		_, err = b.Settle(t.Context())
		wants(t, err, protocol.KindStoreUnavailable)
	}
	removed, err := b.Settle(t.Context())
	if removed != 1 || err != nil {
		t.Errorf("removed %d, %v", removed, err)
	}
}

// TestCleanEnd: a service that was closed while nothing was under way leaves no
// reservation, so that fsck takes an object without a row for what it is.
func TestCleanEnd(t *testing.T) {
	b := newEnded(t, setup{})
	r, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	must(t, err)
	before := b.objects()
	must(t, b.store.Put(t.Context(), store.NewKey(before[0].Dir()), bytes.NewReader(nil), 0))
	b.restart("boot 1")
	if dirs, err := b.db.OpenDirs(t.Context(), b.store.Name()); err != nil || len(dirs) != 0 {
		t.Errorf("directories %v are still reserved (%v)", dirs, err)
	}
	if got := b.objects(); !slices.Equal(got, before) {
		t.Errorf("objects %v, want %v", got, before)
	}
	b.holds(r.UID, []byte("abc"))
}

// TestEndWithoutAPlace: who has lost its place removes nothing at its end. What has
// no row may be what its successor writes at that moment.
func TestEndWithoutAPlace(t *testing.T) {
	lost := true
	b := newEnded(t, setup{change: func(c *upload.Config) {
		c.Holds = func(context.Context) error { return map[bool]error{true: meta.ErrNodeLost}[lost] }
	}})
	_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	must(t, err)
	dir := b.objects()[0].Dir()
	must(t, b.store.Put(t.Context(), store.NewKey(dir), bytes.NewReader(nil), 0))
	must(t, b.Close())
	if dirs, err := b.db.OpenDirs(t.Context(), b.store.Name()); len(b.objects()) != 2 || len(dirs) != 1 || err != nil {
		t.Errorf("%d objects and %d reserved directories are left (%v)", len(b.objects()), len(dirs), err)
	}
	lost = false
	must(t, b.Close())
	if n := len(b.objects()); n != 1 {
		t.Errorf("%d objects are left by who has its place", n)
	}
}

// TestNothingBeginsAfterClose: an object made then would lie in a directory
// that is not reserved any more.
func TestNothingBeginsAfterClose(t *testing.T) {
	b := newEnded(t, setup{})
	must(t, b.Close())
	_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	wants(t, err, protocol.KindDraining)
	if got := b.objects(); len(got) != 0 {
		t.Errorf("objects %v", got)
	}
}

// TestDirectoryThatCannotBeMade: a store that fails uses up one number, not
// one a request.
func TestDirectoryThatCannotBeMade(t *testing.T) {
	failing := &unmade{gate: newGate(t)}
	b := newEnded(t, setup{backend: failing})
	failing.err = errGone
	for range 3 {
		_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
		wants(t, err, protocol.KindStoreUnavailable)
	}
	failing.err = nil
	_, err := b.PutFile(t.Context(), owner, upload.NewFile{Name: "a", Body: []byte("abc")}, nil)
	must(t, err)
	if dirs, err := b.db.OpenDirs(t.Context(), b.store.Name()); err != nil || len(dirs) != 1 {
		t.Errorf("directories %v are reserved (%v)", dirs, err)
	}
}

// unmade is a store that may fail to make directories.
type unmade struct {
	*gate
	err error
}

// MakeDir is store.DirMaker's.
func (u *unmade) MakeDir(ctx context.Context, dir store.Dir) error {
	if u.err != nil {
		return u.err
	}
	return u.gate.MakeDir(ctx, dir)
}
