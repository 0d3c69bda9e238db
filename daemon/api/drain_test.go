package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// TestDrain: what runs goes on to its end, what comes is refused, and the
// health routes tell the two kinds of supervisors what each has to know.
func TestDrain(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	var k counting
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: func(c *call) error {
		close(began)
		<-goOn
		return k.serve(c)
	}}})
	waiting, idle := f.dial(), f.dial()
	idle.send("GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n").read(http.MethodGet)
	unused := f.dial()
	waiting.send("PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 50000))
	<-began
	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { drained <- f.Drain(ctx) }()
	for !f.active.isDraining() {
		time.Sleep(time.Millisecond)
	}
	f.do(http.MethodGet, "/v1/capabilities", "").problem(t, protocol.KindDraining)
	if a := f.do(http.MethodGet, "/healthz", ""); a.StatusCode != http.StatusOK {
		t.Errorf("healthz answers %s", a.Status)
	}
	if a := f.do(http.MethodGet, "/readyz", ""); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(a.body), "draining") {
		t.Errorf("readyz answers %s %s", a.Status, a.body)
	}
	close(goOn)
	waiting.send(strings.Repeat("a", 50000))
	if a := waiting.read(http.MethodPut); a.StatusCode != http.StatusOK || !a.Close {
		t.Errorf("the request in flight was answered %s (close %v)", a.Status, a.Close)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	waiting.ended()
	idle.ended()
	unused.ended()
}

// TestDrainAtTheStart: a server that is drained in the moment in which it begins to
// listen listens no more, whichever came first.
func TestDrainAtTheStart(t *testing.T) {
	for name, late := range map[string]bool{"before": false, "after fasthttp was shut": true} {
		f := start(t, Config{}, nil)
		d := newFront(f.Server)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if late {
			d.l = l // as serve has done by then
		}
		if err := d.shutdown(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !late {
			if err := d.serve(l); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: it listens still", name)
		}
	}
}

// TestDrainRunsOut: a drain that takes too long says so, and Close ends what
// runs.
func TestDrainRunsOut(t *testing.T) {
	began := make(chan struct{})
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: func(c *call) error {
		close(began)
		<-c.ctx.Done()
		return context.Cause(c.ctx)
	}}})
	p := f.dial().send("PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello")
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("drain: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	_, _ = io.ReadAll(p)
}

// TestOneShotMemoryIsBounded: bodies beyond the bound wait, and a waiting one
// ends with the server.
func TestOneShotMemoryIsBounded(t *testing.T) {
	f := start(t, Config{Limits: Limits{OneShots: 1}}, nil)
	held := f.dial().send("POST /v1/files?name=a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhe")
	for len(f.oneShots.free) > 0 {
		time.Sleep(time.Millisecond)
	}
	waits := make(chan error, 1)
	go func() {
		p := f.dial().send("POST /v1/files?name=b HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello")
		_, err := io.ReadAll(p)
		waits <- err
	}()
	for {
		f.active.mu.Lock()
		n := f.active.n
		f.active.mu.Unlock()
		if n == 2 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	<-waits
	_, _ = io.ReadAll(held)
	if buf := <-f.oneShots.free; int64(cap(buf)) != oneShotBuffer(5) {
		t.Errorf("the buffer has %d bytes", cap(buf))
	}
}

// TestOneShotBuffer: a buffer has room for its body and is never larger than
// the largest.
func TestOneShotBuffer(t *testing.T) {
	for _, n := range []int64{1, 5, 32 << 10, 32<<10 + 1, 65_000, protocol.OneShotMax - 1, protocol.OneShotMax} {
		if size := oneShotBuffer(n); size < n || size > max(32<<10, 2*n-1) || size > protocol.OneShotMax {
			t.Errorf("for %d bytes a buffer of %d is made", n, size)
		}
	}
}

// TestNotes: what an operator should know does not take the daemon out of
// service.
func TestNotes(t *testing.T) {
	f := start(t, Config{Notes: func() []string { return []string{"the clock stepped"} }}, nil)
	if a := f.do(http.MethodGet, "/readyz", ""); a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), `"notes":["the clock stepped"]`) {
		t.Errorf("readyz answers %s %s", a.Status, a.body)
	}
}

// TestReady: what is wrong is said, and Retry-After with it.
func TestReady(t *testing.T) {
	var reasons []string
	f := start(t, Config{Ready: func(context.Context) []string { return reasons }}, nil)
	if a := f.do(http.MethodGet, "/readyz", ""); a.StatusCode != http.StatusOK {
		t.Errorf("answered %s %s", a.Status, a.body)
	}
	reasons = []string{"the database does not answer"}
	a := f.do(http.MethodGet, "/readyz", "")
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || !strings.Contains(string(a.body), reasons[0]) {
		t.Errorf("answered %s %s", a.Status, a.body)
	}
}

// TestTooManyConnections: one more than the limit is told so, and may come back
// when another has left.
func TestTooManyConnections(t *testing.T) {
	f := start(t, Config{Limits: Limits{Connections: 1}}, nil)
	first := f.dial().send("GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n")
	first.read(http.MethodGet)
	second := f.dial()
	second.read(http.MethodGet).problem(t, protocol.KindUnavailable)
	second.ended()
	first.Close()
	for f.front.conns.count() > 0 {
		time.Sleep(time.Millisecond)
	}
	if a := f.do(http.MethodGet, "/healthz", ""); a.StatusCode != http.StatusOK {
		t.Errorf("answered %s", a.Status)
	}
}

// TestBusy: a request that waits for what is done while nobody waits keeps
// nobody from it.
func TestBusy(t *testing.T) {
	var r requests
	is := func(want bool) {
		t.Helper()
		if r.some() != want {
			t.Errorf("busy: %v", !want)
		}
	}
	is(false)
	r.begin()
	is(true)
	end := r.idles()
	is(false)
	r.begin()
	is(true)
	r.end()
	is(false)
	end()
	is(true)
	r.end()
	is(false)
}
