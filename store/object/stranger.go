package object

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Stranger is a refusal that came from something on the way to the storage: a
// proxy that has lost its routes answers 404 to everything. Of objects it says
// nothing, so that it means nothing, and may pass.
type Stranger struct{ Status int }

func (s *Stranger) Error() string {
	return fmt.Sprintf("something on the way to the storage answered %d %s, which is not how the storage says that", s.Status, http.StatusText(s.Status))
}

// maxRefusal bounds what is read of a refusal before it is given on.
const maxRefusal = 64 << 10

// own is the answer, or a Stranger. The storage's own refusal has its document
// as the body, or, where there is no room for one, the id of the request.
func (w Watched) own(r *http.Request, resp *http.Response) (*http.Response, error) {
	if !refuses(resp.StatusCode) {
		return resp, nil
	}
	if r.Method == http.MethodHead {
		if resp.Header.Get(w.RequestID) == "" {
			return nil, errors.Join(&Stranger{resp.StatusCode}, resp.Body.Close())
		}
		return resp, nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	if !coded(text) {
		return nil, errors.Join(&Stranger{resp.StatusCode}, resp.Body.Close())
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), resp.Body), resp.Body}
	return resp, nil
}

// refuses reports whether a status means something lasting. Others may pass,
// whoever answers with them.
func refuses(status int) bool {
	switch status {
	case http.StatusTooManyRequests:
		return false
	case http.StatusNotImplemented, http.StatusInsufficientStorage:
		return true
	}
	return status >= 400 && status < 500
}

// coded reports whether text is a document with which S3, OSS and COS refuse.
func coded(text []byte) bool {
	var doc struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
	}
	return xml.Unmarshal(text, &doc) == nil && doc.Code != ""
}
