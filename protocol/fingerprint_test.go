package protocol

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestFingerprintWindows(t *testing.T) {
	tests := []struct {
		size int64
		want []Window
	}{
		{0, []Window{{0, 0}}},
		{1, []Window{{0, 1}}},
		{BlockSize, []Window{{0, BlockSize}}},
		{BlockSize + 1, []Window{{0, HeadSize}, {BlockSize, 1}}},
		{3 * BlockSize, []Window{{0, HeadSize}, {BlockSize, HeadSize}, {2 * BlockSize, HeadSize}}},
	}
	for _, tt := range tests {
		if got := FingerprintWindows(tt.size); !slices.Equal(got, tt.want) {
			t.Errorf("size %d: %v, want %v", tt.size, got, tt.want)
		}
	}
}

// The blocks looked at are floor(i·(B−1)/15), worked out by hand for 2, 16, 17
// and 20 blocks.
func TestFingerprintWindowsAreSpread(t *testing.T) {
	for blocks, want := range map[int64][]int64{
		2:  {0, 1},
		16: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		17: {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16},
		20: {0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 15, 16, 17, 19},
	} {
		var got []int64
		for _, w := range FingerprintWindows(blocks * BlockSize) {
			got = append(got, w.Offset/BlockSize)
		}
		if !slices.Equal(got, want) {
			t.Errorf("of %d blocks: %v, want %v", blocks, got, want)
		}
	}
}

func TestFingerprintWindowsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, MaxSize).Draw(t, "size")
		var total, end int64
		windows := FingerprintWindows(size)
		for i, w := range windows {
			if i > 0 && w.Offset < end || w.Length < 1 && size > 0 {
				t.Fatalf("window %d of %v is out of order or empty", i, windows)
			}
			end, total = w.Offset+w.Length, total+w.Length
			if w.Offset%BlockSize != 0 || w.Length > BlockSize || end > size {
				t.Fatalf("window %v is not in one block of %d bytes", w, size)
			}
		}
		if total > BlockSize || len(windows) > samples {
			t.Fatalf("%d windows of %d bytes", len(windows), total)
		}
		if first, last := windows[0].Offset, windows[len(windows)-1].Offset; first != 0 || last/BlockSize != max(0, BlockCount(size)-1) {
			t.Fatalf("%v leave out the first or the last block of %d bytes", windows, size)
		}
	})
}

func TestFingerprintDependsOnSize(t *testing.T) {
	p := make([]byte, 2*BlockSize)
	a, errA := FingerprintReader(bytes.NewReader(p), BlockSize+HeadSize)
	b, errB := FingerprintReader(bytes.NewReader(p), BlockSize+HeadSize+1)
	if errA != nil || errB != nil || a == b {
		t.Errorf("two sizes have one fingerprint: %s %v, %s %v", a, errA, b, errB)
	}
}

func TestFingerprintOfShortFile(t *testing.T) {
	for _, size := range []int64{1, HeadSize, BlockSize, BlockSize + 1, 5*BlockSize + 1} {
		p := noise(1, size-1)
		if _, err := FingerprintReader(bytes.NewReader(p), size); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("one byte of %d missing: %v", size, err)
		}
	}
}

func TestFingerprintReaderFails(t *testing.T) {
	broken := errors.New("disk on fire")
	if _, err := FingerprintReader(failingAt{broken}, 10); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failingAt struct{ err error }

func (f failingAt) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestFingerprintOfOtherBlocksPanics(t *testing.T) {
	for _, tt := range []struct {
		size   int64
		blocks int
	}{{0, 1}, {1, 0}, {BlockSize, 2}, {BlockSize + 1, 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes from %d blocks: no panic", tt.size, tt.blocks)
				}
			}()
			FingerprintOf(tt.size, make([]Block, tt.blocks))
		}()
	}
}
