package front

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"hash/crc64"
	"io"
	"net/http"
	"strings"
)

// passed are the headers of S3's answers that a vendor has, too.
var passed = []string{
	"Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Range",
	"Content-Type", "Etag", "Expires", "Last-Modified",
}

// answer passes an answer of S3's on; its body is closed.
func (f *Front) answer(w http.ResponseWriter, resp *http.Response) error {
	for _, h := range passed {
		if v := resp.Header[h]; v != nil {
			w.Header()[h] = v
		}
	}
	for h, v := range resp.Header {
		if name, ok := strings.CutPrefix(strings.ToLower(h), "x-amz-meta-"); ok {
			w.Header()[http.CanonicalHeaderKey(f.Vendor.Prefix()+"meta-"+name)] = v
		}
	}
	w.WriteHeader(resp.StatusCode)
	_, err := io.Copy(w, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		panic(http.ErrAbortHandler) // half an answer must not look whole
	}
	return nil
}

// pass serves a call as S3 does.
func (f *Front) pass(w http.ResponseWriter, c *call) error {
	body, err := f.spool(c.Body)
	if err != nil {
		return err
	}
	return f.passSpooled(w, c, body)
}

func (f *Front) passSpooled(w http.ResponseWriter, c *call, body *spooled) error {
	query := c.query()
	if c.op.Name == ListObjectsV2 {
		query = listing(c)
	}
	resp, err := f.do(c.Context(), ask{c.Method, c.key, query, f.header(c), body.reader(), body.size})
	if err = errors.Join(err, body.drop()); err != nil {
		return err
	}
	return f.answer(w, resp)
}

// deleteObjects deletes at most 1000 objects, whose list has come whole: by its
// checksum, which has to be there.
func (f *Front) deleteObjects(w http.ResponseWriter, c *call) error {
	text, err := io.ReadAll(io.LimitReader(c.Body, 2<<20))
	if err != nil {
		return incomplete(err)
	}
	switch sum := md5.Sum(text); c.Header.Get("Content-Md5") {
	case base64.StdEncoding.EncodeToString(sum[:]):
	case "":
		return Refuse(http.StatusBadRequest, "MissingContentMD5", "the request has no Content-MD5")
	default:
		return Refuse(http.StatusBadRequest, "BadDigest", "the Content-MD5 is not the body's")
	}
	var doc struct {
		XMLName xml.Name `xml:"Delete"`
		Object  []struct{ Key string }
	}
	if err := xml.Unmarshal(text, &doc); err != nil || len(doc.Object) == 0 || len(doc.Object) > 1000 {
		return Refuse(http.StatusBadRequest, "MalformedXML", "the body names %d objects, of 1 to 1000: %v", len(doc.Object), err)
	}
	body, err := f.spool(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return f.passSpooled(w, c, body)
}

// put streams the body where its length is known, and spools it else.
func (f *Front) put(w http.ResponseWriter, c *call) error {
	body, size := io.Reader(c.Body), c.ContentLength
	if size > f.Vendor.Limits().Put {
		return Refuse(http.StatusBadRequest, "EntityTooLarge", "the object has %d bytes", size)
	}
	if size < 0 {
		s, err := f.spool(c.Body)
		if err != nil {
			return err
		}
		defer func() { _ = s.drop() }() // the system's folder is emptied by others
		body, size = s.reader(), s.size
	}
	sum := crc64.New(ecma)
	resp, err := f.do(c.Context(), ask{c.Method, c.key, nil, f.header(c), io.TeeReader(body, sum), size})
	if err != nil {
		return err
	}
	f.sums.set(c.key, resp.Header.Get("Etag"), sum.Sum64())
	f.setSum(w.Header(), sum.Sum64())
	return f.answer(w, resp)
}

func (f *Front) read(w http.ResponseWriter, c *call) error {
	resp, err := f.do(c.Context(), ask{method: c.Method, key: c.key, query: c.query(), header: f.header(c)})
	if err != nil {
		return err
	}
	if etag := resp.Header.Get("Etag"); etag != "" && resp.StatusCode != http.StatusNotModified {
		sum, err := f.checksum(c.Context(), c.key, etag)
		if err != nil {
			return errors.Join(err, resp.Body.Close())
		}
		f.setSum(w.Header(), sum)
	}
	return f.answer(w, resp)
}

// copyObject copies within the bucket.
func (f *Front) copyObject(w http.ResponseWriter, c *call) error {
	if err := f.running(); err != nil {
		return f.late(w, c, err)
	}
	h := f.header(c)
	h.Set("X-Amz-Copy-Source", f.copySource(c.source))
	body, err := f.document(c.Context(), ask{method: c.Method, key: c.key, header: h})
	if err != nil {
		return f.late(w, c, err)
	}
	return write(w, body)
}
