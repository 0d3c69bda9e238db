package file

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// contentOf is what a claim would be given of the File's content.
func (b *bench) contentOf(uid protocol.UID) meta.Content {
	b.t.Helper()
	_, mc, err := b.db.Content(b.t.Context(), owner, uid)
	must(b.t, err)
	return mc
}

func TestSampleGivesTheRangesAndNothingElse(t *testing.T) {
	const size = 3*protocol.BlockSize + 1000
	data := noise(size)
	ranges := [][2]int64{{size - 10, 10}, {0, 4096}, {protocol.BlockSize - 100, 4096}, {100, 4096}, {100, 4096}}
	for _, kind := range []string{"local", "mem"} {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, kind, VerifyFirst)
			uid := b.put(data, protocol.BlockSize/2, protocol.BlockSize)
			got, err := b.svc.Sample(t.Context(), b.contentOf(uid), ranges)
			must(t, err)
			for _, r := range append(ranges, [2]int64{200, 50}) {
				buf := make([]byte, r[1])
				if n, err := got.ReadAt(buf, r[0]); err != nil || n != len(buf) || !bytes.Equal(buf, data[r[0]:r[0]+r[1]]) {
					t.Errorf("%d bytes at %d: %d, %v", r[1], r[0], n, err)
				}
			}
			for _, r := range [][2]int64{{4196, 1}, {4000, 4096}, {-1, 1}, {size, 1}, {2 * protocol.BlockSize, 1}} {
				if _, err := got.ReadAt(make([]byte, r[1]), r[0]); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%d bytes at %d: %v", r[1], r[0], err)
				}
			}
		})
	}
}

func TestSampleChecksWhatPassedBefore(t *testing.T) {
	data := noise(2*protocol.BlockSize + 5)
	for _, mode := range []VerifyMode{VerifyFirst, VerifyAlways, VerifyOff} {
		t.Run(string(mode), func(t *testing.T) {
			b := newBench(t, "local", mode)
			uid := b.put(data)
			_, err := b.read(uid, 0, int64(len(data)))
			must(t, err)
			b.change(uid, 0, func(o []byte) []byte { o[protocol.BlockSize+1] ^= 1; return o })
			_, err = b.svc.Sample(t.Context(), b.contentOf(uid), [][2]int64{{0, 10}})
			must(t, err) // the damage lies in no block that is sampled
			_, err = b.svc.Sample(t.Context(), b.contentOf(uid), [][2]int64{{protocol.BlockSize + 500, 10}})
			wantKind(t, err, protocol.KindContentCorrupt)
			if c := b.corruptions(); len(c) != 1 || c[0].Block != 1 || c[0].UID != 0 {
				t.Errorf("told of %+v", c)
			}
			if mc := b.contentOf(uid); mc.State != meta.ContentDamaged {
				t.Errorf("the content is %s", mc.State)
			}
		})
	}
}

func TestSampleOfRangesThatAreNone(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	mc := b.contentOf(b.put(noise(100)))
	for _, r := range [][2]int64{{0, 101}, {-1, 1}, {100, 1}, {1, -1}} {
		_, err := b.svc.Sample(t.Context(), mc, [][2]int64{r})
		wantKind(t, err, protocol.KindRange)
	}
}
