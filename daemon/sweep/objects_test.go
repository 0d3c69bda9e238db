package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
)

var errBroken = errors.New("broken")

// doomed are records of blobs that are doomed, in order of their ids, and
// nothing else.
type doomed struct {
	idle

	blobs []meta.Blob
	gone  []meta.BlobID
	// listed are the stores of what was listed.
	listed []string
	// knows is what StoreKnown says, unless it fails with unknowing.
	knows     bool
	unknowing error
}

func (d *doomed) StoreKnown(context.Context, string) (bool, error) { return d.knows, d.unknowing }

func (d *doomed) NamedStores(context.Context) (names []string, err error) {
	for _, b := range d.blobs {
		names = append(names, b.Store)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (d *doomed) page(state meta.BlobState, in string, after *meta.Blob, limit int) (page []meta.Blob) {
	for _, b := range d.blobs {
		if b.State == state && (in == "" || in == b.Store) && (after == nil || b.ID > after.ID) && len(page) < limit {
			page = append(page, b)
			d.listed = append(d.listed, b.Store)
		}
	}
	return page
}

func (d *doomed) Doomed(_ context.Context, in string, _ time.Time, after *meta.Blob, limit int) ([]meta.Blob, error) {
	return d.page(meta.BlobDoomed, in, after, limit), nil
}

func (d *doomed) Tombstones(_ context.Context, in string, _ time.Time, after *meta.Blob, limit int) ([]meta.Blob, error) {
	return d.page(meta.BlobGone, in, after, limit), nil
}

func (d *doomed) MarkGone(_ context.Context, ids []meta.BlobID) error {
	d.gone = append(d.gone, ids...)
	d.blobs = slices.DeleteFunc(d.blobs, func(b meta.Blob) bool { return slices.Contains(ids, b.ID) })
	return nil
}

func (d *doomed) RemoveTombstones(ctx context.Context, ids []meta.BlobID) error {
	return d.MarkGone(ctx, ids)
}

// bin is a store with objects that are to go.
type bin struct {
	doomed
	inner  *mem.Backend
	faults storetest.FaultyObjects
	sweep  *Sweeper
}

// newBin makes one with n objects.
func newBin(t *testing.T, n, attempts int) *bin {
	t.Helper()
	b := &bin{inner: mem.New()}
	b.faults = storetest.NewFaultyObjects(b.inner)
	for range n {
		b.add(t, meta.OriginOwn)
	}
	st := store.New("far", b.faults, store.Options{Attempts: attempts, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	b.sweep = New(Config{Meta: &b.doomed, Stores: map[string]*store.Store{"far": st}, Logger: quiet()})
	return b
}

// add dooms one more.
func (b *bin) add(t *testing.T, origin meta.BlobOrigin) *meta.Blob {
	t.Helper()
	id := meta.BlobID(len(b.blobs) + 1)
	object := meta.NewBlob{Store: "far", Key: string(store.NewKey("00000001")), Size: 1}
	blob := meta.Blob{ID: id, NewBlob: object, State: meta.BlobDoomed, Origin: origin}
	err := error(nil)
	if origin == meta.OriginOwn {
		err = b.inner.Put(t.Context(), store.Key(blob.Key), strings.NewReader("x"), 1)
	} else {
		name := fmt.Sprint("theirs/", id)
		blob.Key = string(store.ForeignKey(name))
		err = b.inner.PutForeign(t.Context(), name, "", []byte("x"))
		if err == nil {
			var f store.Found
			f, err = b.inner.Describe(t.Context(), name)
			blob.Tag = f.Tag
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	b.blobs = append(b.blobs, blob)
	return &b.blobs[len(b.blobs)-1]
}

func (b *bin) round(t *testing.T) Report {
	t.Helper()
	r, err := b.sweep.Round(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lies reports whether there is an object of the blob.
func (b *bin) lies(t *testing.T, key string) bool {
	t.Helper()
	_, err := b.inner.Stat(t.Context(), store.Key(key))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// kept are the doomed blobs, each of which must have an object that lies there.
func (b *bin) kept(t *testing.T) (ids []meta.BlobID) {
	t.Helper()
	objects := 0
	for range b.inner.List(t.Context(), "", "") {
		objects++
	}
	for _, blob := range b.blobs {
		if ids = append(ids, blob.ID); !b.lies(t, blob.Key) {
			t.Errorf("the object of blob %d is gone, and it is doomed still", blob.ID)
		}
	}
	if objects != len(ids) {
		t.Errorf("%d objects lie there, of %d doomed blobs", objects, len(ids))
	}
	return ids
}

// TestBatches: what is doomed goes with one request a page.
func TestBatches(t *testing.T) {
	b := newBin(t, 600, 1)
	if r := b.round(t); r.Deleted != 600 || r.Bytes != 600 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	if n := b.faults.Calls(storetest.OpDeleteAll); n != 3 || len(b.kept(t)) != 0 {
		t.Errorf("%d requests, %d are left", n, len(b.blobs))
	}
}

// TestOneOfABatchStays: what fails of a batch stays doomed and is told of, the
// others go, in that page and the next ones.
func TestOneOfABatchStays(t *testing.T) {
	b := newBin(t, 600, 1)
	b.faults.Otherwise(func(op storetest.Op, call int) storetest.Fault {
		if op == storetest.OpDelete && call <= 20 { // more than a store may fail, one by one
			return storetest.Fault{Before: errBroken}
		}
		return storetest.Fault{}
	})
	if r := b.round(t); r.Deleted != 580 || r.Failed != 20 || len(b.gone) != 580 {
		t.Errorf("%+v, %d marked", r, len(b.gone))
	}
	if kept := b.kept(t); len(kept) != 20 || kept[0] != 1 || kept[19] != 20 {
		t.Errorf("kept %v", kept)
	}
	if r := b.round(t); r.Deleted != 20 || r.Failed != 0 || len(b.kept(t)) != 0 {
		t.Errorf("the next round: %+v", r)
	}
}

// TestBatchesInVain: a store that does nothing is left alone after one page, and
// nothing of it is taken for deleted, nor of a request whose answer got lost.
func TestBatchesInVain(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"it is away": {Before: errBroken}, "it does not answer": {After: errBroken}} {
		b := newBin(t, 600, 2)
		b.faults.Queue(storetest.OpDeleteAll, fault, fault)
		if r := b.round(t); r.Deleted != 0 || r.Failed != 600 || len(b.gone) != 0 || len(b.blobs) != 600 {
			t.Errorf("%s: %+v", name, r)
		}
		if n := b.faults.Calls(storetest.OpDeleteAll); n != 2 {
			t.Errorf("%s: %d requests", name, n)
		}
		if r := b.round(t); r.Deleted != 600 || len(b.kept(t)) != 0 {
			t.Errorf("%s: the next round: %+v", name, r)
		}
	}
}

// TestBatchesByOrigin: an adopted object goes, by itself; one that is foreign
// stays where it is, and its blob goes.
func TestBatchesByOrigin(t *testing.T) {
	b := newBin(t, 3, 1)
	adopted, foreign := b.add(t, meta.OriginAdopted).Key, b.add(t, meta.OriginForeign).Key
	b.faults.Queue(storetest.OpDelete, storetest.Fault{Before: errBroken}) // the adopted one, which goes before
	if r := b.round(t); r.Deleted != 3 || r.Failed != 1 || !b.lies(t, adopted) || !b.lies(t, foreign) || len(b.blobs) != 1 {
		t.Errorf("the adopted one fails: %+v, left %v", r, b.blobs)
	}
	if r := b.round(t); r.Deleted != 1 || b.lies(t, adopted) || !b.lies(t, foreign) || len(b.blobs) != 0 {
		t.Errorf("it goes: %+v, left %v", r, b.blobs)
	}
	if n := b.faults.Calls(storetest.OpDeleteAll); n != 1 {
		t.Errorf("%d requests for many", n)
	}
}

// TestAdoptedObjectsThatOthersReplaced: an adopted object that is not the one any
// more that was adopted stays, and its blob goes on; so does that of one that is
// gone. A delete whose answer was lost is not tried again blindly.
func TestAdoptedObjectsThatOthersReplaced(t *testing.T) {
	b := newBin(t, 0, 3)
	replace := func(key string, data string) {
		name, _ := store.Key(key).Foreign()
		if err := b.inner.PutForeign(t.Context(), name, "", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	same, other, longer, gone := b.add(t, meta.OriginAdopted).Key, b.add(t, meta.OriginAdopted).Key, b.add(t, meta.OriginAdopted).Key, b.add(t, meta.OriginAdopted).Key
	replace(other, "y")
	replace(longer, "xx")
	if err := b.inner.Delete(t.Context(), store.Key(gone)); err != nil {
		t.Fatal(err)
	}
	if r := b.round(t); r.Deleted != 1 || r.Failed != 0 || b.lies(t, same) || !b.lies(t, other) || !b.lies(t, longer) || len(b.blobs) != 0 {
		t.Errorf("%+v, left %v", r, b.blobs)
	}
	lost := b.add(t, meta.OriginAdopted).Key
	b.faults.Queue(storetest.OpDelete, storetest.Fault{After: errBroken})
	before := b.faults.Calls(storetest.OpDelete)
	if r := b.round(t); r.Failed != 1 || b.lies(t, lost) || b.faults.Calls(storetest.OpDelete) != before+1 || len(b.blobs) != 1 {
		t.Errorf("a lost answer: %+v, %d deletes", r, b.faults.Calls(storetest.OpDelete)-before)
	}
	replace(lost, "z")
	if r := b.round(t); r.Failed != 0 || !b.lies(t, lost) || b.faults.Calls(storetest.OpDelete) != before+1 || len(b.blobs) != 0 {
		t.Errorf("the next round: %+v, %d deletes", r, b.faults.Calls(storetest.OpDelete)-before)
	}
	b.faults.Queue(storetest.OpDescribe, storetest.Fault{Before: store.ErrDenied})
	b.add(t, meta.OriginAdopted)
	if r := b.round(t); r.Failed != 1 || len(b.blobs) != 1 {
		t.Errorf("one that cannot be looked at: %+v", r)
	}
}

// TestBatchesAfterTheirCompositions: what could still be finished is not
// deleted.
func TestBatchesAfterTheirCompositions(t *testing.T) {
	b := newBin(t, 3, 1)
	for i := range b.blobs[:2] {
		id, err := b.inner.BeginCompose(t.Context(), store.Key(b.blobs[i].Key))
		if err != nil {
			t.Fatal(err)
		}
		b.blobs[i].ComposeID = string(id)
	}
	b.faults.Queue(storetest.OpAbandonCompose, storetest.Fault{Before: errBroken})
	deletedTooEarly := false
	b.faults.Otherwise(func(op storetest.Op, _ int) storetest.Fault {
		begun := 0
		for range b.inner.Unfinished(t.Context()) {
			begun++
		}
		deletedTooEarly = deletedTooEarly || op == storetest.OpDelete && begun != 1
		return storetest.Fault{}
	})
	if r := b.sweepOnly(t); r.Deleted != 2 || r.Failed != 1 || deletedTooEarly {
		t.Errorf("one composition cannot be ended: %+v, too early: %v", r, deletedTooEarly)
	}
	if kept := b.kept(t); len(kept) != 1 || kept[0] == 3 {
		t.Errorf("kept %v", kept)
	}
}

// sweepOnly deletes, and does not look for what is unfinished.
func (b *bin) sweepOnly(t *testing.T) Report {
	t.Helper()
	r := newRound(b.sweep)
	if err := r.delete(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	return r.report
}

// TestBatchesOfTombstones: what is gone is deleted once more in batches too, but
// for what was adopted, under whose key somebody's new object may lie.
func TestBatchesOfTombstones(t *testing.T) {
	b := newBin(t, 300, 1)
	adopted := b.add(t, meta.OriginAdopted).Key
	old := time.Now().Add(-2 * keepRows)
	for i := range b.blobs {
		b.blobs[i].State, b.blobs[i].GoneAt = meta.BlobGone, &old
	}
	if r := b.round(t); r.Forgotten != 301 || r.Failed != 0 || !b.lies(t, adopted) || len(b.kept(t)) != 0 {
		t.Errorf("%+v", r)
	}
	if n := b.faults.Calls(storetest.OpDeleteAll); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestBatchesEndWithTheRound: what is not certain when the round ends stays, and
// says nothing of the store.
func TestBatchesEndWithTheRound(t *testing.T) {
	b := newBin(t, 20, 1)
	ctx, cancel := context.WithCancel(t.Context())
	b.faults.Otherwise(func(op storetest.Op, call int) storetest.Fault {
		if op == storetest.OpDelete && call == 6 {
			cancel()
		}
		return storetest.Fault{}
	})
	r := newRound(b.sweep)
	page, err := b.Doomed(ctx, "", time.Time{}, nil, batch)
	if err != nil {
		t.Fatal(err)
	}
	if deleted := r.objects(ctx, page); len(deleted) != 5 || len(r.failures) != 0 || len(b.sweep.failing) != 0 {
		t.Errorf("%d deleted, failures %v, failing %v", len(deleted), r.failures, b.sweep.failing)
	}
}

// TestBatchOfAStoreThatIsLeftAlone: what is not asked for is not taken for
// deleted.
func TestBatchOfAStoreThatIsLeftAlone(t *testing.T) {
	b := newBin(t, 2*failuresMax, 1)
	for i := range b.blobs[:failuresMax] {
		b.blobs[i].ComposeID = "of a storage that is away"
	}
	b.faults.Otherwise(func(op storetest.Op, _ int) storetest.Fault {
		if op == storetest.OpAbandonCompose {
			return storetest.Fault{Before: errBroken}
		}
		return storetest.Fault{}
	})
	if r := b.round(t); r.Deleted != 0 || r.Failed != 2*failuresMax || len(b.kept(t)) != 2*failuresMax {
		t.Errorf("%+v", r)
	}
	if n := b.faults.Calls(storetest.OpDeleteAll); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestStoreThatIsNotConfigured: what was written to a store stays doomed until that
// is back; of one that was never known nothing was ever written.
func TestStoreThatIsNotConfigured(t *testing.T) {
	for name, want := range map[string]struct{ gone, failed int }{"known": {0, 1}, "never known": {1, 0}} {
		b := newBin(t, 1, 1)
		b.knows = want.gone == 0
		delete(b.sweep.cfg.Stores, "far")
		if r, err := b.sweep.Sweep(t.Context()); err != nil || len(b.gone) != want.gone || r.Failed != want.failed {
			t.Errorf("%s: %d are gone, %+v, %v", name, len(b.gone), r, err)
		}
	}
}

// TestNobodyKnowsWhichStore: where the database does not say, the blob stays.
func TestNobodyKnowsWhichStore(t *testing.T) {
	b := newBin(t, 1, 1)
	b.unknowing = errBroken
	delete(b.sweep.cfg.Stores, "far")
	if r, err := b.sweep.Sweep(t.Context()); err != nil || len(b.gone) != 0 || r.Failed != 1 {
		t.Errorf("%d are gone, %+v, %v", len(b.gone), r, err)
	}
}
