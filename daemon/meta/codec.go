package meta

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/osproxy/osproxy/protocol"
)

// blockBytes is the stored form of a block: SHA-256, XXH3, XXH3 of the head.
const blockBytes = 32 + 16 + 16

// chunkBlocks is how many blocks one row of block_digests holds.
const chunkBlocks = 1024

func encodeBlocks(blocks []protocol.Block) []byte {
	b := make([]byte, 0, len(blocks)*blockBytes)
	for i := range blocks {
		b = append(b, blocks[i].SHA256[:]...)
		b = append(b, blocks[i].XXH3[:]...)
		b = append(b, blocks[i].Head[:]...)
	}
	return b
}

// decodeBlocks appends the blocks of a stored row to list.
func decodeBlocks(list []protocol.Block, b []byte) ([]protocol.Block, error) {
	if len(b)%blockBytes != 0 {
		return nil, broken(fmt.Sprintf("a row of block digests has %d bytes", len(b)), nil)
	}
	for ; len(b) > 0; b = b[blockBytes:] {
		var k protocol.Block
		copy(k.SHA256[:], b)
		copy(k.XXH3[:], b[32:])
		copy(k.Head[:], b[48:])
		list = append(list, k)
	}
	return list, nil
}

// encodeRanges stores the [offset, length] ranges of a challenge.
func encodeRanges(ranges [][2]int64) []byte {
	b := make([]byte, 0, 16*len(ranges))
	for _, r := range ranges {
		b = binary.BigEndian.AppendUint64(b, uint64(r[0]))
		b = binary.BigEndian.AppendUint64(b, uint64(r[1]))
	}
	return b
}

func decodeRanges(b []byte) (ranges [][2]int64, err error) {
	if len(b)%16 != 0 {
		return nil, broken(fmt.Sprintf("the ranges of a challenge have %d bytes", len(b)), nil)
	}
	for ; len(b) > 0; b = b[16:] {
		ranges = append(ranges, [2]int64{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))})
	}
	return ranges, nil
}

// encodeMeta stores a file's own labels as JSON text, none as NULL.
func encodeMeta(m map[string]string) (*string, error) {
	if m == nil {
		return nil, nil
	}
	b, err := json.Marshal(m)
	s := string(b)
	return &s, err
}

func decodeMeta(s *string) (m map[string]string, err error) {
	if s == nil {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(*s), &m); err != nil {
		return nil, broken("a file's meta cannot be read", err)
	}
	return m, nil
}

// decodeHash reads a stored hash of exactly its length; NULL is nil.
func decodeHash[T ~[16]byte | ~[32]byte](b []byte) (*T, error) {
	if b == nil {
		return nil, nil
	}
	var h T
	if len(b) != len(h) {
		return nil, broken(fmt.Sprintf("a stored hash has %d bytes, not %d", len(b), len(h)), nil)
	}
	for i := range b {
		h[i] = b[i]
	}
	return &h, nil
}

// encodeHash stores a hash that may be absent.
func encodeHash[T ~[16]byte | ~[32]byte](h *T) []byte {
	if h == nil {
		return nil
	}
	b := make([]byte, len(*h))
	for i := range b {
		b[i] = (*h)[i]
	}
	return b
}
