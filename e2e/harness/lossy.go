package harness

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// Lossy is a proxy that loses answers: the first answer to each different POST
// is thrown away after the daemon has given it, and the connection cut.
type Lossy struct {
	// URL is where osp finds the daemon through it.
	URL string

	mu   sync.Mutex
	seen map[string]int
}

// NewLossy is a lossy proxy in front of the daemon at target.
func NewLossy(t testing.TB, target string) *Lossy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	l := &Lossy{seen: map[string]int{}}
	transport := &http.Transport{DisableCompression: true}
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport: transport,
		ModifyResponse: func(resp *http.Response) error {
			if !l.first(resp.Request) {
				return nil
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				return err
			}
			return errLost
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(forward)
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	l.URL = server.URL
	return l
}

var errLost = errors.New("the answer is lost")

// first reports whether this is the first answer to this POST.
func (l *Lossy) first(r *http.Request) bool {
	if r.Method != http.MethodPost || errors.Is(r.Context().Err(), context.Canceled) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := r.URL.RequestURI() + " " + r.Header.Get("Idempotency-Key")
	l.seen[key]++
	return l.seen[key] == 1
}

// Lost is how many answers were lost.
func (l *Lossy) Lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}
