package protocol

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestPartSizeFor(t *testing.T) {
	const tenThousand = MaxParts
	tests := []struct{ size, known, unknown int64 }{
		{-1, 8 << 20, 16 << 20},
		{0, 8 << 20, 16 << 20},
		{tenThousand * 8 << 20, 8 << 20, 16 << 20},
		{tenThousand*8<<20 + 1, 16 << 20, 16 << 20},
		{tenThousand * 16 << 20, 16 << 20, 16 << 20},
		{tenThousand*16<<20 + 1, 32 << 20, 32 << 20},
		{MaxSize, 4 << 30, 4 << 30},
		{math.MaxInt64, 4 << 30, 4 << 30},
	}
	for _, tt := range tests {
		if got := PartSizeFor(tt.size); got != tt.known {
			t.Errorf("PartSizeFor(%d) = %d, want %d", tt.size, got, tt.known)
		}
		if got := PartSizeForUnknown(&tt.size); got != tt.unknown {
			t.Errorf("PartSizeForUnknown(%d) = %d, want %d", tt.size, got, tt.unknown)
		}
	}
	if got := PartSizeForUnknown(nil); got != 16<<20 {
		t.Errorf("PartSizeForUnknown without a hint = %d", got)
	}
}

func TestCheckSize(t *testing.T) {
	for size, want := range map[int64]Kind{-1: KindBadRequest, 0: "", 1: "", 42_949_672_960_000: "",
		42_949_672_960_001: KindTooLarge, math.MaxInt64: KindTooLarge, math.MinInt64: KindBadRequest} {
		if got := KindOf(CheckSize(size)); got != want {
			t.Errorf("CheckSize(%d): %q, want %q", size, got, want)
		}
	}
}

func TestLayoutRange(t *testing.T) {
	const ps = MinPartSize
	tests := []struct {
		size        int64
		n           PartNumber
		off, length int64
		kind        Kind
	}{
		{0, 1, 0, 0, KindBadPart},
		{1, 0, 0, 0, KindBadPart},
		{1, -1, 0, 0, KindBadPart},
		{1, 1, 0, 1, ""},
		{1, 2, 0, 0, KindBadPart},
		{1, math.MaxInt32, 0, 0, KindBadPart},
		{ps, 1, 0, ps, ""},
		{ps, 2, 0, 0, KindBadPart},
		{ps + 3, 2, ps, 3, ""},
		{SizeUnknown, 0, 0, 0, KindBadPart},
		{SizeUnknown, 1, 0, ps, ""},
		{SizeUnknown, MaxParts, (MaxParts - 1) * ps, ps, ""},
		{SizeUnknown, MaxParts + 1, 0, 0, KindTooManyParts},
		{SizeUnknown, math.MaxInt32, 0, 0, KindTooManyParts},
	}
	for _, tt := range tests {
		off, length, err := Layout{tt.size, ps}.Range(tt.n)
		if off != tt.off || length != tt.length || KindOf(err) != tt.kind {
			t.Errorf("part %d of %d: [%d, %d] %v, want [%d, %d] %s", tt.n, tt.size, off, length, err, tt.off, tt.length, tt.kind)
		}
	}
}

func TestLayoutCheckLength(t *testing.T) {
	const ps = MinPartSize
	tests := []struct {
		size   int64
		n      PartNumber
		length int64
		kind   Kind
	}{
		{ps + 3, 1, ps, ""},
		{ps + 3, 1, ps - 1, KindBadLength},
		{ps + 3, 1, ps + 1, KindBadLength},
		{ps + 3, 2, 3, ""},
		{ps + 3, 2, 0, KindBadLength},
		{ps + 3, 2, -1, KindBadLength},
		{ps + 3, 3, 1, KindBadPart},
		{0, 1, 0, KindBadPart},
		{SizeUnknown, 7, 1, ""},
		{SizeUnknown, 7, ps, ""},
		{SizeUnknown, 7, 0, KindBadLength},
		{SizeUnknown, 7, -1, KindBadLength},
		{SizeUnknown, 7, ps + 1, KindBadLength},
		{SizeUnknown, MaxParts + 1, 1, KindTooManyParts},
	}
	for _, tt := range tests {
		if got := KindOf(Layout{tt.size, ps}.CheckLength(tt.n, tt.length)); got != tt.kind {
			t.Errorf("part %d of %d with %d bytes: %q, want %q", tt.n, tt.size, tt.length, got, tt.kind)
		}
	}
}

func TestLayoutCheck(t *testing.T) {
	tests := []struct {
		l    Layout
		kind Kind
	}{
		{Layout{0, BlockSize}, ""},
		{Layout{MaxSize, MaxPartSize}, ""},
		{Layout{SizeUnknown, MinPartSizeUnknown}, ""},
		{Layout{}, KindBadRequest},
		{Layout{1, -BlockSize}, KindBadRequest},
		{Layout{1, BlockSize + 1}, KindBadRequest},
		{Layout{1, MaxPartSize + BlockSize}, KindBadRequest},
		{Layout{-2, BlockSize}, KindBadRequest},
		{Layout{MaxParts*BlockSize + 1, BlockSize}, KindTooManyParts},
	}
	for _, tt := range tests {
		if got := KindOf(tt.l.Check()); got != tt.kind {
			t.Errorf("%+v: %q, want %q", tt.l, got, tt.kind)
		}
	}
}

// The parts of a file lie end to end from its first byte to its last, each a
// whole number of blocks but the last.
func TestLayoutTilesTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(
			rapid.Int64Range(0, 5*MinPartSize),
			rapid.Map(rapid.Int64Range(1, 4), func(n int64) int64 { return n*MinPartSize + n - 2 }),
			rapid.Int64Range(0, MaxSize),
		).Draw(t, "size")
		l := Layout{size, PartSizeFor(size)}
		if err := l.Check(); err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		var end int64
		for n := PartNumber(1); n <= l.Count(); n++ {
			off, length, err := l.Range(n)
			if err != nil || off != end || length < 1 || off%BlockSize != 0 || n < l.Count() && length != l.PartSize {
				t.Fatalf("part %d of %+v: [%d, %d] %v, after %d", n, l, off, length, err, end)
			}
			if err := l.CheckLength(n, length); err != nil {
				t.Fatal(err)
			}
			end = off + length
		}
		if end != size {
			t.Fatalf("the parts of %+v end at %d", l, end)
		}
	})
}

func TestParsePartNumber(t *testing.T) {
	for s, want := range map[string]PartNumber{"1": 1, "9": 9, "10": 10, "10000": 10000, "10001": 10001,
		"2147483647": math.MaxInt32, "2147483648": math.MaxInt32, "99999999999999999999999": math.MaxInt32} {
		if got, err := ParsePartNumber(s); got != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0", "00", "01", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "1_0", "١", "a", "099999999999999999999", "-99999999999999999999", "+99999999999999999999"} {
		if n, err := ParsePartNumber(s); KindOf(err) != KindBadPart {
			t.Errorf("%q: %d, %v, want %s", s, n, err, KindBadPart)
		}
	}
}

func TestMissingParts(t *testing.T) {
	tests := []struct {
		have  []PartNumber
		count PartNumber
		want  [][2]PartNumber
	}{
		{nil, 0, [][2]PartNumber{}},
		{nil, 1, [][2]PartNumber{{1, 1}}},
		{nil, 9, [][2]PartNumber{{1, 9}}},
		{[]PartNumber{1, 2, 3}, 3, [][2]PartNumber{}},
		{[]PartNumber{2, 5}, 7, [][2]PartNumber{{1, 1}, {3, 4}, {6, 7}}},
		{[]PartNumber{1, 5, 9}, 3, [][2]PartNumber{{2, 3}}},
		{[]PartNumber{2, 2, 3}, 3, [][2]PartNumber{{1, 1}}},
	}
	for _, tt := range tests {
		if got := MissingParts(tt.have, tt.count); !slices.Equal(got, tt.want) || got == nil {
			t.Errorf("of %v up to %d: %v, want %v", tt.have, tt.count, got, tt.want)
		}
	}
}

func TestMissingPartsIsTheComplement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, 50).Draw(t, "count")
		set := rapid.MapOfN(rapid.IntRange(1, 60), rapid.Just(true), 0, 40).Draw(t, "have")
		var have []PartNumber
		for n := range 61 {
			if set[n] {
				have = append(have, PartNumber(n))
			}
		}
		missing := map[PartNumber]bool{}
		last := PartNumber(-1)
		for _, r := range MissingParts(have, PartNumber(count)) {
			if r[0] > r[1] || r[0] <= last+1 && last > 0 {
				t.Fatalf("range %v is empty or could join the one before", r)
			}
			last = r[1]
			for n := r[0]; n <= r[1]; n++ {
				missing[n] = true
			}
		}
		for n := PartNumber(-1); n <= 60; n++ {
			want := n >= 1 && int(n) <= count && !set[int(n)]
			if missing[n] != want {
				t.Fatalf("part %d: missing %t, want %t", n, missing[n], want)
			}
		}
	})
}

func TestBadPartSaysWhich(t *testing.T) {
	_, _, err := Layout{MinPartSize + 1, MinPartSize}.Range(7)
	e, ok := errors.AsType[*Error](err)
	if want := "there is no part 7: " + strconv.Itoa(MinPartSize+1) + " bytes are 2 parts of 8388608"; !ok || e.Message != want {
		t.Errorf("%v, want %q", err, want)
	}
}
