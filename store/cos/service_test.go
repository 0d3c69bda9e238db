package cos_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/cos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "wJalrXUtnFEMI-secret"
	key    = store.Key("00000001/0123456789abcdef0123456789abcdef")
	other  = store.Key("00000001/1123456789abcdef0123456789abcdef")
	path   = "/p/" + string(key)
)

// service answers what a test has it answer.
type service struct {
	*cos.Backend
	mu   sync.Mutex
	seen []*http.Request
	sent []int // bytes of bodies that arrived
}

// serve runs one. The body of a request is read before it is answered, and one
// that breaks off is not answered.
func serve(t *testing.T, answer http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		s.mu.Lock()
		s.seen, s.sent = append(s.seen, r), append(s.sent, len(body))
		s.mu.Unlock()
		if err == nil {
			w.Header().Set("X-Cos-Request-Id", "the-request")
			answer(w, r)
		}
	}))
	s.Backend = backend(t, srv.URL)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	return s
}

func backend(t *testing.T, url string) *cos.Backend {
	t.Helper()
	b, err := cos.New(cos.Config{URL: url, Prefix: "p", SecretID: "AKIDexample", SecretKey: store.NewSecret(secret)})
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
		line := r.Method + " " + r.URL.Path
		if r.URL.RawQuery != "" {
			line += "?" + r.URL.RawQuery
		}
		lines = append(lines, line)
	}
	return lines
}

// arrived are the lengths of the bodies of those requests.
func (s *service) arrived() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// failing answers with an error as COS writes it.
func failing(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<?xml version='1.0' encoding='utf-8' ?><Error><Code>%s</Code><Message>%s</Message><RequestId>the-request</RequestId></Error>", code, message)
		}
	}
}

// sum is the CRC-64 that COS computes.
func sum(data string) string {
	return fmt.Sprint(crc64.Checksum([]byte(data), crc64.MakeTable(crc64.ECMA)))
}

// object answers as an object with these bytes does.
func object(w http.ResponseWriter, r *http.Request, data, sum string) {
	w.Header().Set("X-Cos-Hash-Crc64ecma", sum)
	w.Header().Set("Etag", `"`+sum+`"`)
	w.Header().Set("Last-Modified", "Thu, 16 May 2019 06:45:51 GMT")
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, data)
	}
}

// calls are all that a backend can be asked.
var calls = map[string]func(context.Context, *cos.Backend) error{
	"put":       func(ctx context.Context, b *cos.Backend) error { return b.Put(ctx, key, strings.NewReader("abc"), 3) },
	"put none":  func(ctx context.Context, b *cos.Backend) error { return b.Put(ctx, key, strings.NewReader(""), 0) },
	"get":       func(ctx context.Context, b *cos.Backend) error { return closed(b.Get(ctx, key, 0, -1)) },
	"get range": func(ctx context.Context, b *cos.Backend) error { return closed(b.Get(ctx, key, 1, 2)) },
	"get none":  func(ctx context.Context, b *cos.Backend) error { return closed(b.Get(ctx, key, 1, 0)) },
	"stat":      func(ctx context.Context, b *cos.Backend) error { return second(b.Stat(ctx, key)) },
	"delete":    func(ctx context.Context, b *cos.Backend) error { return b.Delete(ctx, key) },
	"delete many": func(ctx context.Context, b *cos.Backend) error {
		return walked(b.DeleteAll(ctx, []store.Key{key}))
	},
	"list":     func(ctx context.Context, b *cos.Backend) error { return walked(b.List(ctx, "", "")) },
	"browse":   func(ctx context.Context, b *cos.Backend) error { return walked(b.Browse(ctx, "", "")) },
	"describe": func(ctx context.Context, b *cos.Backend) error { return second(b.Describe(ctx, "x")) },
	"mark":     func(ctx context.Context, b *cos.Backend) error { return second(b.Mark(ctx)) },
	"set mark": func(ctx context.Context, b *cos.Backend) error { return b.SetMark(ctx, "me") },
	"check":    func(ctx context.Context, b *cos.Backend) error { return b.Check(ctx) },
	"begin":    func(ctx context.Context, b *cos.Backend) error { return second(b.BeginCompose(ctx, key)) },
	"compose": func(ctx context.Context, b *cos.Backend) error {
		return second(b.Compose(ctx, key, "id", []store.Piece{{Key: other, Length: 3}}))
	},
	"abandon":    func(ctx context.Context, b *cos.Backend) error { return b.AbandonCompose(ctx, key, "id") },
	"unfinished": func(ctx context.Context, b *cos.Backend) error { return walked(b.Unfinished(ctx)) },
}

func second[T any](_ T, err error) error { return err }

func closed(r io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	return r.Close()
}

func walked[T any](seq iter.Seq2[T, error]) error {
	var errs []error
	for _, err := range seq {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
	if got != nil && strings.Contains(got.Error(), secret) {
		t.Errorf("%s: the secret is told: %v", what, got)
	}
}
