package harness

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// Direction is one way through a Gate.
type Direction int

// Up is from osp to the daemon, Down the way back.
const (
	Up Direction = iota
	Down
)

// Gate is a proxy that lets a number of bytes of bodies pass in one direction
// and then holds everything that goes that way, so that a test can kill a
// process at a byte it chose and not at a time.
type Gate struct {
	// URL is where osp finds the daemon through the gate.
	URL string

	server    *httptest.Server
	transport *http.Transport
	gated     Direction

	mu      sync.Mutex
	target  *url.URL
	limit   int64
	passed  [2]int64
	reached chan struct{}
	// era ends when every request is cut; Reopen begins another.
	era context.Context
	cut context.CancelFunc
}

var errCut = errors.New("the gate was cut")

// NewGate is a gate in front of the daemon at target, closing after limit
// bytes in the direction given; limit < 0 is a gate that never closes.
func NewGate(t testing.TB, target string, gated Direction, limit int64) *Gate {
	t.Helper()
	g := &Gate{gated: gated, transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}
	g.open(t, target, limit)
	proxy := &httputil.ReverseProxy{
		Rewrite:       g.rewrite,
		Transport:     g.transport,
		FlushInterval: -1,
		ModifyResponse: func(resp *http.Response) error {
			resp.Body = &gatedBody{ReadCloser: resp.Body, gate: g, era: resp.Request.Context(), way: Down}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		era := g.era
		g.mu.Unlock()
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(era, func() { cancel(errCut) })()
		proxy.ServeHTTP(w, r.WithContext(ctx))
	}))
	g.URL = g.server.URL
	t.Cleanup(g.Close)
	return g
}

func (g *Gate) rewrite(r *httputil.ProxyRequest) {
	g.mu.Lock()
	target := g.target
	g.mu.Unlock()
	r.SetURL(target)
	if r.Out.Body != nil && r.Out.Body != http.NoBody {
		r.Out.Body = &gatedBody{ReadCloser: r.Out.Body, gate: g, era: r.In.Context(), way: Up}
	}
}

// open begins an era; it is called with mu held or before anybody else knows g.
func (g *Gate) open(t testing.TB, target string, limit int64) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	g.target, g.limit, g.reached = u, limit, make(chan struct{})
	g.era, g.cut = context.WithCancel(context.Background())
}

// Reached is closed once the limit was reached.
func (g *Gate) Reached() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reached
}

// Passed is how many bytes of bodies have gone each way.
func (g *Gate) Passed() (up, down int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed[Up], g.passed[Down]
}

// Reopen cuts every request and goes on in front of target; limit counts from
// the gate's first byte on.
func (g *Gate) Reopen(t testing.TB, target string, limit int64) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut()
	g.open(t, target, limit)
}

// Close cuts every request, closes the gate, and returns when nothing of it
// runs any more.
func (g *Gate) Close() {
	g.mu.Lock()
	g.cut()
	g.mu.Unlock()
	g.server.CloseClientConnections()
	g.server.Close()
	g.transport.CloseIdleConnections()
}

// gatedBody lets a body pass as far as its gate allows.
type gatedBody struct {
	io.ReadCloser
	gate *Gate
	era  context.Context
	way  Direction
}

func (b *gatedBody) Read(p []byte) (int, error) {
	if err := b.gate.await(b.era, b.way); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	allowed := b.gate.allow(b.way, n)
	if allowed < n {
		// What is beyond the limit is never passed on: the request is cut.
		return allowed, nil
	}
	return n, err
}

// await returns when bytes may pass, with an error when they never will.
func (g *Gate) await(era context.Context, way Direction) error {
	g.mu.Lock()
	full := way == g.gated && g.limit >= 0 && g.passed[way] >= g.limit
	g.mu.Unlock()
	if full {
		<-era.Done()
	}
	return context.Cause(era)
}

// allow says how many of n bytes may pass, and counts them.
func (g *Gate) allow(way Direction, n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if way == g.gated && g.limit >= 0 && g.passed[way]+int64(n) >= g.limit {
		n = int(max(0, g.limit-g.passed[way]))
		select {
		case <-g.reached:
		default:
			close(g.reached)
		}
	}
	g.passed[way] += int64(n)
	return n
}
