package object_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

const (
	joined store.Key       = "joined"
	begun  store.ComposeID = "begun"
)

// sources are objects a, b, … of the vendor, with a composition begun.
func sources(v *vendor, lengths ...int) ([]store.Piece, []byte) {
	var all []store.Piece
	var whole []byte
	for i, n := range lengths {
		data := bytes.Repeat([]byte{byte('0' + i)}, n)
		key := store.Key(rune('a' + i))
		v.put(key, data)
		all = append(all, store.Piece{Key: key, Length: int64(n)})
		whole = append(whole, data...)
	}
	v.uploads[begun] = map[int][]byte{}
	return all, whole
}

func TestJoin(t *testing.T) {
	part := func(v *vendor, p []store.Piece) []store.Piece {
		p[0].Offset, p[0].Length = 5, 10
		return p
	}
	for _, c := range []struct {
		name     string
		lengths  []int
		change   func(*vendor, []store.Piece) []store.Piece
		verified bool
		sent     int
	}{
		{"long ones", []int{20, 40, 12}, nil, true, 0},
		{"a short one among long ones, and at the end", []int{20, 3, 12, 4}, nil, true, 2},
		{"nothing", nil, nil, true, 1},
		{"empty ones", []int{0, 0}, nil, true, 1},
		{"one that is copied in parts", []int{100, 9}, nil, true, 1},
		{"without CRCs", []int{20, 3, 8, 12}, func(v *vendor, p []store.Piece) []store.Piece { v.crc = false; return p }, true, 1},
		{"without CRCs and in parts", []int{100, 9}, func(v *vendor, p []store.Piece) []store.Piece { v.crc = false; return p }, false, 1},
		{"without CRCs, taken from a neighbour", []int{20, 3, 30}, func(v *vendor, p []store.Piece) []store.Piece { v.crc = false; return p }, false, 1},
		{"without any sum", []int{20, 12}, func(v *vendor, p []store.Piece) []store.Piece { v.crc, v.md5 = false, false; return p }, false, 0},
		{"of a part of an object", []int{20, 12}, part, false, 0},
		{"one object twice", []int{20, 12}, func(_ *vendor, p []store.Piece) []store.Piece { return append(p, p[0]) }, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVendor()
			pieces, _ := sources(v, c.lengths...)
			if c.change != nil {
				pieces = c.change(v, pieces)
			}
			var want []byte
			for _, p := range pieces {
				want = append(want, v.objects[p.Key][p.Offset:p.Offset+p.Length]...)
			}
			for _, what := range []string{"join", "join again"} {
				verified, err := object.Join(t.Context(), v, joined, begun, pieces)
				if err != nil || !bytes.Equal(v.objects[joined], want) {
					t.Fatalf("%s: %q, %v, want %q", what, v.objects[joined], err, want)
				}
				if again := what != "join"; verified != (c.verified && (v.crc || !again)) {
					t.Errorf("%s: verified is %t", what, verified)
				}
			}
			if n := count(v.calls, "upload part"); n != c.sent || v.most > 4 {
				t.Errorf("%d parts were sent, want %d; %d calls at once", n, c.sent, v.most)
			}
		})
	}
}

func count(calls []string, prefix string) (n int) {
	for _, c := range calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// TestJoinGoesOnWhereItWas: whatever call fails, or is carried out and not
// answered, repeating brings it about, and no part is made twice.
func TestJoinGoesOnWhereItWas(t *testing.T) {
	for _, call := range []string{"parts", "head a", "copy part 1", "get b", "upload part 2", "copy part 3", "complete", "head joined"} {
		for _, carriedOut := range []bool{false, true} {
			v := newVendor()
			pieces, want := sources(v, 20, 3, 17)
			broken := errors.New("connection reset")
			once := func(c string) error {
				if c != call || slices.Contains(v.calls[:max(0, len(v.calls)-1)], call) {
					return nil
				}
				return broken
			}
			if carriedOut {
				v.lost = once
			} else {
				v.fault = func(c string) error { v.mu.Lock(); defer v.mu.Unlock(); return once(c) }
			}
			what := fmt.Sprintf("%s, carried out %t", call, carriedOut)
			if _, err := object.Join(t.Context(), v, joined, begun, pieces); !errors.Is(err, broken) {
				t.Fatalf("%s: %v", what, err)
			}
			made := made(v)
			v.fault, v.lost = newVendor().fault, newVendor().lost
			v.calls = nil
			verified, err := object.Join(t.Context(), v, joined, begun, pieces)
			if err != nil || !verified || !bytes.Equal(v.objects[joined], want) {
				t.Errorf("%s: then %q, %t, %v", what, v.objects[joined], verified, err)
			}
			if again := count(v.calls, "copy part") + count(v.calls, "upload part"); again+made != 3 && made != 3 {
				t.Errorf("%s: %d parts were made, then %d", what, made, again)
			}
			if made == 3 && count(v.calls, "copy part")+count(v.calls, "upload part") > 0 {
				t.Errorf("%s: a part was made again: %v", what, v.calls)
			}
		}
	}
}

// made is how many parts there are, of an unfinished or a finished object.
func made(v *vendor) int {
	if _, ok := v.objects[joined]; ok {
		return 3
	}
	return len(v.uploads[begun])
}

func TestJoinRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*vendor, []store.Piece) []store.Piece
		want   error
	}{
		{"a source that is absent", func(v *vendor, p []store.Piece) []store.Piece { delete(v.objects, "b"); return p }, store.ErrNotFound},
		{"a source that is shorter", func(_ *vendor, p []store.Piece) []store.Piece { p[1].Length++; return p }, store.ErrRange},
		{"a range beyond the source", func(_ *vendor, p []store.Piece) []store.Piece { p[1].Offset = 1; return p }, store.ErrRange},
		{"too many pieces", func(_ *vendor, p []store.Piece) []store.Piece { return slices.Repeat(p, 11) }, store.ErrPieces},
		{"what nobody began", func(v *vendor, p []store.Piece) []store.Piece { delete(v.uploads, begun); return p }, store.ErrNotBegun},
		{"another's object", func(v *vendor, p []store.Piece) []store.Piece { v.put(joined, []byte("other")); return p }, store.ErrExists},
		{"another's object where nobody began", func(v *vendor, p []store.Piece) []store.Piece {
			delete(v.uploads, begun)
			v.put(joined, bytes.Repeat([]byte("x"), 32))
			return p
		}, store.ErrExists},
	} {
		v := newVendor()
		pieces, _ := sources(v, 20, 12)
		pieces = c.change(v, pieces)
		before := string(v.objects[joined])
		if _, err := object.Join(t.Context(), v, joined, begun, pieces); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if string(v.objects[joined]) != before || count(v.calls, "copy part") > 0 && before == "" {
			t.Errorf("%s: %q is visible, %v", c.name, v.objects[joined], v.calls)
		}
	}
}

// TestJoinNoticesDamage: an object that is not what its pieces are is not left.
func TestJoinNoticesDamage(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(*vendor)
	}{
		{"another byte", func(v *vendor) { v.objects[joined][25] ^= 1 }},
		{"a byte less", func(v *vendor) { v.objects[joined] = v.objects[joined][1:] }},
	} {
		v := newVendor()
		pieces, _ := sources(v, 20, 12)
		v.lost = func(call string) error {
			if call == "complete" {
				c.damage(v)
			}
			return nil
		}
		if _, err := object.Join(t.Context(), v, joined, begun, pieces); !errors.Is(err, store.ErrDamaged) || v.objects[joined] != nil {
			t.Errorf("%s: %v, %q", c.name, err, v.objects[joined])
		}
	}
	// Without sums it shows, as not being verified.
	v := newVendor()
	v.crc = false
	pieces, _ := sources(v, 20, 12)
	v.lost = func(call string) error {
		if call == "copy part 2" {
			v.uploads[begun][2] = bytes.Repeat([]byte("!"), 12)
		}
		return nil
	}
	verified, err := object.Join(t.Context(), v, joined, begun, pieces)
	if err == nil && verified {
		t.Errorf("a part with other bytes passed: %q", v.objects[joined])
	}
}

// TestJoinDiscardsThoughTheCallerLeaves: nobody else would.
func TestJoinDiscardsThoughTheCallerLeaves(t *testing.T) {
	v := newVendor()
	pieces, _ := sources(v, 20, 12)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	v.lost = func(call string) error {
		switch call {
		case "complete":
			v.objects[joined] = v.objects[joined][1:]
		case "head joined":
			leave()
		}
		return nil
	}
	if _, err := object.Join(ctx, v, joined, begun, pieces); !errors.Is(err, store.ErrDamaged) || v.objects[joined] != nil {
		t.Errorf("%v, %q", err, v.objects[joined])
	}
}

// TestJoinOfNothing: a storage that says that it made the object and does not
// have it is broken, and no source is missing.
func TestJoinOfNothing(t *testing.T) {
	v := newVendor()
	pieces, _ := sources(v, 20, 12)
	v.lost = func(call string) error {
		if call == "complete" {
			delete(v.objects, joined)
		}
		return nil
	}
	if _, err := object.Join(t.Context(), v, joined, begun, pieces); err == nil || errors.Is(err, store.ErrNotFound) || !store.MayPass(err) {
		t.Errorf("%v", err)
	}
}

func TestJoinEndsWithItsContext(t *testing.T) {
	for _, call := range []string{"parts", "head b", "copy part 2", "complete"} {
		v := newVendor()
		pieces, _ := sources(v, 20, 12, 30, 30, 30, 30)
		ctx, cancel := context.WithCancel(t.Context())
		v.fault = func(c string) error {
			if c == call {
				cancel()
				return ctx.Err()
			}
			return nil
		}
		if _, err := object.Join(ctx, v, joined, begun, pieces); !errors.Is(err, context.Canceled) || v.objects[joined] != nil {
			t.Errorf("cancelled at %s: %v", call, err)
		}
	}
}
