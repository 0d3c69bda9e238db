package front

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// leastOfS3 is the least size of a part that S3 joins.
const leastOfS3 = 5 << 20

// completion is the document that finishes an upload.
type completion struct {
	Part []struct {
		PartNumber int
		ETag       string
	}
}

func (f *Front) complete(w http.ResponseWriter, c *call) error {
	doc, err := io.ReadAll(io.LimitReader(c.Body, 8<<20))
	if err != nil {
		return incomplete(err)
	}
	var want completion
	if err := xml.Unmarshal(doc, &want); err != nil || len(want.Part) == 0 {
		return Refuse(http.StatusBadRequest, "MalformedXML", "the list of parts cannot be read, or is empty")
	}
	small, err := f.checkParts(want, f.uploads.parts(c.query().Get("uploadId")))
	if err != nil {
		return err
	}
	if err := f.running(); err != nil {
		return f.late(w, c, err)
	}
	var body []byte
	if small {
		body, err = f.join(c, want)
	} else {
		body, err = f.document(c.Context(), ask{c.Method, c.key, c.query(), f.header(c), bytes.NewReader(doc), int64(len(doc))})
	}
	if err != nil {
		return f.late(w, c, err)
	}
	done := struct{ ETag string }{}
	if err := xml.Unmarshal(body, &done); err != nil {
		return fmt.Errorf("read the S3 server's answer: %w", err)
	}
	sum, err := f.checksum(c.Context(), c.key, done.ETag)
	if err != nil {
		return err
	}
	if err := f.uploads.remove(c.query().Get("uploadId")); err != nil {
		return err
	}
	f.setSum(w.Header(), sum)
	return write(w, body)
}

// checkParts holds the list to the vendor's rules, as far as the parts are
// known here. Small says that S3's own are stricter.
func (f *Front) checkParts(want completion, known map[int]part) (small bool, err error) {
	for i, p := range want.Part {
		if i > 0 && p.PartNumber <= want.Part[i-1].PartNumber {
			return false, Refuse(http.StatusBadRequest, "InvalidPartOrder", "part %d comes after %d", p.PartNumber, want.Part[i-1].PartNumber)
		}
		k, ok := known[p.PartNumber]
		if len(known) > 0 && (!ok || strings.Trim(k.etag, `"`) != strings.Trim(p.ETag, `"`)) {
			return false, Refuse(http.StatusBadRequest, "InvalidPart", "part %d has not been uploaded, or with another ETag", p.PartNumber)
		}
		last := i == len(want.Part)-1
		if ok && !last && k.size < f.Vendor.Limits().MinPart {
			return false, Refuse(http.StatusBadRequest, "EntityTooSmall", "part %d has %d bytes", p.PartNumber, k.size)
		}
		small = small || ok && !last && k.size < leastOfS3
	}
	return small, nil
}

// join makes the object in one request, of parts that are too small for S3.
func (f *Front) join(c *call, want completion) ([]byte, error) {
	known := f.uploads.parts(c.query().Get("uploadId"))
	size := int64(0)
	parts := &joined{ctx: c.Context(), f: f}
	for _, p := range want.Part {
		parts.rest = append(parts.rest, known[p.PartNumber])
		size += known[p.PartNumber].size
	}
	h := f.header(c)
	h.Del("Content-Type") // it is the list's
	h.Del("Content-Md5")
	resp, err := f.do(c.Context(), ask{http.MethodPut, c.key, nil, h, parts, size})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(resp.Body.Close(), f.abandon(c.Context(), c.key, c.query())); err != nil {
		return nil, err
	}
	return xml.Marshal(struct {
		XMLName  xml.Name `xml:"CompleteMultipartUploadResult"`
		Location string
		Bucket   string
		Key      string
		ETag     string
	}{Location: "http://" + c.Host + "/" + c.key, Bucket: f.Upstream.Bucket, Key: c.key, ETag: resp.Header.Get("Etag")})
}

// joined reads parts one after the other. Whoever sends it closes it.
type joined struct {
	ctx  context.Context // of the request whose body it is
	f    *Front
	rest []part
	now  io.Reader
	end  io.Closer
}

func (j *joined) Read(b []byte) (int, error) {
	for {
		if j.now == nil {
			if len(j.rest) == 0 {
				return 0, io.EOF
			}
			if err := j.next(); err != nil {
				return 0, err
			}
		}
		n, err := j.now.Read(b)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		j.now = nil
		if err := j.Close(); err != nil || n > 0 {
			return n, err
		}
	}
}

func (j *joined) next() error {
	p := j.rest[0]
	j.rest = j.rest[1:]
	if p.body != nil {
		j.now = p.body.reader()
		return nil
	}
	h := http.Header{"If-Match": {p.pin}, "Range": {fmt.Sprintf("bytes=%d-%d", p.offset, p.offset+p.size-1)}}
	resp, err := j.f.do(j.ctx, ask{method: http.MethodGet, key: p.source, header: h})
	if err != nil {
		return err
	}
	j.now, j.end = resp.Body, resp.Body
	return nil
}

// Close ends what is being read.
func (j *joined) Close() error {
	if j.end == nil {
		return nil
	}
	err := j.end.Close()
	j.end = nil
	return err
}
