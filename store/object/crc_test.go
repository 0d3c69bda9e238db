package object_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/store/object"
)

func sum(p object.Polynomial, text []byte) uint64 {
	h := p.New()
	h.Write(text)
	return h.Sum64()
}

// TestSumsAreTheVendors holds against the check values that are published.
func TestSumsAreTheVendors(t *testing.T) {
	check := []byte("123456789")
	if got := sum(object.ECMA, check); got != 0x995dc9bbdf1939fa {
		t.Errorf("CRC-64/XZ of the check text is %x", got)
	}
	if got := sum(object.NVME, check); got != 0xae8b14860a799888 {
		t.Errorf("CRC-64/NVME of the check text is %x", got)
	}
}

func TestSumsCombine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]object.Polynomial{object.ECMA, object.NVME}).Draw(t, "polynomial")
		whole := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "text")
		cut := rapid.IntRange(0, len(whole)).Draw(t, "cut")
		got := p.Combine(sum(p, whole[:cut]), sum(p, whole[cut:]), int64(len(whole)-cut))
		if got != sum(p, whole) {
			t.Fatalf("%x, want %x", got, sum(p, whole))
		}
	})
}

// TestSumsOfMuch: zeros in plenty are summed by combining too.
func TestSumsOfMuch(t *testing.T) {
	for _, p := range []object.Polynomial{object.ECMA, object.NVME} {
		block := make([]byte, 1<<20)
		h := p.New()
		combined, n := uint64(0), int64(len(block))
		for range 48 {
			h.Write(block)
			combined = p.Combine(combined, sum(p, block), n)
		}
		if combined != h.Sum64() {
			t.Errorf("%x: %x, want %x", p, combined, h.Sum64())
		}
		if got := p.Combine(p.Combine(1, 2, 3<<40), 4, 5); got != p.Combine(1, p.Combine(2, 4, 5), 3<<40+5) {
			t.Errorf("%x: the order of combining matters", p)
		}
	}
}
