package object_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// pieces are whole objects a, b, c… of these lengths.
func pieces(lengths ...int64) []store.Piece {
	var all []store.Piece
	for i, n := range lengths {
		all = append(all, store.Piece{Key: store.Key(rune('a' + i)), Length: n})
	}
	return all
}

func TestPlans(t *testing.T) {
	limits := object.Limits{MinPart: 10, MaxPart: 40, MaxParts: 5}
	for _, c := range []struct {
		pieces []store.Piece
		want   string // each step's ranges; "": ErrPieces
	}{
		{pieces(), "1:"},
		{pieces(0, 0), "1:"},
		{pieces(3), "1:a0+3"},
		{pieces(10, 10, 3), "1:a0+10 2:b0+10 3:c0+3"},
		{pieces(10, 0, 3), "1:a0+10 2:c0+3"},
		{pieces(10, 3, 10), "1:a0+10 2:b0+3,c0+10"},
		{pieces(3, 30), "1:a0+3,b0+7 2:b7+23"},
		{pieces(3, 16, 10), "1:a0+3,b0+16 2:c0+10"},
		{pieces(3, 3, 3), "1:a0+3,b0+3,c0+3"},
		{pieces(9, 9, 9), "1:a0+9,b0+9 2:c0+9"},
		{pieces(41), "1:a0+20 2:a20+21"},
		{pieces(40, 40, 40, 40, 40), "1:a0+40 2:b0+40 3:c0+40 4:d0+40 5:e0+40"},
		{pieces(200), "1:a0+40 2:a40+40 3:a80+40 4:a120+40 5:a160+40"},
		{pieces(201), ""},
		{pieces(40, 40, 40, 40, 40, 1), ""},
		{pieces(10, 10, 10, 10, 10, 10), ""},
		{pieces(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9), "1:a0+9,b0+9,c0+9 2:d0+9,e0+9,f0+9 3:g0+9,h0+9,i0+9 4:j0+9,k0+9"},
		{[]store.Piece{{Key: "a", Offset: 5, Length: 12}, {Key: "a", Offset: 0, Length: 5}}, "1:a5+12 2:a0+5"},
	} {
		steps, err := object.Plan(c.pieces, limits)
		if got := written(steps); got != c.want || (err != nil) != errors.Is(err, store.ErrPieces) || (err != nil) != (c.want == "") {
			t.Errorf("%v: %q, %v, want %q", c.pieces, got, err, c.want)
		}
	}
	for _, p := range []store.Piece{{Offset: -1, Length: 1}, {Length: -1}, {Offset: 1<<63 - 1, Length: 1}} {
		if _, err := object.Plan([]store.Piece{p}, limits); !errors.Is(err, store.ErrRange) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// TestPlansCopyInModeration: a large piece is copied in several parts, and in
// larger ones where there would be too many.
func TestPlansCopyInModeration(t *testing.T) {
	limits := object.Limits{MinPart: 5 << 20, MaxPart: 5 << 30, MaxParts: 10_000, Part: 512 << 20}
	for _, c := range []struct {
		size  int64
		steps int
	}{{512 << 20, 1}, {512<<20 + 1, 2}, {5 << 30, 10}, {10_000 * 512 << 20, 10_000}, {10_000*512<<20 + 1, 5001}, {10_000 * 5 << 30, 10_000}} {
		steps, err := object.Plan(pieces(c.size), limits)
		if err != nil || len(steps) != c.steps {
			t.Errorf("%d bytes: %d steps, %v, want %d", c.size, len(steps), err, c.steps)
		}
	}
}

// TestPlansCopyNothingShort: vendors let the last part be short, and no copy.
func TestPlansCopyNothingShort(t *testing.T) {
	for _, c := range []struct {
		pieces  []store.Piece
		minCopy int64
		copied  string
	}{
		{pieces(10), 0, "1"},
		{pieces(9), 0, "0"},
		{pieces(12, 9), 0, "10"},
		{pieces(12, 10), 0, "11"},
		{pieces(12, 10), 11, "10"},
		{pieces(10, 12), 11, "01"},
		{pieces(10, 11, 10), 11, "010"},
		{pieces(), 0, "0"},
	} {
		steps, err := object.Plan(c.pieces, object.Limits{MinPart: 10, MaxPart: 40, MaxParts: 5, MinCopy: c.minCopy})
		got := ""
		for _, s := range steps {
			got += map[bool]string{false: "0", true: "1"}[s.Copied]
		}
		if err != nil || got != c.copied {
			t.Errorf("%v, least %d: copied %q, %v, want %q", c.pieces, c.minCopy, got, err, c.copied)
		}
	}
}

func written(steps []object.Step) string {
	var all []string
	for _, s := range steps {
		var ranges []string
		for _, r := range s.Ranges {
			ranges = append(ranges, fmt.Sprintf("%s%d+%d", r.Key, r.Offset, r.Length))
		}
		all = append(all, fmt.Sprintf("%d:%s", s.Number, strings.Join(ranges, ",")))
	}
	return strings.Join(all, " ")
}

// TestPlansKeepAllLimits: every byte once and in order, every part as the
// storage wants it, and nothing sent that could be copied but for what a
// neighbour lacks.
func TestPlansKeepAllLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := object.Limits{MinPart: rapid.Int64Range(1, 20).Draw(t, "least"), MaxParts: rapid.IntRange(1, 40).Draw(t, "parts")}
		l.MaxPart = rapid.Int64Range(2*l.MinPart, 6*l.MinPart).Draw(t, "most")
		l.MinCopy = rapid.SampledFrom([]int64{0, l.MinPart + 1}).Draw(t, "least copy")
		l.Part = rapid.SampledFrom([]int64{0, 2 * l.MinPart, l.MaxPart}).Draw(t, "usual")
		given := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Piece {
			return store.Piece{
				Key:    store.Key(rapid.StringN(1, 1, 1).Draw(t, "key")),
				Offset: rapid.Int64Range(0, 100).Draw(t, "offset"),
				Length: rapid.Int64Range(0, 8*l.MinPart).Draw(t, "length"),
			}
		}), 0, 50).Draw(t, "pieces")
		steps, err := object.Plan(given, l)
		if err != nil {
			if !errors.Is(err, store.ErrPieces) || fits(given, l) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if len(steps) < 1 || len(steps) > l.MaxParts {
			t.Fatalf("%d steps", len(steps))
		}
		var got []store.Piece
		for i, s := range steps {
			if s.Copied && (len(s.Ranges) != 1 || s.Size() < max(l.MinPart, l.MinCopy)) {
				t.Fatalf("step %d copies %d bytes", i, s.Size())
			}
			if s.Number != i+1 || s.Size() > l.MaxPart || (s.Size() < l.MinPart && i < len(steps)-1) {
				t.Fatalf("step %d of %d: number %d, %d bytes", i, len(steps), s.Number, s.Size())
			}
			got = append(got, s.Ranges...)
			for _, r := range s.Ranges {
				if !s.Copied && r.Length >= max(2*l.MinPart, l.MinCopy) {
					t.Fatalf("step %d sends %d bytes of one object", i, r.Length)
				}
			}
		}
		if a, b := bytesIn(got), bytesIn(given); a != b {
			t.Fatalf("other bytes: %s\nwant %s", a, b)
		}
	})
}

// fits reports whether so few and short pieces can always be joined.
func fits(given []store.Piece, l object.Limits) bool {
	parts := 0
	for _, p := range given {
		parts += int(p.Length/l.MinPart) + 1
	}
	return parts <= l.MaxParts
}

func bytesIn(pieces []store.Piece) string {
	var all strings.Builder
	for _, p := range pieces {
		for i := range p.Length {
			fmt.Fprintf(&all, "%q%d ", string(p.Key), p.Offset+i)
		}
	}
	return all.String()
}
