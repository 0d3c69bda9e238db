package front

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

var nextMarker = regexp.MustCompile(`(?s)<NextMarker>.*?</NextMarker>|<NextMarker/>`)

// list serves a listing by markers. The vendors say where to go on of every
// listing that is cut; S3 need not, and MinIO adds words of its own.
func (f *Front) list(w http.ResponseWriter, c *call) error {
	q := listing(c)
	body, err := f.document(c.Context(), ask{method: c.Method, query: q})
	if err != nil {
		return err
	}
	page := struct {
		IsTruncated bool
		Contents    []struct{ Key string }
		Prefixes    []struct{ Prefix string } `xml:"CommonPrefixes"`
	}{}
	if err := xml.Unmarshal(body, &page); err != nil {
		return fmt.Errorf("read the S3 server's listing: %w", err)
	}
	body = nextMarker.ReplaceAll(body, nil)
	if page.IsTruncated {
		last := ""
		if n := len(page.Contents); n > 0 {
			last = page.Contents[n-1].Key
		}
		if n := len(page.Prefixes); n > 0 {
			last = max(last, page.Prefixes[n-1].Prefix)
		}
		var next bytes.Buffer
		next.WriteString("<NextMarker>")
		if err := xml.EscapeText(&next, []byte(last)); err != nil {
			return err
		}
		next.WriteString("</NextMarker></ListBucketResult>")
		body = bytes.Replace(body, []byte("</ListBucketResult>"), next.Bytes(), 1)
	}
	return write(w, body)
}

// listing is what a listing asks S3 for. MinIO refuses prefixes of names that it
// cannot keep, of which there are no objects ("..x" is not found by ".."), and a marker that has not the
// prefix, which only says on which side of all that have it the listing begins.
func listing(c *call) url.Values {
	q := c.query()
	prefix, after := q.Get("prefix"), q.Get("marker")
	if !kept(prefix) {
		q.Set("prefix", "")
		q.Set("max-keys", "0")
	}
	if !strings.HasPrefix(after, prefix) {
		q.Del("marker")
		if after > prefix {
			q.Set("max-keys", "0")
		}
	}
	return q
}
