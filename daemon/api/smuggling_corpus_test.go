package api

import (
	"fmt"
	"strconv"
	"strings"
)

// ambiguous are requests that two servers could read as different ones: line is
// the request line up to the version, fields are more of the header, body is at
// most a thousand bytes, and hidden a request that one of the readings has behind
// it.
func ambiguous(line, fields, body, hidden string) map[string]string {
	put := line + "HTTP/1.1\r\nHost: HOST\r\n" + fields
	n := strconv.Itoa(len(body))
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	return map[string]string{
		"CL.TE":                      put + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"TE.CL":                      put + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunks + hidden,
		"TE.TE":                      put + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + hidden,
		"TE in capitals":             put + "Transfer-Encoding: CHUNKED\r\n\r\n" + chunks + hidden,
		"TE and a tab":               put + "Transfer-Encoding:\tchunked\t\r\nContent-Length: 3\r\n\r\n" + chunks + hidden,
		"TE and a vertical tab":      put + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunks + hidden,
		"TE identity":                put + "Transfer-Encoding: identity\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"TE chunked, identity":       put + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunks + hidden,
		"TE gzip, chunked":           put + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks + hidden,
		"TE xchunked":                put + "Transfer-Encoding: xchunked\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"TE empty":                   put + "Transfer-Encoding:\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"TE on HTTP/1.0":             line + "HTTP/1.0\r\nHost: HOST\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n" + chunks + hidden,
		"CL twice, the same":         put + "Content-Length: " + n + "\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"CL twice, another":          put + "Content-Length: " + n + "\r\nContent-Length: 0\r\n\r\n" + body + hidden,
		"CL with a plus":             put + "Content-Length: +" + n + "\r\n\r\n" + body + hidden,
		"CL in hex":                  put + "Content-Length: 0x" + strconv.FormatInt(int64(len(body)), 16) + "\r\n\r\n" + body + hidden,
		"CL as a list":               put + "Content-Length: " + n + ", " + n + "\r\n\r\n" + body + hidden,
		"CL negative":                put + "Content-Length: -" + n + "\r\n\r\n" + body + hidden,
		"CL empty":                   put + "Content-Length:\r\n\r\n" + body + hidden,
		"CL beyond 64 bits":          put + "Content-Length: 1844674407370955" + strconv.Itoa(1616+len(body)) + "\r\n\r\n" + body + hidden,
		"CL wrapping to minus one":   put + "Content-Length: 18446744073709551615\r\n\r\n" + body + hidden,
		"CL beyond 63 bits":          put + "Content-Length: 922337203685477" + strconv.Itoa(5808+len(body)) + "\r\n\r\n" + body + hidden,
		"a bare LF":                  put + "Content-Length: " + n + "\nX-A: b\r\n\r\n" + body + hidden,
		"a bare LF at the end":       put + "Content-Length: " + n + "\r\n\n" + body + hidden,
		"a folded field":             put + "X-A: b\r\n Content-Length: 3\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"a folded first field":       line + "HTTP/1.1\r\n X: y\r\nHost: HOST\r\n" + fields + "Content-Length: " + n + "\r\n\r\n" + body + hidden,
		"space before the colon":     put + "Content-Length : " + n + "\r\n\r\n" + body + hidden,
		"TE, space before the colon": put + "Transfer-Encoding : chunked\r\n\r\n" + chunks + hidden,
		"NUL in a value":             put + "X-A: b\x00c\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"CR in a value":              put + "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"no colon":                   put + "X-A\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"a name that is no token":    put + "X(A): b\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"two Hosts":                  put + "Host: other\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"no Host":                    line + "HTTP/1.1\r\n" + fields + "Content-Length: " + n + "\r\n\r\n" + body + hidden,
		"a target with another host": strings.Replace(line, " /", " http://other/", 1) + "HTTP/1.1\r\nHost: HOST\r\n" + fields + "Content-Length: " + n + "\r\n\r\n" + body + hidden,
		"HTTP/1.2 and TE, CL":        line + "HTTP/1.2\r\nHost: HOST\r\n" + fields + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n" + chunks + hidden,
		"Authorization twice":        put + "Authorization: a\r\nAuthorization: b\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"Range twice":                put + "Range: bytes=0-1\r\nRange: bytes=2-3\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"Content-Range twice":        put + "Content-Range: bytes 0-1/2\r\nContent-Range: bytes 1-2/2\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"Idempotency-Key twice":      put + "Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"Osp-Xxh3 twice":             put + "Osp-Xxh3: a\r\nosp-xxh3: b\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"Content-Digest twice":       put + "Content-Digest: a=:b:\r\nContent-Digest: a=:c:\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
		"If-Match twice":             put + "If-Match: \"a\"\r\nIf-Match: \"b\"\r\nContent-Length: " + n + "\r\n\r\n" + body + hidden,
	}
}
