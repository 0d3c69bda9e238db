package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

const bs = protocol.BlockSize

// kinds are the stores: one of files, one of objects, and that where there is
// no room to read ahead.
var kinds = []string{"local", "mem", "streamed"}

// layouts are ways to cut content into blobs.
var layouts = map[string][]int{
	"one blob":       nil,
	"parts":          {bs, bs, bs},
	"odd":            {1, 65_535, bs, 3, bs - 7},
	"across a block": {bs + bs/2},
	"small":          {1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20},
}

// ranges are offset and length: from each edge of a block to the edges next to
// it and to the end.
func ranges(size int64) [][2]int64 {
	edges := []int64{0, 1, size - 1, size}
	for e := int64(bs); e < size; e += bs {
		edges = append(edges, e-1, e, e+1)
	}
	edges = slices.DeleteFunc(edges, func(e int64) bool { return e < 0 || e > size })
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var rs [][2]int64
	for i, from := range edges {
		for _, to := range edges[i:min(i+4, len(edges))] {
			rs = append(rs, [2]int64{from, to - from})
		}
		rs = append(rs, [2]int64{from, size - from})
	}
	return rs
}

func TestAnyCutAndAnyRange(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyAlways)
			whole := noise(bs + bs/2)
			rapid.Check(t, func(rt *rapid.T) {
				data := whole[:rapid.IntRange(1, len(whole)).Draw(rt, "size")]
				cuts := rapid.SliceOfN(rapid.IntRange(1, bs), 0, 12).Draw(rt, "lengths")
				uid := b.put(data, cuts...)
				off := rapid.IntRange(0, len(data)).Draw(rt, "off")
				n := rapid.IntRange(0, len(data)-off).Draw(rt, "n")
				got, err := b.read(uid, int64(off), int64(n))
				if err != nil {
					rt.Fatal(err)
				}
				if !bytes.Equal(got, data[off:off+n]) {
					rt.Fatal("wrong bytes")
				}
			})
		})
	}
}

func TestRangeOutsideIsRefused(t *testing.T) {
	b := newBench(t, "local", VerifyFirst)
	uid := b.put(noise(10))
	for _, r := range [][2]int64{{-1, 1}, {0, -1}, {0, 11}, {11, 0}, {10, 1}, {1, 1<<63 - 1}} {
		_, err := b.read(uid, r[0], r[1])
		wantKind(t, err, protocol.KindRange)
	}
	c, err := b.svc.Open(t.Context(), owner, uid)
	must(t, err)
	defer c.Close()
	wantKind(t, c.Check(t.Context(), 0, 11), protocol.KindRange)
	must(t, c.Check(t.Context(), 10, 0))
	if len(b.corruptions()) != 0 {
		t.Fatalf("a wrong range was taken for damage: %v", b.corruptions())
	}
}

func TestFlippedBitNeverLeavesWithItsBlock(t *testing.T) {
	data := noise(2*bs + 100_000)
	for _, kind := range kinds {
		for block, at := range map[int64]int{0: 0, 1: bs + bs/2, 2: 2*bs + 99_999} {
			t.Run(fmt.Sprintf("%s/block %d", kind, block), func(t *testing.T) {
				b := newBench(t, kind, VerifyFirst)
				uid := b.put(data)
				b.change(uid, 0, func(o []byte) []byte {
					o[1+at] ^= 4
					return o
				})
				got, err := b.read(uid, 0, int64(len(data)))
				wantKind(t, err, protocol.KindContentCorrupt)
				most := block * bs
				if kind == "streamed" {
					// A streamed block holds its end back only.
					most = max(most, blockEnd(block, int64(len(data)))-holdBack)
				}
				if int64(len(got)) > most {
					t.Fatalf("%d bytes left, the damaged block begins at %d", len(got), block*bs)
				}
				if good := min(int64(len(got)), block*bs); !bytes.Equal(got[:good], data[:good]) {
					t.Fatal("the blocks before the damaged one are wrong")
				}
				cs := b.corruptions()
				if len(cs) != 1 || cs[0].UID != uid || cs[0].Block != block || cs[0].Err == nil {
					t.Fatalf("told of %v", cs)
				}
				_, err = b.svc.Open(t.Context(), owner, uid)
				wantKind(t, err, protocol.KindContentCorrupt)
			})
		}
	}
}

func TestSmallRangeOfADamagedBlockGivesNothing(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyFirst)
			data := noise(bs)
			uid := b.put(data)
			b.change(uid, 0, func(o []byte) []byte {
				o[len(o)/2] ^= 1
				return o
			})
			// The bytes asked for are good; their block is not.
			got, err := b.read(uid, 10, 1000)
			wantKind(t, err, protocol.KindContentCorrupt)
			if len(got) != 0 {
				t.Fatalf("%d bytes left", len(got))
			}
		})
	}
}

func TestWhatIsNotThereIsCorrupt(t *testing.T) {
	data := noise(2 * bs)
	for _, kind := range kinds {
		for name, damage := range map[string]func(b *bench, uid protocol.UID){
			"truncated": func(b *bench, uid protocol.UID) {
				b.change(uid, 1, func(o []byte) []byte { return o[:len(o)-100] })
			},
			"emptied": func(b *bench, uid protocol.UID) {
				b.change(uid, 1, func(o []byte) []byte { return o[:0] })
			},
			"missing": func(b *bench, uid protocol.UID) {
				b.change(uid, 1, func([]byte) []byte { return nil })
			},
			"swapped": func(b *bench, uid protocol.UID) {
				first, second := b.object(b.extents[uid][0].Key), b.object(b.extents[uid][1].Key)
				b.rewrite(b.extents[uid][0].Key, second)
				b.rewrite(b.extents[uid][1].Key, first)
			},
			"zeroed": func(b *bench, uid protocol.UID) {
				b.change(uid, 1, func(o []byte) []byte { return make([]byte, len(o)) })
			},
		} {
			for _, mode := range []VerifyMode{VerifyFirst, VerifyAlways} {
				t.Run(fmt.Sprintf("%s/%s/%s", kind, name, mode), func(t *testing.T) {
					b := newBench(t, kind, mode)
					uid := b.put(data, bs)
					damage(b, uid)
					got, err := b.read(uid, 0, 2*bs)
					wantKind(t, err, protocol.KindContentCorrupt)
					if len(got) >= 2*bs {
						t.Fatal("the whole length was sent")
					}
					if len(b.corruptions()) != 1 {
						t.Fatalf("told of %v", b.corruptions())
					}
				})
			}
		}
	}
}

func TestUncheckedBytesThatAreMissingAreStillAnError(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyOff)
			data := noise(bs + 10)
			uid := b.put(data)
			got, err := b.read(uid, 0, bs+10)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			b.change(uid, 0, func(o []byte) []byte { return o[:100] })
			c, err := b.svc.Open(t.Context(), owner, uid)
			must(t, err)
			defer c.Close()
			wantKind(t, c.Check(t.Context(), bs, 10), protocol.KindContentCorrupt)
			wantKind(t, c.WriteRange(t.Context(), io.Discard, 0, bs+10), protocol.KindContentCorrupt)
		})
	}
}

func TestCheckMeetsDamageBeforeAnythingIsSent(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyFirst)
			data := noise(3 * bs)
			uid := b.put(data)
			b.change(uid, 0, func(o []byte) []byte {
				o[bs+5] ^= 128
				return o
			})
			c, err := b.svc.Open(t.Context(), owner, uid)
			must(t, err)
			defer c.Close()
			must(t, c.Check(t.Context(), 5, 2*bs))
			must(t, c.Check(t.Context(), 2*bs, 1))
			wantKind(t, c.Check(t.Context(), bs, 1), protocol.KindContentCorrupt)
		})
	}
}

func TestReputHealsForReadersAfterAndDuring(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyFirst)
			data := noise(2 * bs)
			uid := b.put(data, bs)
			b.change(uid, 1, func(o []byte) []byte {
				o[7] ^= 1
				return o
			})
			during, err := b.svc.Open(t.Context(), owner, uid)
			must(t, err)
			defer during.Close()
			var got bytes.Buffer
			must(t, during.WriteRange(t.Context(), &got, 0, bs))

			b.put(data)
			err = during.WriteRange(t.Context(), &got, bs, bs)
			if kind == "streamed" {
				// Part of the damaged block has left: only a cut is honest.
				wantKind(t, err, protocol.KindStoreUnavailable)
			} else if err != nil || !bytes.Equal(got.Bytes(), data) {
				t.Fatalf("during: %v", err)
			}
			again, err := b.read(uid, 0, 2*bs)
			if err != nil || !bytes.Equal(again, data) {
				t.Fatalf("after: %v", err)
			}
			if len(b.corruptions()) != 0 {
				t.Fatalf("told of %v", b.corruptions())
			}
		})
	}
}

// mover calls move once, when the first byte is written to it.
type mover struct {
	bytes.Buffer
	move func()
}

func (m *mover) Write(p []byte) (int, error) {
	if m.move != nil {
		m.move()
		m.move = nil
	}
	return m.Buffer.Write(p)
}

func TestReadingGoesOnWhileContentMoves(t *testing.T) {
	data := noise(3*bs + 5)
	for _, kind := range kinds {
		for name, lengths := range layouts {
			t.Run(kind+"/"+name, func(t *testing.T) {
				b := newBench(t, kind, VerifyFirst)
				uid := b.put(data, lengths...)
				c, err := b.svc.Open(t.Context(), owner, uid)
				must(t, err)
				defer c.Close()
				out := &mover{move: func() {
					b.put(data, 12_345, bs) // wins, in other blobs
					for i := range b.extents[uid] {
						b.change(uid, i, func([]byte) []byte { return nil })
					}
				}}
				var old []place
				for block, r := range blocksOfData(data) {
					old = append(old, placeOf(c.blockPieces(int64(block)), r.XXH3))
				}
				must(t, c.WriteRange(t.Context(), out, 3, int64(len(data))-3))
				if !bytes.Equal(out.Bytes(), data[3:]) {
					t.Fatal("wrong bytes")
				}
				if len(b.corruptions()) != 0 {
					t.Fatalf("told of %v", b.corruptions())
				}
				// Nothing after the first block was read where it was.
				for block := 1; kind == "streamed" && block < len(old); block++ {
					if b.svc.seen.has(old[block]) {
						t.Errorf("block %d counts as checked where it was not read", block)
					}
				}
			})
		}
	}
}

func TestBytesThatMovedAfterTheirCheckAreCheckedAgain(t *testing.T) {
	for _, mode := range []VerifyMode{VerifyFirst, VerifyAlways} {
		b := newBench(t, "streamed", mode)
		data := noise(bs)
		uid := b.put(data)
		c, err := b.svc.Open(t.Context(), owner, uid)
		must(t, err)
		defer c.Close()
		must(t, c.Check(t.Context(), 10, 1000))
		again := b.put(data)
		b.change(again, 0, func(o []byte) []byte {
			o[500] ^= 1
			return o
		})
		b.change(uid, 0, func([]byte) []byte { return nil })
		var got bytes.Buffer
		wantKind(t, c.WriteRange(t.Context(), &got, 10, 1000), protocol.KindContentCorrupt)
		if got.Len() != 0 {
			t.Errorf("%s: %d bytes left unchecked", mode, got.Len())
		}
	}
}

// Two blocks that begin at one place and go on at others are two places.
func TestPlaceIsAllOfTheBlock(t *testing.T) {
	e := func(blob meta.BlobID) *meta.Extent { return &meta.Extent{Blob: blob} }
	first := layout.Piece{Blob: e(1), Offset: 5, Length: 10}
	seen := map[place]bool{}
	lists := [][]layout.Piece{
		{first},
		{first, {Blob: e(2), Offset: 5, Length: 10}},
		{first, {Blob: e(3), Offset: 5, Length: 10}},
		{first, {Blob: e(2), Offset: 6, Length: 10}},
		{{Blob: e(1), Offset: 5, Length: 9}, {Blob: e(2), Offset: 5, Length: 11}},
		{{Blob: e(1), Offset: 6, Length: 10}},
		{{Blob: e(2), Offset: 5, Length: 10}},
	}
	for _, ps := range lists {
		seen[placeOf(ps, protocol.XXH3{1})] = true
	}
	seen[placeOf(lists[0], protocol.XXH3{2})] = true
	if len(seen) != len(lists)+1 {
		t.Errorf("%d places of %d", len(seen), len(lists)+1)
	}
}

func TestDeletedWhileReadIsNotFound(t *testing.T) {
	b := newBench(t, "local", VerifyFirst)
	data := noise(2 * bs)
	uid := b.put(data, bs)
	c, err := b.svc.Open(t.Context(), owner, uid)
	must(t, err)
	defer c.Close()
	must(t, c.WriteRange(t.Context(), io.Discard, 0, bs))
	must(t, b.svc.Delete(t.Context(), owner, uid))
	b.change(uid, 1, func([]byte) []byte { return nil })
	wantKind(t, c.WriteRange(t.Context(), io.Discard, bs, bs), protocol.KindNotFound)
	if len(b.corruptions()) != 0 {
		t.Fatalf("a deleted File was taken for damage: %v", b.corruptions())
	}
}

func TestModesSayWhenABlockIsReadAgain(t *testing.T) {
	for _, c := range []struct {
		mode VerifyMode
		wait time.Duration
		kind protocol.Kind
	}{
		{VerifyAlways, 0, protocol.KindContentCorrupt},
		{VerifyFirst, seenFor - 1, ""},
		{VerifyFirst, seenFor, protocol.KindContentCorrupt},
		{VerifyFirst, -1, protocol.KindContentCorrupt}, // a clock that went back is not trusted
		{VerifyOff, 24 * time.Hour, ""},
	} {
		t.Run(fmt.Sprintf("%s after %s", c.mode, c.wait), func(t *testing.T) {
			b := newBench(t, "local", c.mode)
			uid := b.put(noise(bs))
			_, err := b.read(uid, 0, bs)
			must(t, err)
			b.change(uid, 0, func(o []byte) []byte {
				o[9] ^= 1
				return o
			})
			b.clock.add(c.wait)
			_, err = b.read(uid, 0, bs)
			wantKind(t, err, c.kind)
		})
	}
}

// A block that was checked where it lay is checked again where it lies now.
func TestMovedBlocksAreCheckedAgain(t *testing.T) {
	b := newBench(t, "local", VerifyFirst)
	data := noise(bs)
	uid := b.put(data)
	_, err := b.read(uid, 0, bs)
	must(t, err)
	again := b.put(data)
	b.change(again, 0, func(o []byte) []byte {
		o[9] ^= 1
		return o
	})
	_, err = b.read(uid, 0, bs)
	wantKind(t, err, protocol.KindContentCorrupt)
}

// flaky gives one wrong byte in the first bytes that are read of an object.
type flaky struct {
	store.Backend
	left int
}

func (f *flaky) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	r, err := f.Backend.Get(ctx, key, off, n)
	if err != nil || f.left == 0 {
		return r, err
	}
	f.left--
	data, err := io.ReadAll(r)
	data[len(data)/2] ^= 1
	return io.NopCloser(bytes.NewReader(data)), errors.Join(err, r.Close())
}

func TestOnlyWhatASecondReadingConfirmsIsDamage(t *testing.T) {
	for _, c := range []struct {
		wrong int
		kind  protocol.Kind
	}{{1, ""}, {2, protocol.KindContentCorrupt}} {
		b := newBench(t, "mem", VerifyFirst)
		data := noise(1000)
		uid := b.put(data)
		b.svc.cfg.Stores = map[string]*store.Store{"disk": store.New("disk", &flaky{Backend: b.backend, left: c.wrong}, store.Options{})}
		got, err := b.read(uid, 0, 1000)
		wantKind(t, err, c.kind)
		if err == nil && !bytes.Equal(got, data) {
			t.Error("wrong bytes")
		}
		if c.kind == "" && len(b.corruptions()) != 0 {
			t.Errorf("told of %v", b.corruptions())
		}
	}
}

func TestStoreThatFailsIsNoDamage(t *testing.T) {
	b := newBench(t, "local", VerifyFirst)
	data := noise(10)
	uid := b.put(data)
	b.svc.cfg.Stores = map[string]*store.Store{}
	_, err := b.read(uid, 0, 10)
	wantKind(t, err, protocol.KindStoreUnavailable)
	b.svc.cfg.Stores = map[string]*store.Store{"disk": b.store}
	got, err := b.read(uid, 0, 10)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%q, %v", got, err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestReaderThatGoesAwayIsNoDamage(t *testing.T) {
	gone := errors.New("connection reset")
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyFirst)
			uid := b.put(noise(bs + 1))
			c, err := b.svc.Open(t.Context(), owner, uid)
			must(t, err)
			defer c.Close()
			for _, want := range []error{gone, io.ErrUnexpectedEOF, store.ErrNotFound} {
				if err := c.WriteRange(t.Context(), brokenWriter{want}, 0, bs+1); !errors.Is(err, want) {
					t.Fatalf("error is %v, want %v", err, want)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := c.WriteRange(ctx, io.Discard, 0, bs+1); !errors.Is(err, context.Canceled) {
				t.Fatalf("error is %v, want %v", err, context.Canceled)
			}
			if len(b.corruptions()) != 0 {
				t.Fatalf("told of %v", b.corruptions())
			}
			_, err = b.read(uid, 0, bs+1)
			must(t, err)
		})
	}
}

func TestManyReadersAtOnce(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyFirst)
			data := noise(2*bs + 77)
			uid := b.put(data, 1000, bs)
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					off := int64(i) * 100_001
					got, err := b.read(uid, off, int64(len(data))-off)
					if err != nil || !bytes.Equal(got, data[off:]) {
						t.Errorf("reader %d: %d bytes, %v", i, len(got), err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// sendfiler notes what it is given to read from, as a connection does that
// can use sendfile.
type sendfiler struct {
	t     *testing.T
	calls []int64
	bytes.Buffer
}

func (s *sendfiler) ReadFrom(r io.Reader) (int64, error) {
	l, ok := r.(*io.LimitedReader)
	if !ok {
		s.t.Fatalf("was given a %T", r)
	}
	if _, ok := l.R.(*os.File); !ok {
		s.t.Fatalf("was given a limited %T", l.R)
	}
	s.calls = append(s.calls, l.N)
	return s.Buffer.ReadFrom(r)
}

func TestFilesAreHandedOverBare(t *testing.T) {
	b := newBench(t, "local", VerifyFirst)
	data := noise(3*bs + 9)
	uid := b.put(data)
	for _, want := range [][]int64{{bs - 1, bs, bs, 9}, {3*bs + 8}} { // cold, then hot
		c, err := b.svc.Open(t.Context(), owner, uid)
		must(t, err)
		out := &sendfiler{t: t}
		must(t, c.WriteRange(t.Context(), out, 1, 3*bs+8))
		if fmt.Sprint(out.calls) != fmt.Sprint(want) {
			t.Errorf("sent as %v, want %v", out.calls, want)
		}
		if !bytes.Equal(out.Bytes(), data[1:]) {
			t.Error("wrong bytes")
		}
		must(t, c.Close())
	}
}

func TestDescriptorsAreBounded(t *testing.T) {
	b := newBench(t, "local", VerifyAlways)
	lengths := make([]int, 40)
	for i := range lengths {
		lengths[i] = 1000
	}
	data := noise(41_000)
	uid := b.put(data, lengths...)
	c, err := b.svc.Open(t.Context(), owner, uid)
	must(t, err)
	var got bytes.Buffer
	must(t, c.WriteRange(t.Context(), &got, 0, 41_000))
	if n := len(c.open.files); n != maxOpen {
		t.Errorf("%d files are open, want %d", n, maxOpen)
	}
	must(t, c.Close())
	if n := len(c.open.files); n != 0 {
		t.Errorf("%d files are open after Close", n)
	}
	if !bytes.Equal(got.Bytes(), data) {
		t.Error("wrong bytes")
	}
}

func TestSeenIsBounded(t *testing.T) {
	s := newSeen(time.Now)
	now := time.Now()
	for i := range int64(3 * seenMax) {
		s.add(place{offset: i}, now)
	}
	if n := s.recent.Len(); n > seenMax {
		t.Errorf("%d places are remembered, want at most %d", n, seenMax)
	}
	if !s.has(place{offset: 3*seenMax - 1}) || s.has(place{}) {
		t.Error("not the latest are remembered")
	}
}
