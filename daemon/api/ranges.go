package api

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// maxRanges is the most ranges one answer is cut into. A request for more gets
// the whole: each costs a seek and a header.
const maxRanges = 64

// optionalSpace is what may stand around the members of a list (RFC 9110
// section 5.6.3).
const optionalSpace = " \t"

// span is a range of bytes.
type span struct{ off, n int64 }

func (s span) contentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.off, s.off+s.n-1, size)
}

// parseRange reads a Range field (RFC 9110 section 14.2) for size bytes of
// content. Nil, without an error, means the whole: no field, another unit,
// nothing to cut (an empty file), more ranges than are worth it, or ranges
// that ask for more than there is, which only an attack does. KindRange is a
// field that cannot be read or has no byte of the content.
func parseRange(field string, size int64) ([]span, error) {
	unit, set, ok := strings.Cut(field, "=")
	if !ok || !strings.EqualFold(unit, "bytes") {
		// A unit this server does not know must be ignored.
		return nil, nil
	}
	var spans []span
	var sum int64
	some := false
	for spec := range strings.SplitSeq(set, ",") {
		spec = strings.Trim(spec, optionalSpace)
		if spec == "" {
			continue
		}
		some = true
		s, err := parseSpec(spec, size)
		if err != nil {
			return nil, unsatisfiable(size, err)
		}
		if s.n == 0 {
			continue
		}
		spans = append(spans, s)
		sum += s.n
	}
	switch {
	case size == 0 || !some || sum > size || len(spans) > maxRanges:
		return nil, nil
	case len(spans) == 0:
		return nil, unsatisfiable(size, protocol.Errorf(protocol.KindRange, "the File has %d bytes, and the range begins after them", size))
	}
	return spans, nil
}

func unsatisfiable(size int64, err error) error {
	return withHeader("Content-Range", fmt.Sprintf("bytes */%d", size), err)
}

// parseSpec reads first-last, first- or -length. A range without any byte of
// the content is the empty span.
func parseSpec(spec string, size int64) (span, error) {
	bad := protocol.Errorf(protocol.KindRange, "%.80q is not a range of bytes", spec)
	first, last, ok := strings.Cut(spec, "-")
	first, last = strings.Trim(first, optionalSpace), strings.Trim(last, optionalSpace)
	if !ok {
		return span{}, bad
	}
	if first == "" {
		n, err := parseOffset(last)
		if err != nil {
			return span{}, bad
		}
		n = min(n, size)
		return span{size - n, n}, nil
	}
	from, err := parseOffset(first)
	if err != nil {
		return span{}, bad
	}
	if from >= size {
		return span{}, nil
	}
	to := size - 1
	if last != "" {
		end, err := parseOffset(last)
		if err != nil || end < from {
			return span{}, bad
		}
		to = min(to, end)
	}
	return span{from, to - from + 1}, nil
}

// parseOffset reads digits, and nothing else that strconv takes.
func parseOffset(s string) (int64, error) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(s, 10, 64)
}

// piece is a span of the body's content and what is sent before it.
type piece struct {
	head string
	span
}

// byteRanges frames several spans as multipart/byteranges (RFC 9110 section
// 14.6) and gives the Content-Type, the pieces and the length of it all.
func byteRanges(spans []span, mediaType string, size int64) (contentType string, pieces []piece, length int64) {
	boundary := rand.Text()
	sep := ""
	for _, s := range spans {
		p := piece{fmt.Sprintf("%s--%s\r\nContent-Range: %s\r\nContent-Type: %s\r\n\r\n", sep, boundary, s.contentRange(size), mediaType), s}
		pieces = append(pieces, p)
		length += int64(len(p.head)) + s.n
		sep = "\r\n"
	}
	end := piece{head: sep + "--" + boundary + "--\r\n"}
	return "multipart/byteranges; boundary=" + boundary, append(pieces, end), length + int64(len(end.head))
}
