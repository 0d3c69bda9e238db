package protocol

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// noise is n bytes that repeat nowhere, from a seed.
func noise(seed uint64, n int64) []byte {
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	p := make([]byte, n)
	src.Read(p)
	return p
}

// drawSize draws a size around the bounds that matter to hashing: heads,
// blocks, and the smallest sizes.
func drawSize(t *rapid.T) int64 {
	base := rapid.SampledFrom([]int64{0, 2, hashChunk, HeadSize, BlockSize, 2 * BlockSize, 3*BlockSize + HeadSize}).Draw(t, "base")
	return max(0, base+rapid.Int64Range(-2, 2).Draw(t, "delta"))
}

// blocksByDefinition hashes each block on its own, as DESIGN words it.
func blocksByDefinition(p []byte) []Block {
	var blocks []Block
	for b := range slices.Chunk(p, BlockSize) {
		blocks = append(blocks, Block{sha256.Sum256(b), SumXXH3(b), SumXXH3(b[:min(len(b), HeadSize)])})
	}
	return blocks
}

func TestPartHasherMatchesDefinition(t *testing.T) {
	h := NewPartHasher()
	rapid.Check(t, func(t *rapid.T) {
		h.Reset()
		p := noise(rapid.Uint64().Draw(t, "seed"), drawSize(t))
		step := rapid.SampledFrom([]int{997, 4096, hashChunk, HeadSize + 1, BlockSize, len(p) + 1}).Draw(t, "step")
		for b := range slices.Chunk(p, step) {
			if n, err := h.Write(b); n != len(b) || err != nil {
				t.Fatalf("Write of %d: %d, %v", len(b), n, err)
			}
		}
		for range 2 { // a Sum changes nothing
			sum, blocks := h.Sum()
			if sum != SumXXH3(p) {
				t.Fatalf("XXH3 of %d bytes differs", len(p))
			}
			if !slices.Equal(blocks, blocksByDefinition(p)) {
				t.Fatalf("blocks of %d bytes differ", len(p))
			}
		}
	})
}

func TestPartHasherSumInTheMiddle(t *testing.T) {
	p := noise(1, 2*BlockSize+17)
	h := NewPartHasher()
	for _, cut := range []int{0, 1, HeadSize, HeadSize + 1, BlockSize, BlockSize + 1, len(p)} {
		h.Reset()
		h.Write(p[:cut])
		_, before := h.Sum()
		h.Write(p[cut:])
		sum, blocks := h.Sum()
		if sum != SumXXH3(p) || !slices.Equal(blocks, blocksByDefinition(p)) {
			t.Errorf("a Sum after %d bytes changed what follows", cut)
		}
		h.Reset()
		h.Write(noise(2, 2*BlockSize))
		if !slices.Equal(before, blocksByDefinition(p[:cut])) {
			t.Errorf("the blocks given out after %d bytes were overwritten", cut)
		}
	}
}

func TestPartHasherDoesNotAllocate(t *testing.T) {
	h, p := NewPartHasher(), make([]byte, 2*BlockSize)
	h.Write(p)
	if n := testing.AllocsPerRun(2, func() { h.Reset(); h.Write(p) }); n != 0 {
		t.Errorf("%v allocations for a part, want none", n)
	}
}

// Parts may be hashed in any order, each alone: the records are the same as of
// the whole.
func TestBlocksOfPartsAreBlocksOfTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := drawSize(t)
		p := noise(rapid.Uint64().Draw(t, "seed"), size)
		l := Layout{Size: size, PartSize: BlockSize * rapid.Int64Range(1, 3).Draw(t, "blocks a part")}
		order := make([]PartNumber, l.Count())
		for i := range order {
			order[i] = PartNumber(i + 1)
		}
		if len(order) > 0 {
			order = rapid.Permutation(order).Draw(t, "order")
		}
		blocks := make([]Block, BlockCount(size))
		h := NewPartHasher()
		for _, n := range order {
			off, length, err := l.Range(n)
			if err != nil {
				t.Fatal(err)
			}
			h.Reset()
			h.Write(p[off : off+length])
			_, of := h.Sum()
			copy(blocks[off/BlockSize:], of)
		}
		whole, _, err := HashContent(bytes.NewReader(p))
		if err != nil || DigestOf(blocks) != whole {
			t.Fatalf("digest from parts %s, from the whole %s, %v", DigestOf(blocks), whole, err)
		}
		fp, err := FingerprintReader(bytes.NewReader(p), size)
		if err != nil || FingerprintOf(size, blocks) != fp {
			t.Fatalf("fingerprint from parts %s, from the file %s, %v", FingerprintOf(size, blocks), fp, err)
		}
	})
}

func TestDigestOfSums(t *testing.T) {
	_, blocks := hashPart(noise(3, BlockSize+1))
	sums := slices.Concat(blocks[0].SHA256[:], blocks[1].SHA256[:])
	if got, err := DigestOfSums(sums); err != nil || got != DigestOf(blocks) {
		t.Errorf("%s, %v, want %s", got, err, DigestOf(blocks))
	}
	if got, err := DigestOfSums(nil); err != nil || got != DigestOf(nil) {
		t.Errorf("of none: %s, %v", got, err)
	}
	for _, n := range []int{1, 31, 33, 63} {
		if _, err := DigestOfSums(sums[:n]); KindOf(err) != KindIntegrity {
			t.Errorf("%d bytes: %v, want %s", n, err, KindIntegrity)
		}
	}
}

func TestBlockCount(t *testing.T) {
	for size, want := range map[int64]int64{-1: 0, 0: 0, 1: 1, BlockSize: 1, BlockSize + 1: 2, math.MaxInt64: 1 << 41} {
		if got := BlockCount(size); got != want {
			t.Errorf("BlockCount(%d) = %d, want %d", size, got, want)
		}
	}
}

func TestHashContent(t *testing.T) {
	p := noise(4, BlockSize+3)
	want := DigestOf(blocksByDefinition(p))
	for name, r := range map[string]io.Reader{
		"whole":        bytes.NewReader(p),
		"half reads":   iotest.HalfReader(bytes.NewReader(p)),
		"EOF with end": iotest.DataErrReader(bytes.NewReader(p)),
	} {
		if got, n, err := HashContent(r); got != want || n != int64(len(p)) || err != nil {
			t.Errorf("%s: %s, %d, %v", name, got, n, err)
		}
	}
	broken := errors.New("disk on fire")
	_, n, err := HashContent(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)))
	if n != 3 || !errors.Is(err, broken) {
		t.Errorf("broken reader: %d, %v", n, err)
	}
}

func BenchmarkPartHasher(b *testing.B) {
	p := noise(5, MinPartSize)
	for name, write := range map[string]int{"64KiB": 64 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			h := NewPartHasher()
			b.SetBytes(MinPartSize)
			b.ReportAllocs()
			for b.Loop() {
				h.Reset()
				for w := range slices.Chunk(p, write) {
					h.Write(w)
				}
				h.Sum()
			}
		})
	}
}

// The plain SHA-256 is told of one block and of none, and of nothing longer.
func TestPlainSHA256(t *testing.T) {
	for _, size := range []int{0, 1, HeadSize, BlockSize, BlockSize + 1, 2 * BlockSize} {
		data := bytes.Repeat([]byte("osp"), size/3+1)[:size]
		h := NewPartHasher()
		_, _ = h.Write(data)
		_, blocks := h.Sum()
		got, ok := PlainSHA256(int64(size), blocks)
		if ok != (size <= BlockSize) || ok && got != sha256.Sum256(data) {
			t.Errorf("of %d bytes: %x, %v", size, got, ok)
		}
	}
}
