package protocol

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// What a claim samples (WIRE 7).
const (
	// claimWhole is the largest content of which a proof covers every byte.
	claimWhole = 256 << 10
	// claimRanges ranges of claimRange bytes are sampled of larger content.
	claimRanges = 64
	claimRange  = 4096
)

// Nonce makes a proof good for one claim only.
type Nonce [32]byte

var nonceText = base64.RawURLEncoding.Strict()

// String is base64url without padding (RFC 4648 section 5): 43 characters.
func (n Nonce) String() string { return nonceText.EncodeToString(n[:]) }

// ParseNonce accepts exactly what String prints; anything else is
// KindBadRequest.
func ParseNonce(s string) (n Nonce, err error) {
	b, err := nonceText.DecodeString(s)
	if err != nil || len(b) != len(n) || len(s) != nonceText.EncodedLen(len(n)) {
		return Nonce{}, Errorf(KindBadRequest, "%.60q is not a nonce", s)
	}
	return Nonce(b), nil
}

// ClaimRanges chooses the [offset, length] ranges a proof must cover, with
// randomness from rnd: all of content up to 256 KiB, else 64 ranges of 4,096
// bytes at independent uniform offsets (WIRE 7). Content without bytes, which
// is never claimed, is KindClaimRefused.
func ClaimRanges(size int64, rnd io.Reader) ([][2]int64, error) {
	switch {
	case size <= 0:
		return nil, Errorf(KindClaimRefused, "content of %d bytes is never claimed", size)
	case size <= claimWhole:
		return [][2]int64{{0, size}}, nil
	}
	ranges := make([][2]int64, claimRanges)
	for i := range ranges {
		off, err := uniform(rnd, uint64(size-claimRange)+1)
		if err != nil {
			return nil, fmt.Errorf("choose the ranges of a claim: %w", err)
		}
		ranges[i] = [2]int64{int64(off), claimRange}
	}
	return ranges, nil
}

// uniform draws a number below n, each equally likely: a draw from the
// incomplete last stretch of n numbers is thrown away.
func uniform(rnd io.Reader, n uint64) (uint64, error) {
	var b [8]byte
	for {
		if _, err := io.ReadFull(rnd, b[:]); err != nil {
			return 0, err
		}
		if v := binary.BigEndian.Uint64(b[:]); v < math.MaxUint64-math.MaxUint64%n {
			return v % n, nil
		}
	}
}

// Proof shows that whoever computes it can read the ranges of content of this
// size and digest (WIRE 7): HMAC-SHA256 with the nonce as key over the upload,
// the content and the sampled bytes, in the order of ranges. Ranges that
// ClaimRanges cannot have chosen are KindClaimRefused, so that no daemon makes
// a client read more. A read that ends early is io.ErrUnexpectedEOF, wrapped.
func Proof(n Nonce, uid UID, size int64, d Digest, ranges [][2]int64, r io.ReaderAt) ([32]byte, error) {
	if !claimable(size, ranges) {
		return [32]byte{}, Errorf(KindClaimRefused, "the ranges to prove are none that a claim of %d bytes has", size)
	}
	buf := make([]byte, claimRange)
	h := hmac.New(sha256.New, n[:])
	h.Write([]byte("osp-claim-1\n"))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(uid)))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(size)))
	h.Write(d[:])
	for _, rg := range ranges {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(rg[0])))
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(rg[1])))
		got, err := io.CopyBuffer(h, io.NewSectionReader(r, rg[0], rg[1]), buf)
		if err == nil && got < rg[1] {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return [32]byte{}, fmt.Errorf("read the proof's range at byte %d: %w", rg[0], err)
		}
	}
	return [32]byte(h.Sum(nil)), nil
}

// claimable reports whether ranges are some that ClaimRanges gives for size.
func claimable(size int64, ranges [][2]int64) bool {
	if size <= claimWhole {
		return size > 0 && len(ranges) == 1 && ranges[0] == [2]int64{0, size}
	}
	for _, r := range ranges {
		if r[0] < 0 || r[0] > size-claimRange || r[1] != claimRange {
			return false
		}
	}
	return len(ranges) == claimRanges
}
