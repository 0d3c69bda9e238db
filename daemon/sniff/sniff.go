// Package sniff says what the first bytes of a content tell: its media type,
// and how large the image is that it begins. It decodes no pixels, allocates
// nothing that the bytes ask for, and looks at no more than it is given; what
// it says of bytes that were made to mislead is wrong, never harmful.
package sniff

import "github.com/gabriel-vasile/mimetype"

// HeadSize is how many bytes of a content are enough. Photographs have their
// size behind profiles and previews of up to some hundred kilobytes.
const HeadSize = 1 << 20

// typeSize bounds what the media type is told from.
const typeSize = 3072

// unknown is what every content is that is nothing else.
const unknown = "application/octet-stream"

// MediaType is what a content that begins with head is, by its bytes alone, or
// "" where they do not tell.
func MediaType(head []byte) string {
	if len(head) == 0 {
		return ""
	}
	t := mimetype.Detect(head[:min(len(head), typeSize)])
	if t.Is(unknown) {
		return ""
	}
	return t.String()
}
