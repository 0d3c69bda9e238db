package front

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// Upstream is a bucket on the S3 server behind a front.
type Upstream struct {
	URL             string // http://127.0.0.1:PORT
	Region          string
	Bucket          string
	AccessKeyID     string
	SecretAccessKey string

	transport *http.Transport
}

// ask is a request to S3.
type ask struct {
	method string
	key    string
	query  url.Values
	header http.Header
	body   io.Reader
	size   int64
}

// send signs and sends a request. The caller closes the answer's body.
func (u *Upstream) send(ctx context.Context, a ask) (*http.Response, error) {
	body := a.body
	if body == nil || a.size == 0 {
		body = http.NoBody
	}
	req, err := http.NewRequestWithContext(ctx, a.method, u.URL, body)
	if err != nil {
		return nil, err
	}
	req.URL.Path = "/" + u.Bucket + "/" + a.key
	req.URL.RawPath = s3utils.EncodePath(req.URL.Path)
	req.URL.RawQuery = strings.ReplaceAll(a.query.Encode(), "+", "%20")
	req.ContentLength = a.size
	for k, v := range a.header {
		req.Header[k] = v
	}
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	req.Header.Set("Accept-Encoding", "identity")
	return u.transport.RoundTrip(signer.SignV4(*req, u.AccessKeyID, u.SecretAccessKey, "", u.Region))
}

// do is send, with an answer that is no success as an *Error.
func (f *Front) do(ctx context.Context, a ask) (*http.Response, error) {
	resp, err := f.Upstream.send(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("ask the S3 server: %w", err)
	}
	if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotModified {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the S3 server's error: %w", err)
	}
	e := failure(resp.StatusCode, body)
	if e.Code == "PreconditionFailed" && a.header.Get("If-None-Match") == "*" {
		e = alreadyThere()
	}
	return nil, f.Vendor.Translate(e)
}

// alreadyThere is what the vendors say where S3 says that a precondition failed.
func alreadyThere() *Error {
	return &Error{http.StatusConflict, "FileAlreadyExists", "the object exists, and was not to be overwritten"}
}

// failure reads S3's error, which answers of HEAD do not have.
func failure(status int, body []byte) *Error {
	e := struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{}
	if xml.Unmarshal(body, &e) == nil && e.Code != "" {
		return &Error{status, e.Code, e.Message}
	}
	codes := map[int]string{
		http.StatusForbidden: "AccessDenied", http.StatusNotFound: "NoSuchKey", http.StatusPreconditionFailed: "PreconditionFailed",
		http.StatusRequestedRangeNotSatisfiable: "InvalidRange", http.StatusServiceUnavailable: "SlowDown",
	}
	if code := codes[status]; code != "" {
		return &Error{status, code, http.StatusText(status)}
	}
	return &Error{status, "InternalError", "the S3 server said " + http.StatusText(status)}
}

// document sends a request whose answer is a short document, and reads it. An
// error in a document of status 200 is an error.
func (f *Front) document(ctx context.Context, a ask) ([]byte, error) {
	resp, err := f.do(ctx, a)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the S3 server's answer: %w", err)
	}
	if e := failure(0, body); e.Code != "InternalError" {
		e.Status = http.StatusInternalServerError
		if e.Code == "PreconditionFailed" && a.header.Get("If-None-Match") == "*" {
			e = alreadyThere()
		}
		return nil, f.Vendor.Translate(e)
	}
	return body, nil
}
