package oss_test

import (
	"encoding/base64"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/oss"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "wJalrXUtnFEMI-secret"
	key    = store.Key("00000001/0123456789abcdef0123456789abcdef")
	other  = store.Key("00000001/1123456789abcdef0123456789abcdef")
	place  = "/files/" + string(key)
)

// request is what the service was asked.
type request struct {
	*http.Request
	body []byte
}

// service is a service that answers what a test has it answer.
type service struct {
	*oss.Backend
	mu   sync.Mutex
	seen []request
}

// serve runs one. The body of a request is read before it is answered.
func serve(t *testing.T, answer http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		s.mu.Lock()
		s.seen = append(s.seen, request{r, body})
		s.mu.Unlock()
		if err == nil {
			w.Header().Set("X-Oss-Request-Id", "1")
			answer(w, r)
		}
	}))
	s.Backend = backend(t, oss.Config{Endpoint: srv.URL})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	return s
}

func backend(t *testing.T, c oss.Config) *oss.Backend {
	t.Helper()
	c.Region, c.Bucket, c.AccessKeyID, c.AccessKeySecret = "cn-hangzhou", "files", "LTAIexample", store.NewSecret(secret)
	b, err := oss.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// requests are those seen so far, as "METHOD /path?query".
func (s *service) requests() (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.seen {
		lines = append(lines, r.Method+" "+r.URL.RequestURI())
	}
	return lines
}

func (s *service) last() request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[len(s.seen)-1]
}

// failing answers every request with an error as OSS writes it; that of a HEAD
// is in a header.
func failing(status int, code, more string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		doc := fmt.Sprintf("<Error><Code>%s</Code><Message>the message</Message><RequestId>1</RequestId>%s</Error>", code, more)
		if r.Method == http.MethodHead {
			w.Header().Set("X-Oss-Err", base64.StdEncoding.EncodeToString([]byte(doc)))
		}
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprint(w, doc)
		}
	}
}

// sum is the CRC-64 that OSS computes.
func sum(data string) string {
	return fmt.Sprint(crc64.Checksum([]byte(data), crc64.MakeTable(crc64.ECMA)))
}

// holding answers with what an object store that holds these objects would, as
// far as reading goes.
func holding(objects map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		data, ok := objects[r.URL.Path]
		if !ok {
			failing(http.StatusNotFound, "NoSuchKey", "")(w, r)
			return
		}
		w.Header().Set("X-Oss-Hash-Crc64ecma", sum(data))
		w.Header().Set("Etag", `"`+sum(data)+`"`)
		w.Header().Set("Last-Modified", "Sat, 28 Nov 2026 10:00:00 GMT")
		w.Header().Set("Content-Type", "text/plain")
		if from, to, ok := bounds(r, len(data)); ok {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(data)))
			w.Header().Set("Content-Length", fmt.Sprint(to-from))
			w.WriteHeader(http.StatusPartialContent)
			data = data[from:to]
		}
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			return
		}
		fmt.Fprint(w, data)
	}
}

// bounds reads a range that lies in n bytes.
func bounds(r *http.Request, n int) (from, to int, ok bool) {
	spec, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok {
		return 0, 0, false
	}
	if _, err := fmt.Sscanf(spec, "%d-%d", &from, &to); err != nil {
		to = n - 1
	}
	return from, min(to+1, n), true
}
