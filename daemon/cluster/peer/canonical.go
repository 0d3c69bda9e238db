package peer

import (
	"encoding/binary"
	"math"
	"strconv"
)

// Unsized is the length of a body that comes in chunks.
const Unsized = -1

// Message is a request between peers, as it is sent and as it was received.
type Message struct {
	// Method, Path and Query are as they stand in the request line. Query has no
	// question mark.
	Method, Path, Query string
	// Length is that of the body: 0 also where there is none, Unsized in chunks.
	Length int64
	// Fields are, of what is sent, those of Fields() alone; of what was received,
	// all there are.
	Fields []Field
}

// head is what proves a request, in the words in which it is sent.
type head struct{ node, to, time, nonce string }

// canonical is what a signature is over. Each item has its length before it, so
// that no two requests have one text; a field that is not there differs from an
// empty one.
func canonical(m Message, h head, values []*string) []byte {
	text := appendItems(make([]byte, 0, 1<<10), "osp-peer-1", m.Method, m.Path, m.Query,
		h.time, h.nonce, h.node, h.to, strconv.FormatInt(m.Length, 10))
	for _, v := range values {
		if v == nil {
			text = binary.BigEndian.AppendUint32(text, math.MaxUint32)
			continue
		}
		text = appendItems(text, *v)
	}
	return text
}

func appendItems(text []byte, items ...string) []byte {
	for _, item := range items {
		text = binary.BigEndian.AppendUint32(text, uint32(len(item)))
		text = append(text, item...)
	}
	return text
}
