package front

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// plain is a vendor that has no manners of its own.
type plain struct{}

func (plain) Prefix() string { return "x-plain-" }
func (plain) Limits() Limits {
	return Limits{Key: 100, Put: 100, MinPart: 1, MaxPart: 100, MaxParts: 10}
}
func (plain) Key(r *http.Request) (string, error)                { return strings.TrimPrefix(r.URL.Path, "/"), nil }
func (plain) Verify(*http.Request, time.Time) error              { return nil }
func (plain) Source(header string) (string, error)               { return header, nil }
func (plain) Translate(e *Error) *Error                          { return e }
func (plain) Failure(e *Error, _ *http.Request, _ string) []byte { return []byte(e.Error()) }

func (plain) Operations() []Operation {
	part := []string{"partNumber", "uploadId"}
	return []Operation{
		{Name: InitiateMultipartUpload, Method: http.MethodPost, Object: true, Marks: []string{"uploads"}},
		{Name: UploadPartCopy, Method: http.MethodPut, Object: true, Copy: true, Marks: part},
		{Name: UploadPart, Method: http.MethodPut, Object: true, Marks: part},
		{Name: CompleteMultipartUpload, Method: http.MethodPost, Object: true, Marks: part[1:]},
		{Name: AbortMultipartUpload, Method: http.MethodDelete, Object: true, Marks: part[1:]},
	}
}

// s3 answers with success whatever it is asked of the upload "one", and tells
// when it is asked by a method.
func s3(asked func(method string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		asked(r.Method)
		w.Header().Set("Etag", `"tag"`)
		switch {
		case r.URL.Query().Has("uploads"):
			fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>")
		case r.Method == http.MethodPost:
			fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"tag"</ETag></CompleteMultipartUploadResult>`)
		case r.Header.Get("X-Amz-Copy-Source") != "":
			fmt.Fprint(w, `<CopyPartResult><ETag>"tag"</ETag></CopyPartResult>`)
		case r.Method == http.MethodGet, r.Method == http.MethodHead:
			w.Header().Set("Content-Length", "9")
			fmt.Fprint(w, "the bytes") // which nobody sees of a HEAD
		}
	}
}

// TestACallerThatLeaves: what was asked of an upload is done, and known here,
// as it is at a storage that nobody waits for any more.
func TestACallerThatLeaves(t *testing.T) {
	const part = "?partNumber=1&uploadId=one"
	known := func(f *Front) bool { return f.uploads.parts("one")[1].etag == `"tag"` }
	gone := func(f *Front) bool { return !f.uploads.has("one") }
	for _, c := range []struct {
		what, method, query, source, body string
		at                                string // the method of the S3 server's at which the caller leaves
		done                              func(*Front) bool
	}{
		{"begin", http.MethodPost, "?uploads", "", "", http.MethodPost, func(f *Front) bool { return f.uploads.has("one") }},
		{"send a part", http.MethodPut, part, "", "data", http.MethodPut, known},
		{"copy a part, before it is copied", http.MethodPut, part, "source", "", http.MethodHead, known},
		{"copy a part, while it is copied", http.MethodPut, part, "source", "", http.MethodPut, known},
		{"complete", http.MethodPost, "?uploadId=one", "", completing, http.MethodPost, gone},
		{"complete, with the object made", http.MethodPost, "?uploadId=one", "", completing, http.MethodGet, gone},
		{"abandon", http.MethodDelete, "?uploadId=one", "", "", http.MethodDelete, gone},
	} {
		t.Run(c.what, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			server := httptest.NewServer(s3(func(method string) {
				if method == c.at {
					leave()
				}
			}))
			defer server.Close()
			f := New(Config{Vendor: plain{}, Spool: t.TempDir(), Upstream: Upstream{URL: server.URL, Region: "here", Bucket: "bucket", AccessKeyID: "id", SecretAccessKey: "secret"}})
			if c.method != http.MethodPost || c.body != "" {
				f.uploads.add("one", "key", time.Now())
			}
			r := httptest.NewRequestWithContext(ctx, c.method, "/key"+c.query, strings.NewReader(c.body))
			if c.source != "" {
				r.Header.Set("X-Plain-Copy-Source", c.source)
			}
			w := httptest.NewRecorder()
			f.ServeHTTP(w, r)
			if ctx.Err() == nil || !c.done(f) {
				t.Errorf("left: %v; and it is not done: %d %s", ctx.Err(), w.Code, w.Body)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

const completing = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"tag"</ETag></Part></CompleteMultipartUpload>`
