package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// readThrough is all of a content, block by block; before is called before each.
func (b *bench) readThrough(r *Reading, before func(block int64)) ([]byte, error) {
	var got []byte
	for block := range r.Blocks() {
		before(block)
		p, err := r.Block(b.t.Context(), block)
		if err != nil {
			return got, err
		}
		if int64(len(p)) != r.Length(block) {
			b.t.Fatalf("block %d has %d bytes, its length is %d", block, len(p), r.Length(block))
		}
		got = append(got, p...)
	}
	return got, nil
}

func TestReadingGivesAllBytes(t *testing.T) {
	for _, kind := range kinds {
		for name, lengths := range layouts {
			t.Run(kind+"/"+name, func(t *testing.T) {
				b := newBench(t, kind, VerifyOff)
				for _, size := range []int{0, 1, bs - 1, bs, bs + 1, 3*bs + 7} {
					data := noise(size)
					r, err := b.svc.Through(t.Context(), b.contentOf(b.put(data, lengths...)).ID)
					must(t, err)
					got, err := b.readThrough(r, func(int64) {})
					if err != nil || !bytes.Equal(got, data) || r.Size() != int64(size) || r.Moved() {
						t.Errorf("%d bytes: %v, moved %v", size, err, r.Moved())
					}
					if !r.InStores(func(s string) bool { return s == "disk" }) || size > 0 && r.InStores(func(string) bool { return false }) {
						t.Error("it does not say in which stores it lies")
					}
					must(t, r.Close())
				}
			})
		}
	}
}

func TestReadingFollowsWhatMoves(t *testing.T) {
	data := noise(3*bs + 5)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyFirst)
			uid := b.put(data, bs)
			gen := b.contentOf(uid).Gen
			r, err := b.svc.Through(t.Context(), b.contentOf(uid).ID)
			must(t, err)
			got, err := b.readThrough(r, func(block int64) {
				if block == 1 {
					b.put(data, 12_345) // wins, in other blobs
					b.change(uid, 0, func([]byte) []byte { return nil })
					b.change(uid, 1, func([]byte) []byte { return nil })
				}
			})
			if err != nil || !bytes.Equal(got, data) || !r.Moved() || r.Gen() != gen+1 {
				t.Errorf("%v, moved %v to gen %d", err, r.Moved(), r.Gen())
			}
			must(t, r.Close())
		})
	}
}

func TestReadingGivesNothingOfADamagedBlock(t *testing.T) {
	data := noise(3 * bs)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyOff)
			uid := b.put(data)
			b.change(uid, 0, func(o []byte) []byte { o[len(o)-2] ^= 1; return o })
			id := b.contentOf(uid).ID
			r, err := b.svc.Through(t.Context(), id)
			must(t, err)
			got, err := b.readThrough(r, func(int64) {})
			wantKind(t, err, protocol.KindContentCorrupt)
			if !bytes.Equal(got, data[:2*bs]) {
				t.Errorf("%d bytes were given", len(got))
			}
			wantKind(t, r.Check(t.Context(), 2), protocol.KindContentCorrupt)
			must(t, r.Check(t.Context(), 1))
			must(t, r.Close())
			if mc := b.contentOf(uid); mc.State != meta.ContentDamaged {
				t.Errorf("the content is %s", mc.State)
			}
			// What one reading says and the next does not is no damage.
			other := b.put(noise(1000))
			b.svc.cfg.Stores = map[string]*store.Store{"disk": store.New("disk", &flaky{Backend: b.backend, left: 1}, store.Options{})}
			r, err = b.svc.Through(t.Context(), b.contentOf(other).ID)
			must(t, err)
			if got, err := b.readThrough(r, func(int64) {}); err != nil || !bytes.Equal(got, noise(1000)) {
				t.Errorf("a second reading: %v", err)
			}
			must(t, r.Close())
			must(t, b.svc.Delete(t.Context(), owner, uid))
			_, err = b.svc.Through(t.Context(), id)
			wantKind(t, err, protocol.KindNotFound)
		})
	}
}

// putUnknown makes a File of data whose digest nobody knows, in blobs as put
// does, each with its XXH3 on record where sums holds.
func (b *bench) putUnknown(data []byte, sums bool, lengths ...int) protocol.UID {
	b.t.Helper()
	ctx := b.t.Context()
	uid, size := b.begin(data)
	var extents []meta.Extent
	for _, n := range append(lengths, len(data)) {
		if n = min(n, len(data)); n == 0 {
			continue
		}
		e := b.blob(uid, data[:n])
		if sums {
			sum := protocol.SumXXH3(data[:n])
			e.XXH3 = &sum
		}
		extents, data = append(extents, e), data[n:]
	}
	_, err := b.db.Commit(ctx, meta.Commit{Owner: owner, UID: uid, CommittedAt: b.clock.Now(), Size: size, ETag: fmt.Sprintf(`"u%d"`, uid), Extents: extents})
	must(b.t, err)
	b.extents[uid] = extents
	return uid
}

// collector keeps what the last pass gave.
type collector struct {
	got    []byte
	passes int
}

func (k *collector) pass() func([]byte) error {
	k.got, k.passes = nil, k.passes+1
	return func(p []byte) error {
		k.got = append(k.got, p...)
		return nil
	}
}

func TestUnrecorded(t *testing.T) {
	data := noise(2*bs + 5)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyFirst)
			for _, sums := range []bool{true, false} {
				uid := b.putUnknown(data, sums, 1, 100_000, bs)
				mc := b.contentOf(uid)
				var k collector
				gen, err := b.svc.Unrecorded(t.Context(), mc.ID, k.pass)
				if err != nil || gen != mc.Gen || k.passes != 1 || !bytes.Equal(k.got, data) {
					t.Errorf("%d passes, gen %d, %v", k.passes, gen, err)
				}
			}
			var k collector
			_, err := b.svc.Unrecorded(t.Context(), b.contentOf(b.putUnknown(nil, true)).ID, k.pass)
			must(t, err)
			if len(k.got) != 0 || k.passes != 1 {
				t.Errorf("of nothing %d bytes were given in %d passes", len(k.got), k.passes)
			}
			_, err = b.svc.Unrecorded(t.Context(), 7777, k.pass)
			wantKind(t, err, protocol.KindNotFound)
		})
	}
}

func TestUnrecordedIsComparedWithWhatTheExtentsKeep(t *testing.T) {
	data := noise(bs)
	for _, c := range []struct {
		sums bool
		harm func(o []byte) []byte
		want protocol.Kind
	}{
		{true, func(o []byte) []byte { o[5] ^= 1; return o }, protocol.KindContentCorrupt},
		{false, func(o []byte) []byte { o[5] ^= 1; return o }, ""}, // nobody can know
		{false, func(o []byte) []byte { return o[:len(o)-2] }, protocol.KindContentCorrupt},
		{false, func([]byte) []byte { return nil }, protocol.KindContentCorrupt},
	} {
		b := newBench(t, "mem", VerifyFirst)
		uid := b.putUnknown(data, c.sums, 1000)
		b.change(uid, 1, c.harm)
		var k collector
		_, err := b.svc.Unrecorded(t.Context(), b.contentOf(uid).ID, k.pass)
		wantKind(t, err, c.want)
		damaged := b.contentOf(uid).State == meta.ContentDamaged
		if wanted := c.want != ""; damaged != wanted || (k.passes == 2) != wanted {
			t.Errorf("damaged %v after %d passes", damaged, k.passes)
		}
	}
}

// What was given before a reading that did not match is forgotten by a pass
// anew.
func TestUnrecordedBeginsAnewWhereInDoubt(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	data := noise(bs)
	uid := b.putUnknown(data, true, 1000)
	b.svc.cfg.Stores = map[string]*store.Store{"disk": store.New("disk", &flaky{Backend: b.backend, left: 1}, store.Options{})}
	var k collector
	_, err := b.svc.Unrecorded(t.Context(), b.contentOf(uid).ID, k.pass)
	if err != nil || k.passes != 2 || !bytes.Equal(k.got, data) || len(b.corruptions()) != 0 {
		t.Errorf("%d passes, %v, told of %v", k.passes, err, b.corruptions())
	}
}

func TestUnrecordedEndsWithWhoTakesIt(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	id := b.contentOf(b.putUnknown(noise(1000), true)).ID
	full := errors.New("full")
	_, err := b.svc.Unrecorded(t.Context(), id, func() func([]byte) error { return func([]byte) error { return full } })
	if !errors.Is(err, full) {
		t.Errorf("it ended with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var k collector
	if _, err := b.svc.Unrecorded(ctx, id, k.pass); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
