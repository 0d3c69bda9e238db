package protocol

import "github.com/zeebo/xxh3"

// SumXXH3 is the XXH3 of p (WIRE 3).
func SumXXH3(p []byte) XXH3 { return xxh3.Hash128(p).Bytes() }

// XXH3Hasher computes an XXH3 of bytes that come in pieces. The zero value has
// seen none.
type XXH3Hasher struct{ h xxh3.Hasher128 }

// Write hashes p. It takes all of p and never fails.
func (x *XXH3Hasher) Write(p []byte) (int, error) { return x.h.Write(p) }

// Sum is the XXH3 of the bytes so far. It changes nothing.
func (x *XXH3Hasher) Sum() XXH3 { return x.h.Sum128().Bytes() }

// Reset forgets all bytes.
func (x *XXH3Hasher) Reset() { x.h.Reset() }

// PartsXXH3 is the XXH3 over the XXH3 of each part, in order of number: the
// parts_xxh3 of a commit (WIRE 3).
func PartsXXH3(sums []XXH3) XXH3 {
	var h XXH3Hasher
	for i := range sums {
		h.Write(sums[i][:])
	}
	return h.Sum()
}
