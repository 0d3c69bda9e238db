package s3_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/s3"
)

// request is one that a service got.
type request struct {
	line   string // method, path and query
	header http.Header
	length int64
	body   string
}

// service answers as a test says, and keeps what it was asked.
type service struct {
	mu       sync.Mutex
	requests []request
}

// serve opens a backend on a service that answers by answer, which is given the
// request as it was kept.
func serve(t *testing.T, answer func(http.ResponseWriter, request)) (*s3.Backend, *service) {
	t.Helper()
	s := &service{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		q := request{r.Method + " " + r.URL.RequestURI(), r.Header, r.ContentLength, string(body)}
		s.mu.Lock()
		s.requests = append(s.requests, q)
		s.mu.Unlock()
		w.Header().Set("X-Amz-Request-Id", "17")
		answer(w, q)
	}))
	t.Cleanup(server.Close)
	return open(t, s3.Config{
		Endpoint: server.URL, Region: "us-east-1", Bucket: "files", PathStyle: true, AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: store.NewSecret(secret),
	}), s
}

const secret = "wJalrXUtnFEMI"

// asked are the requests whose line begins so.
func (s *service) asked(line string) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []request
	for _, q := range s.requests {
		if strings.HasPrefix(q.line, line) {
			all = append(all, q)
		}
	}
	return all
}

// fails answers with an error as S3 writes one.
func fails(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>Said so</Message><RequestId>17</RequestId></Error>", code)
}

// describes answers to a HEAD or GET.
func describes(w http.ResponseWriter, size int) {
	h := w.Header()
	h.Set("ETag", `"0123456789abcdef0123456789abcdef"`)
	h.Set("Last-Modified", "Sat, 28 Nov 2026 10:00:00 GMT")
	h.Set("Content-Length", fmt.Sprint(size))
}

const key store.Key = "00000001/0123456789abcdef0123456789abcdef"

func body(data string) io.Reader { return bytes.NewReader([]byte(data)) }

func put(t *testing.T, b *s3.Backend, data string) error {
	t.Helper()
	return b.Put(t.Context(), key, body(data), int64(len(data)))
}
