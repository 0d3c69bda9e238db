package protocol

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"
)

// hashChunk is how many bytes are given to one hash after the other, few
// enough to stay in the core's cache between them. It divides HeadSize.
const hashChunk = 32 << 10

// DigestOf is the digest of the content that consists of blocks, in order
// (WIRE 2).
func DigestOf(blocks []Block) Digest {
	h := sha256.New()
	for i := range blocks {
		h.Write(blocks[i].SHA256[:])
	}
	return Digest(h.Sum(nil))
}

// PlainSHA256 is the plain SHA-256 of content of size bytes from the records of
// its blocks, where they tell it: of one block it is the block's own, of nothing
// that of nothing. ok is false for all other content.
func PlainSHA256(size int64, blocks []Block) (sum [sha256.Size]byte, ok bool) {
	switch {
	case size == 0:
		return sha256.Sum256(nil), true
	case len(blocks) == 1:
		return blocks[0].SHA256, true
	}
	return sum, false
}

// DigestOfSums is the digest over raw 32-byte block digests, one after the
// other, as GET …/blocks gives them (WIRE 2, 8). A length that is no multiple
// of 32 is KindIntegrity.
func DigestOfSums(sums []byte) (Digest, error) {
	if len(sums)%sha256.Size != 0 {
		return Digest{}, Errorf(KindIntegrity, "%d bytes are no list of block digests of %d bytes each", len(sums), sha256.Size)
	}
	return sha256.Sum256(sums), nil
}

// BlockCount is the number of blocks of content of size bytes: 0 for none.
func BlockCount(size int64) int64 {
	if size <= 0 {
		return 0
	}
	return (size-1)/BlockSize + 1
}

// HashContent reads r to its end and gives the digest of what it read and its
// length. An error is r's own, wrapped; the length is then what was read
// before it.
func HashContent(r io.Reader) (Digest, int64, error) {
	whole, block := sha256.New(), sha256.New()
	buf, sum := make([]byte, hashChunk), make([]byte, 0, sha256.Size)
	var size int64
	for {
		n, err := io.CopyBuffer(block, io.LimitReader(r, BlockSize), buf)
		size += n
		if n > 0 {
			whole.Write(block.Sum(sum))
			block.Reset()
		}
		if err != nil {
			return Digest{}, size, fmt.Errorf("hash content at byte %d: %w", size, err)
		}
		if n < BlockSize {
			return Digest(whole.Sum(nil)), size, nil
		}
	}
}

// PartHasher hashes the bytes of a part as they pass, once: the part's XXH3
// and, for each of its blocks, what a Block records. The bytes begin at a
// block boundary. Write does not allocate but to grow the list of blocks. It is
// for one goroutine at a time.
//
// XXH3 can be read off at any point without ending it, so nothing is hashed
// twice that need not be: a block's head is its own XXH3 after HeadSize bytes,
// and the first block's XXH3 is the part's so far.
type PartHasher struct {
	part  XXH3Hasher
	block XXH3Hasher
	sha   hash.Hash
	// fill is how many bytes of the block in hand have passed.
	fill   int
	head   XXH3
	sum    [sha256.Size]byte
	blocks []Block
}

// NewPartHasher makes a PartHasher that has seen no bytes.
func NewPartHasher() *PartHasher { return &PartHasher{sha: sha256.New()} }

// Write hashes p. It takes all of p and never fails.
func (h *PartHasher) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), hashChunk-h.fill%hashChunk)
		h.chunk(rest[:n])
		rest = rest[n:]
	}
	return len(p), nil
}

// chunk hashes p, which crosses no multiple of hashChunk, and so neither the
// end of a head nor that of a block.
func (h *PartHasher) chunk(p []byte) {
	h.sha.Write(p)
	h.part.Write(p)
	if len(h.blocks) > 0 {
		h.block.Write(p)
	}
	h.fill += len(p)
	if h.fill == HeadSize {
		h.head = h.blockXXH3()
	}
	if h.fill == BlockSize {
		h.blocks = append(h.blocks, h.current())
		h.block.Reset()
		h.sha.Reset()
		h.fill = 0
	}
}

// blockXXH3 is the XXH3 of the block in hand so far.
func (h *PartHasher) blockXXH3() XXH3 {
	if len(h.blocks) == 0 {
		return h.part.Sum()
	}
	return h.block.Sum()
}

// current is the record of the block in hand if it ended here.
func (h *PartHasher) current() Block {
	b := Block{XXH3: h.blockXXH3(), Head: h.head}
	if h.fill <= HeadSize {
		b.Head = b.XXH3
	}
	h.sha.Sum(h.sum[:0])
	b.SHA256 = h.sum
	return b
}

// Sum is the XXH3 of all bytes written since the last Reset, and the record
// of each block, the last one as if the content ended here. It changes
// nothing, and the slice is the caller's. No bytes have no blocks.
func (h *PartHasher) Sum() (XXH3, []Block) {
	if h.fill == 0 {
		return h.part.Sum(), slices.Clone(h.blocks)
	}
	blocks := make([]Block, 0, len(h.blocks)+1)
	return h.part.Sum(), append(append(blocks, h.blocks...), h.current())
}

// Reset forgets all bytes, for the next part.
func (h *PartHasher) Reset() {
	h.part.Reset()
	h.block.Reset()
	h.sha.Reset()
	h.fill = 0
	h.blocks = h.blocks[:0]
}
