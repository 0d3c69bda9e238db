package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"os"

	"github.com/osproxy/osproxy/protocol"
)

// missingBlocks are the blocks of a part file of size bytes that do not match
// their digests in sums, checked on all cores.
func missingBlocks(ctx context.Context, f *os.File, size int64, sums []byte) ([]int, error) {
	count := len(sums) / sha256.Size
	held := make([]bool, count)
	zeros := sha256.Sum256(make([]byte, protocol.BlockSize))
	err := parallel(ctx, workers(), count, func(ctx context.Context, buf []byte, i int) error {
		off, n := blockRange(size, i)
		want := sums[i*sha256.Size:][:sha256.Size]
		full := n == protocol.BlockSize
		if full && isHole(f, off, n) {
			held[i] = bytes.Equal(want, zeros[:])
			return nil
		}
		h := &holeHash{sha: sha256.New()}
		if err := feed(ctx, h, f, off, n, buf); err != nil {
			return err
		}
		empty := full && !h.solid
		held[i] = empty && bytes.Equal(want, zeros[:]) || !empty && bytes.Equal(want, h.sum())
		return nil
	})
	if err != nil {
		return nil, err
	}
	var missing []int
	for i, ok := range held {
		if !ok {
			missing = append(missing, i)
		}
	}
	return missing, nil
}

// holeHash is a SHA-256 that puts hashing off while all is zero. A part file
// may be mostly holes, which read as zeros, and telling those takes memory
// speed only.
type holeHash struct {
	sha   hash.Hash
	zeros int64 // leading zero bytes not hashed yet
	solid bool  // something else has come
}

// Write is io.Writer and never fails.
func (h *holeHash) Write(p []byte) (int, error) {
	if !h.solid && allZero(p) {
		h.zeros += int64(len(p))
		return len(p), nil
	}
	h.solid = true
	h.hashZeros()
	return h.sha.Write(p)
}

func (h *holeHash) hashZeros() {
	if h.zeros > 0 {
		zero := make([]byte, min(h.zeros, copyBuffer))
		for ; h.zeros > 0; h.zeros -= int64(len(zero)) {
			zero = zero[:min(h.zeros, int64(len(zero)))]
			h.sha.Write(zero)
		}
	}
}

// sum is the SHA-256 of all that was written.
func (h *holeHash) sum() []byte {
	h.hashZeros()
	return h.sha.Sum(nil)
}

// allZero compares p with itself, moved by one byte.
func allZero(p []byte) bool {
	return len(p) == 0 || p[0] == 0 && bytes.Equal(p[1:], p[:len(p)-1])
}
