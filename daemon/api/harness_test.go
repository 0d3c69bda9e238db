package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/protocol"
)

// patience bounds what must happen; nothing that passes takes it.
const patience = 20 * time.Second

// fixture is a Server on a real listener.
type fixture struct {
	*Server
	t    testing.TB
	addr string
	log  *logBuffer
	// token is what do sends, "" for none.
	token string
	// replaced: some endpoints are not the real ones.
	replaced bool
	// nodes are those that take requests in turns, nil for this one alone.
	nodes *rota
}

// rota are addresses of which each is the next one's turn.
type rota struct {
	addrs []string
	n     atomic.Int64
}

// at is whose turn it is.
func (f *fixture) at() string {
	if f.nodes == nil {
		return f.addr
	}
	return f.nodes.addrs[int(f.nodes.n.Add(1))%len(f.nodes.addrs)]
}

// start serves cfg, with the endpoints given in the place of the real ones, and
// closes everything when the test ends.
func start(t testing.TB, cfg Config, replace map[protocol.RouteName]endpoint) *fixture {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	cfg.Hosts = LoopbackHosts(l.Addr())
	if cfg.Capabilities.ServerID == "" {
		cfg.Capabilities.ServerID = strings.Repeat("0", 32)
	}
	if cfg.Tokens == nil {
		cfg.Tokens = token.NewService(token.Config{Records: noTokens{}})
	}
	cfg.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := New(cfg)
	endpoints := s.endpoints()
	for name, e := range replace {
		old := endpoints[name]
		old.serve = e.serve
		endpoints[name] = old
	}
	s.setRouters(newRouter(endpoints), s.v0)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return &fixture{Server: s, t: t, addr: l.Addr().String(), log: log, replaced: len(replace) > 0}
}

// noTokens are the records of a daemon that is open.
type noTokens struct{ token.Records }

func (noTokens) HasTokens(context.Context) (bool, error) { return false, nil }

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// wire is a raw connection to the server.
type wire struct {
	t testing.TB
	*net.TCPConn
	r *bufio.Reader
}

func (f *fixture) dial() *wire {
	f.t.Helper()
	c, err := new(net.Dialer).DialContext(f.t.Context(), "tcp", f.at())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		f.t.Fatal(err)
	}
	return &wire{f.t, c.(*net.TCPConn), bufio.NewReader(c)}
}

// send writes raw bytes; "HOST" stands for the server's address. That the
// server has closed already is for the reader to find.
func (p *wire) send(raw string) *wire {
	raw = strings.ReplaceAll(raw, "HOST", p.RemoteAddr().String())
	_, _ = io.WriteString(p, raw)
	return p
}

// answer is one answer, read whole.
type answer struct {
	*http.Response
	body []byte
	// err is what reading the body ended with.
	err error
}

// read reads one answer to a request of the given method.
func (p *wire) read(method string) answer {
	p.t.Helper()
	r, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("read an answer: %v", err)
	}
	b, err := io.ReadAll(r.Body)
	r.Body.Close()
	return answer{r, b, err}
}

// ended reports whether the server closed the connection and sent nothing more.
func (p *wire) ended() {
	p.t.Helper()
	b, err := io.ReadAll(p.r)
	if len(b) > 0 {
		p.t.Errorf("after the answer came %q", b)
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		p.t.Error("the connection is still open")
	}
}

// problem reads a problem and checks what all of them have.
func (a answer) problem(t testing.TB, kind protocol.Kind) protocol.Problem {
	t.Helper()
	var p protocol.Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("answer %s %q is no problem: %v", a.Status, a.body, err)
	}
	if p.Code != kind || p.Status != a.StatusCode {
		t.Errorf("answered %d with %s (%d): %s, want %s", a.StatusCode, p.Code, p.Status, p.Detail, kind)
	}
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("a problem has type %q", got)
	}
	if p.RequestID == "" || p.RequestID != a.Header.Get("X-Request-Id") {
		t.Errorf("a problem of request %q is answered with X-Request-Id %q", p.RequestID, a.Header.Get("X-Request-Id"))
	}
	if retry := a.Header.Get("Retry-After") != ""; a.StatusCode == http.StatusServiceUnavailable && !retry {
		t.Error("a 503 does not say when to come back")
	}
	return p
}

// do sends one request by net/http.
func (f *fixture) do(method, path, body string, header ...string) answer {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+f.at()+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if f.token != "" {
		req.Header.Set("Authorization", "Bearer "+f.token)
	}
	req.Close = true
	r, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	a := answer{r, b, err}
	f.holdTo(method, path, a)
	return a
}

// counting is an endpoint that counts its calls and reads its body.
type counting struct {
	mu    sync.Mutex
	calls []string
}

func (k *counting) serve(c *call) error {
	b, err := io.ReadAll(c.body)
	k.mu.Lock()
	k.calls = append(k.calls, c.rawURL.path+" "+string(b))
	k.mu.Unlock()
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, map[string]int{"read": len(b)})
	return nil
}

func (k *counting) seen() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.calls...)
}

// until waits for what is to come to be true, for as long as patience lasts.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come true in %s", what, patience)
		}
	}
}
