package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/protocol"
)

// maxJSON bounds the JSON of a request.
const maxJSON = 1 << 20

// parseQuery reads a query of known parameters, each at most once.
func parseQuery(raw string, known []string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, protocol.Errorf(protocol.KindBadRequest, "the query cannot be read: a percent sign or a semicolon is not escaped")
	}
	query := make(map[string]string, len(values))
	for name, vs := range values {
		if !isKnown(name, known) {
			return nil, &protocol.Error{Kind: protocol.KindUnknownField, Message: fmt.Sprintf("this request has no parameter %.80q; nothing was done", name)}
		}
		if len(vs) > 1 {
			return nil, protocol.Errorf(protocol.KindBadRequest, "the parameter %.80q is given twice", name)
		}
		query[name] = vs[0]
	}
	return query, nil
}

func isKnown(name string, known []string) bool {
	for _, k := range known {
		if name == k || strings.HasSuffix(k, ".") && strings.HasPrefix(name, k) && len(name) > len(k) {
			return true
		}
	}
	return false
}

// limit is the parameter of that name, 0 when absent or empty.
func (c *call) limit() (int, error) {
	text := c.query["limit"]
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, protocol.Errorf(protocol.KindBadRequest, "the limit is not a number from 1")
	}
	return n, nil
}

// header copies a field out of fasthttp's memory.
func (c *call) header(name string) string { return string(c.http.Request.Header.Peek(name)) }

// readJSON reads the body of a JSON route.
func (c *call) readJSON() ([]byte, error) {
	mediaType, _, _ := strings.Cut(c.header("Content-Type"), ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	patch := c.http.IsPatch() && mediaType == "application/merge-patch+json" // RFC 7396
	if mediaType != "" && mediaType != "application/json" && !patch {
		return nil, &protocol.Error{Kind: protocol.KindUnsupportedMediaType, Message: "the body of this request is JSON",
			Hint: "Send Content-Type: application/json."}
	}
	b, err := io.ReadAll(c.body)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	c.held = b
	return b, nil
}

// once is what makes this request happen at most once, nil without a key
// (WIRE 10).
func (c *call) once(body []byte) (*once.Request, error) {
	key := c.header(protocol.HeaderIdempotencyKey)
	if !c.given(protocol.HeaderIdempotencyKey) {
		return nil, nil
	}
	if err := protocol.CheckIdempotencyKey(key); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	h := sha256.New()
	for _, s := range []string{string(c.http.Method()), c.rawURL.path, c.canonicalQuery(), c.header("Content-Type"), string(sum[:])} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	return &once.Request{Key: key, Sum: [32]byte(h.Sum(nil))}, nil
}

// given reports whether the request has the field at all, be it empty.
func (c *call) given(name string) bool { return len(c.http.Request.Header.PeekAll(name)) > 0 }

// hashes are those the caller gave of the body.
func (c *call) hashes() (*protocol.XXH3, *[32]byte, error) {
	var xxh3 *protocol.XXH3
	if text := c.header(protocol.HeaderXXH3); c.given(protocol.HeaderXXH3) {
		x, err := protocol.ParseXXH3(text)
		if err != nil {
			return nil, nil, fmt.Errorf("header %s: %w", protocol.HeaderXXH3, err)
		}
		xxh3 = &x
	}
	sum, err := parseContentDigest(c.header("Content-Digest"))
	return xxh3, sum, err
}

// parseContentDigest reads the sha-256 of a Content-Digest field (RFC 9530,
// a dictionary of RFC 8941). Other algorithms are ignored, as the RFC has it.
func parseContentDigest(field string) (*[32]byte, error) {
	var sum *[32]byte
	for member := range strings.SplitSeq(field, ",") {
		key, value, _ := strings.Cut(strings.Trim(member, " \t"), "=")
		if key != "sha-256" {
			continue
		}
		value, _, _ = strings.Cut(value, ";") // parameters say nothing of the bytes
		text, open := strings.CutPrefix(value, ":")
		text, closed := strings.CutSuffix(text, ":")
		// The length is asked first, since the decoder skips line ends.
		const digits = 44
		b, err := base64.StdEncoding.Strict().DecodeString(text)
		if !open || !closed || len(text) != digits || err != nil || len(b) != 32 || sum != nil {
			return nil, &protocol.Error{Kind: protocol.KindBadRequest, Message: "the sha-256 of Content-Digest cannot be read; nothing was recorded",
				Hint: "Its form is sha-256=:<44 characters of base64>: (RFC 9530)."}
		}
		sum = (*[32]byte)(b)
	}
	return sum, nil
}
