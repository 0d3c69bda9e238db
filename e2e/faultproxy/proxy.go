// Package faultproxy stands between a daemon and its storage and does to the
// requests it was told to what networks and storages do to them.
package faultproxy

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Fault is one thing that goes wrong with a request or its answer.
type Fault string

// The faults. The storage has seen nothing of a request where the comment says
// so.
const (
	// ResetMidUpload resets the connection in the middle of the request's body;
	// the storage sees a body that breaks off.
	ResetMidUpload Fault = "reset in the middle of an upload"
	// ResetAfterUpload resets the connection when the last byte of the request
	// has arrived. The storage has seen nothing.
	ResetAfterUpload Fault = "reset after the last byte of an upload"
	// LostReply has the storage do what was asked, and resets the connection in
	// place of its answer.
	LostReply Fault = "acknowledged, and the reply is lost"
	// Withheld has the storage do what was asked, and its answer never comes: it
	// lasts until the peer goes.
	Withheld Fault = "acknowledged, and the reply is withheld"
	// ResetMidDownload resets the connection in the middle of the answer's body.
	ResetMidDownload Fault = "reset in the middle of a download"
	// EndAfterDownload ends the connection after the last byte of the answer,
	// though nothing announced it: who uses it again finds it dead.
	EndAfterDownload Fault = "connection ended after the last byte of a download"
	// Unavailable is a 503 that asks for a second of patience. The storage has
	// seen nothing.
	Unavailable Fault = "503 with Retry-After"
	// TooMany is a 429 that asks for a second of patience. The storage has seen
	// nothing.
	TooMany Fault = "429 with Retry-After"
	// SlowFirstByte has the answer wait.
	SlowFirstByte Fault = "slow first byte"
	// Trickle has the answer's body come in little pieces.
	Trickle Fault = "trickle"
	// Truncated ends the answer's body early, without an error of the network.
	Truncated Fault = "truncated body"
	// WrongDownload changes a byte in the middle of the answer's body.
	WrongDownload Fault = "wrong byte in a download"
	// WrongUpload changes a byte in the middle of the request's body.
	WrongUpload Fault = "wrong byte in an upload"
)

// Pauses of SlowFirstByte, and between the pieces of Trickle.
const (
	slow    = 400 * time.Millisecond
	between = 5 * time.Millisecond
)

// Match chooses requests.
type Match func(*http.Request) bool

// Proxy is an HTTP proxy in front of a storage. It passes everything on as it
// came, the Host too, so that signatures stay what they are.
type Proxy struct {
	// URL is where the daemon finds the storage through it.
	URL string

	server    *httptest.Server
	transport *http.Transport
	forward   *httputil.ReverseProxy

	mu    sync.Mutex
	rules []*rule
	hits  map[Fault]int
	down  bool
}

// rule has a fault happen to the next requests that match.
type rule struct {
	match Match
	fault Fault
	left  int
}

// New is a proxy in front of the storage at target.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{hits: map[Fault]int{}, transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
		},
		Transport:      p.transport,
		FlushInterval:  -1,
		ModifyResponse: answer,
		ErrorHandler:   func(w http.ResponseWriter, r *http.Request, _ error) { reset(w) },
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.Start()
	p.URL = p.server.URL
	t.Cleanup(func() {
		p.server.CloseClientConnections()
		p.server.Close()
		p.transport.CloseIdleConnections()
	})
	return p
}

// Inject has the fault happen to the next n requests that match.
func (p *Proxy) Inject(f Fault, n int, match Match) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, &rule{match: match, fault: f, left: n})
}

// Clear ends what was injected and has not happened, and what Cut began.
func (p *Proxy) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.down = nil, false
}

// Cut resets every request from now on: the storage is away.
func (p *Proxy) Cut() {
	p.mu.Lock()
	p.down = true
	p.mu.Unlock()
	p.server.CloseClientConnections()
}

// Hits is how often the fault has happened.
func (p *Proxy) Hits(f Fault) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[f]
}

// next takes the fault of a request, "" for none.
func (p *Proxy) next(r *http.Request) (f Fault, down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return "", true
	}
	for _, rule := range p.rules {
		if rule.left > 0 && rule.match(r) {
			rule.left--
			p.hits[rule.fault]++
			return rule.fault, false
		}
	}
	return "", false
}

// faultOf is how serve tells answer which fault a request has.
type faultOf struct{}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	f, down := p.next(r)
	if down || !p.before(w, r, f) {
		if down {
			reset(w)
		}
		return
	}
	w = &watched{ResponseWriter: w}
	defer func() {
		// ReverseProxy ends a broken answer by this panic: the server then closes
		// the connection, which is the clean end that Truncated wants.
		if e := recover(); e != nil {
			if f == Truncated || f == EndAfterDownload {
				panic(http.ErrAbortHandler)
			}
			reset(w)
		}
	}()
	p.forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), faultOf{}, f)))
	if f == EndAfterDownload {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// before does what happens to a request, and reports whether it goes on.
func (p *Proxy) before(w http.ResponseWriter, r *http.Request, f Fault) bool {
	switch f {
	case ResetMidUpload:
		r.Body = &broken{ReadCloser: r.Body, left: r.ContentLength / 2}
	case ResetAfterUpload:
		_, _ = io.Copy(io.Discard, r.Body)
		reset(w)
		return false
	case WrongUpload:
		r.Body = &flipped{ReadCloser: r.Body, at: r.ContentLength / 2}
	case Unavailable, TooMany:
		status := http.StatusServiceUnavailable
		if f == TooMany {
			status = http.StatusTooManyRequests
		}
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Connection", "close")
		w.WriteHeader(status)
		return false
	}
	return true
}

// reset ends the connection of a request so that the peer sees a reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// watched lets reset find the connection through it.
type watched struct{ http.ResponseWriter }

func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
