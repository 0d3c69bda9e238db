package protocol

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestNonce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := Nonce(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "nonce"))
		if got, err := ParseNonce(n.String()); got != n || err != nil || len(n.String()) != 43 {
			t.Fatalf("%s came back as %s, %v", n, got, err)
		}
	})
	zero := Nonce{}.String()
	for _, s := range []string{"", "A", zero[:42], zero + "A", zero + "=", zero[:42] + "B", zero[:42] + "\n", zero + "\n", "\n" + zero,
		zero[:42] + "+", zero[:42] + "/", " " + zero[1:]} {
		if _, err := ParseNonce(s); KindOf(err) != KindBadRequest {
			t.Errorf("%q: %v, want %s", s, err, KindBadRequest)
		}
	}
}

func TestClaimRanges(t *testing.T) {
	for _, size := range []int64{1, 4096, claimWhole} {
		got, err := ClaimRanges(size, nil)
		if err != nil || !slices.Equal(got, [][2]int64{{0, size}}) {
			t.Errorf("%d bytes: %v, %v, want the whole", size, got, err)
		}
	}
	for _, size := range []int64{claimWhole + 1, BlockSize, MaxSize} {
		got, err := ClaimRanges(size, rand.Reader)
		if err != nil || !claimable(size, got) {
			t.Errorf("%d bytes: %v, %v", size, got, err)
		}
	}
	for _, size := range []int64{0, -1} {
		if got, err := ClaimRanges(size, rand.Reader); KindOf(err) != KindClaimRefused {
			t.Errorf("%d bytes: %v, %v", size, got, err)
		}
	}
	if _, err := ClaimRanges(claimWhole+1, bytes.NewReader(make([]byte, 8*claimRanges-1))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("randomness ran out: %v", err)
	}
}

// Every offset from 0 to size-4096 can come, both ends included, and a draw
// that would favour low numbers is drawn again.
func TestUniform(t *testing.T) {
	be := func(v uint64) []byte {
		return []byte{byte(v >> 56), byte(v >> 48), byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
	}
	const n = 10
	limit := uint64(math.MaxUint64 - math.MaxUint64%n)
	for _, tt := range []struct {
		draws []uint64
		want  uint64
	}{{[]uint64{0}, 0}, {[]uint64{9}, 9}, {[]uint64{10}, 0}, {[]uint64{limit - 1}, 9}, {[]uint64{limit, math.MaxUint64, 3}, 3}} {
		var rnd bytes.Buffer
		for _, d := range tt.draws {
			rnd.Write(be(d))
		}
		if got, err := uniform(&rnd, n); got != tt.want || err != nil || rnd.Len() != 0 {
			t.Errorf("draws %d: %d, %v, %d bytes left, want %d", tt.draws, got, err, rnd.Len(), tt.want)
		}
	}
}

func TestProofCoversEverything(t *testing.T) {
	p := noise(1, claimWhole+5000)
	size := int64(len(p))
	ranges, err := ClaimRanges(size, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	prove := func(n Nonce, uid UID, d Digest, ranges [][2]int64, p []byte) [32]byte {
		t.Helper()
		got, err := Proof(n, uid, size, d, ranges, bytes.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := prove(Nonce{}, 7, Digest{}, ranges, p)
	if got := prove(Nonce{}, 7, Digest{}, ranges, p); got != want {
		t.Error("the same proof twice differs")
	}
	reversed, other := slices.Clone(ranges), slices.Clone(p)
	slices.Reverse(reversed)
	other[ranges[63][0]+claimRange-1] ^= 1
	for name, got := range map[string][32]byte{
		"nonce":   prove(Nonce{1}, 7, Digest{}, ranges, p),
		"uid":     prove(Nonce{}, 8, Digest{}, ranges, p),
		"digest":  prove(Nonce{}, 7, Digest{1}, ranges, p),
		"order":   prove(Nonce{}, 7, Digest{}, reversed, p),
		"content": prove(Nonce{}, 7, Digest{}, ranges, other),
	} {
		if got == want {
			t.Errorf("another %s gives the same proof", name)
		}
	}
	if _, err := Proof(Nonce{}, 7, size, Digest{}, ranges, bytes.NewReader(nil)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short content: %v", err)
	}
}

func TestProofRefusesStrangeRanges(t *testing.T) {
	large, many := int64(claimWhole+1), make([][2]int64, claimRanges)
	for i := range many {
		many[i] = [2]int64{0, claimRange}
	}
	with := func(r [2]int64) [][2]int64 {
		c := slices.Clone(many)
		c[17] = r
		return c
	}
	tests := map[string]struct {
		size   int64
		ranges [][2]int64
	}{
		"empty content":    {0, [][2]int64{{0, 0}}},
		"negative size":    {-1, [][2]int64{{0, -1}}},
		"no range":         {3, nil},
		"two of small":     {3, [][2]int64{{0, 3}, {0, 3}}},
		"part of small":    {3, [][2]int64{{0, 2}}},
		"none of large":    {large, nil},
		"too few":          {large, many[1:]},
		"too many":         {large, append(slices.Clone(many), many[0])},
		"whole of large":   {large, [][2]int64{{0, large}}},
		"another length":   {large, with([2]int64{0, claimRange + 1})},
		"before the start": {large, with([2]int64{-1, claimRange})},
		"past the end":     {large, with([2]int64{large - claimRange + 1, claimRange})},
		"overflow":         {large, with([2]int64{math.MaxInt64, claimRange})},
	}
	for name, tt := range tests {
		if _, err := Proof(Nonce{}, 1, tt.size, Digest{}, tt.ranges, failingAt{errors.New("read")}); KindOf(err) != KindClaimRefused {
			t.Errorf("%s: %v, want %s", name, err, KindClaimRefused)
		}
	}
	end := with([2]int64{large - claimRange, claimRange})
	if _, err := Proof(Nonce{}, 1, large, Digest{}, end, bytes.NewReader(make([]byte, large))); err != nil {
		t.Errorf("the last range there is: %v", err)
	}
}
