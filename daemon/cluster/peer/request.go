package peer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

// PingPath is what a node is asked for by GET, by others that want to know whether it
// is there, and answers in any case.
const PingPath = "/peer/ping"

// Peer is another node, and where it listens for peers.
type Peer struct {
	Node    meta.NodeID
	Address string
}

// Request is what a peer is asked.
type Request struct {
	Method, Path, Query string
	// Fields are some of Fields().
	Fields []Field
	// Body is nil where there is none. Length is its length, or Unsized.
	Body   io.Reader
	Length int64
	// Interrupt makes a Read of Body that is under way return, and is called until
	// it does. nil for a Body whose Read never waits for long.
	Interrupt func()
}

// Answer is what a peer answered. Its body has to be closed.
type Answer struct {
	Status int
	// Header has no field that is of the connection alone, or of peers.
	Header http.Header
	// Length is that of the body, or of the one that HEAD asks about; -1 where
	// nobody said it.
	Length int64
	// Body ends with io.EOF where the peer sent all of it, else with a *Broken.
	Body io.ReadCloser
	// Unread is true where the peer answered without the whole body of the
	// request.
	Unread bool
}

// hasBody reports whether a body is sent.
func (r Request) hasBody() bool { return r.Body != nil && r.Length != 0 }

// safe reports whether the request may be sent again though it may have arrived.
func (r Request) safe() bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// try is one sending of a request.
type try struct {
	to   Peer
	gate *gate // nil without a body
	// stopwatch runs while the peer is waited for, until the header is there.
	stopwatch *stopwatch
	waits     waits
	// conn is the connection, nil before there is one.
	conn   atomic.Pointer[conn]
	reused atomic.Bool
	heard  atomic.Bool
	// watching waits for the end of the connection, or for over.
	watching sync.WaitGroup
	over     chan struct{}
	// again is true where the request did not come to be worked on: it may be
	// sent once more.
	again bool
}

// build makes what net/http sends. Nothing in it can be sent again by net/http
// itself, to which the body of a GET here is one that it cannot repeat, and
// Idempotency-Key is unknown: a second sending needs another nonce.
func (t *try) build(ctx context.Context, scheme string, r Request, fields []Field) *http.Request {
	u := &url.URL{Scheme: scheme, Host: t.to.Address, Opaque: r.Path, RawQuery: r.Query}
	req := (&http.Request{Method: r.Method, URL: u, Host: string(t.to.Node), Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).
		WithContext(httptrace.WithClientTrace(ctx, t.trace(r)))
	req.Header["User-Agent"] = []string{""}
	for _, f := range fields {
		req.Header[http.CanonicalHeaderKey(f.Name)] = []string{f.Value}
	}
	switch {
	case r.hasBody():
		r.Body = &timed{r.Body, t.stopwatch, t.waits, r.Length}
		t.gate = newGate(r)
		req.Body, req.ContentLength = t.gate, r.Length
		req.Header["Expect"] = []string{"100-continue"}
	case r.safe():
		req.Body = nothing{}
	default:
		req.Body = http.NoBody
	}
	return req
}

// nothing is an empty body that net/http does not know to be one.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
func (nothing) Close() error             { return nil }

func (t *try) trace(r Request) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			t.reused.Store(info.Reused)
			t.stopwatch.wait(t.waits.first(r))
			if c, ok := info.Conn.(*conn); ok {
				t.conn.Store(c)
				if t.gate != nil {
					t.watching.Go(func() { c.watch(t.gate, t.over) })
				}
			}
		},
		GotFirstResponseByte: func() { t.heard.Store(true) },
		Got100Continue: func() {
			if t.gate != nil {
				t.stopwatch.wait(t.waits.piece)
				t.gate.ask()
			}
		},
	}
}

// failed says what the end of a try means.
func (t *try) failed(r Request, err error) error {
	begun := false
	if t.gate != nil {
		begun, _ = t.gate.stop()
		t.gate.release()
		if own := t.gate.failure(); own != nil {
			return &BodyFailed{own}
		}
	}
	if t.conn.Load() == nil {
		return &Unreached{t.to.Node, err}
	}
	// A peer that never got the body can have recorded nothing of it, and one
	// that is asked to read changes nothing.
	harmless := r.safe() || t.gate != nil && !begun
	t.again = harmless && t.reused.Load() && !t.heard.Load()
	return &Broken{Node: t.to.Node, Begun: !harmless, Err: err}
}

// hop are the fields that are of one connection alone.
func hop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return strings.HasPrefix(strings.ToLower(name), prefix)
}

// ofAnswer are the fields of an answer that are handed on.
func ofAnswer(h http.Header) http.Header {
	out := http.Header{}
	for name, values := range h {
		if !hop(name) {
			out[name] = values
		}
	}
	for _, named := range h["Connection"] {
		for name := range strings.SplitSeq(named, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	return out
}

// answered is the body of an answer.
type answered struct {
	io.ReadCloser
	node      meta.NodeID
	stopwatch *stopwatch
	piece     time.Duration
	end       func()
}

func (a *answered) Read(p []byte) (int, error) {
	a.stopwatch.wait(a.piece)
	n, err := a.ReadCloser.Read(p)
	a.stopwatch.rest()
	if err != nil && err != io.EOF {
		err = &Broken{Node: a.node, Begun: true, Err: err}
	}
	return n, err
}

func (a *answered) Close() error {
	a.stopwatch.stop()
	a.end()
	if err := a.ReadCloser.Close(); err != nil {
		return fmt.Errorf("close the answer of node %s: %w", a.node, err)
	}
	return nil
}
