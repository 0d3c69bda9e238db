package api

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

func TestSites(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		kind   protocol.Kind // "" is allowed
	}{
		"by address":               {"Host: HOST", ""},
		"by name":                  {"Host: localhost:PORT", ""},
		"by name in capitals":      {"Host: LocalHost:PORT", ""},
		"by IPv6 address":          {"Host: [::1]:PORT", ""},
		"by a name that resolves":  {"Host: evil.example:PORT", protocol.KindBadHost},
		"through a tunnel":         {"Host: localhost:1", ""},
		"without port":             {"Host: localhost", ""},
		"a page through a tunnel":  {"Host: localhost:1\r\nOrigin: http://localhost:1", ""},
		"with more behind":         {"Host: localhost:PORT.evil.example", protocol.KindBadRequest},
		"a page of its own":        {"Host: HOST\r\nOrigin: http://HOST\r\nSec-Fetch-Site: same-origin", ""},
		"typed by the user":        {"Host: HOST\r\nSec-Fetch-Site: none", ""},
		"a page of another site":   {"Host: HOST\r\nOrigin: https://evil.example", protocol.KindBadOrigin},
		"a page without an origin": {"Host: HOST\r\nOrigin: null", protocol.KindBadOrigin},
		"a page of another port":   {"Host: HOST\r\nOrigin: http://localhost:3000", protocol.KindBadOrigin},
		"an image on another site": {"Host: HOST\r\nSec-Fetch-Site: cross-site", protocol.KindBadOrigin},
		"an image on another port": {"Host: HOST\r\nSec-Fetch-Site: same-site", protocol.KindBadOrigin},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, Config{}, nil)
			port := f.addr[strings.LastIndexByte(f.addr, ':')+1:]
			a := f.dial().send("GET /v1/capabilities HTTP/1.1\r\n" + strings.ReplaceAll(c.header, "PORT", port) + "\r\n\r\n").read(http.MethodGet)
			if c.kind != "" {
				a.problem(t, c.kind)
			} else if a.StatusCode != http.StatusOK {
				t.Errorf("answered %s: %s", a.Status, a.body)
			}
		})
	}
}

// TestPeerFieldsAreStripped: what only a node may say does not reach a handler.
func TestPeerFieldsAreStripped(t *testing.T) {
	var saw string
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteListFiles: {serve: func(c *call) error {
		saw = string(c.http.Request.Header.Peek("Osp-Peer-Node"))
		c.writeNothing()
		return nil
	}}})
	f.do(http.MethodGet, "/v1/files", "", "Osp-Peer-Node", "7", "OSP-PEER-SIGNATURE", "x")
	if saw != "" {
		t.Errorf("the handler read %q", saw)
	}
}

func TestRequestID(t *testing.T) {
	f := start(t, Config{}, nil)
	for given, kept := range map[string]bool{"my-id_1.2": true, "": false, "a b": false, strings.Repeat("a", 65): false, "é": false} {
		got := f.do(http.MethodGet, "/healthz", "", "X-Request-Id", given).Header.Get("X-Request-Id")
		if got == "" || (got == given) != kept {
			t.Errorf("given %q, the request id is %q", given, got)
		}
	}
}

// TestHead: every GET answers HEAD with the same header and no body.
func TestHead(t *testing.T) {
	f := start(t, Config{}, nil)
	for _, path := range []string{"/healthz", "/readyz", "/v1/capabilities", "/nothing"} {
		get, head := f.do(http.MethodGet, path, ""), f.do(http.MethodHead, path, "")
		if head.StatusCode != get.StatusCode || len(head.body) != 0 || head.ContentLength != int64(len(get.body)) {
			t.Errorf("%s: HEAD answers %d and %d bytes of %d, GET %d and %d", path, head.StatusCode, len(head.body), head.ContentLength, get.StatusCode, len(get.body))
		}
	}
}

// TestPanic: the client reads that it failed and no more, the log has the
// stack, and the server goes on.
func TestPanic(t *testing.T) {
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetFile: {serve: func(*call) error { panic("the secret") }}})
	for range 2 {
		a := f.do(http.MethodGet, "/v1/files/1", "")
		a.problem(t, protocol.KindInternal)
		if strings.Contains(string(a.body), "secret") {
			t.Errorf("the answer tells: %s", a.body)
		}
	}
	if log := f.log.String(); !strings.Contains(log, "the secret") || !strings.Contains(log, "wrapper_test.go") {
		t.Errorf("the log has no stack: %s", log)
	}
}

// TestErrors: each kind is answered with its row; what is no kind is internal,
// and a cause stays in the log.
func TestErrors(t *testing.T) {
	cause := errors.New("disk /srv/secret is on fire")
	for _, row := range protocol.Kinds() {
		if row.Status == 0 {
			continue
		}
		f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetFile: {serve: func(*call) error {
			return &protocol.Error{Kind: row.Kind, Message: "for the reader", Err: cause}
		}}})
		a := f.do(http.MethodGet, "/v1/files/1", "")
		p := a.problem(t, row.Kind)
		if a.StatusCode != row.Status || p.Retryable != row.Retryable || p.Detail != "for the reader" || strings.Contains(string(a.body), "secret") {
			t.Errorf("%s is answered %d %s", row.Kind, a.StatusCode, a.body)
		}
	}
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetFile: {serve: func(*call) error { return cause }}})
	a := f.do(http.MethodGet, "/v1/files/1", "")
	a.problem(t, protocol.KindInternal)
	if strings.Contains(string(a.body), "secret") || !strings.Contains(f.log.String(), "secret") {
		t.Errorf("an unknown error: answer %s, log %s", a.body, f.log)
	}
}

// TestLogLine has what an operator needs and nothing that may be a capability.
func TestLogLine(t *testing.T) {
	f := start(t, Config{}, nil)
	f.do(http.MethodGet, "/v1/files?name=token-in-query&bad=1", "", "Authorization", "Bearer token-in-header", "X-Request-Id", "the-id")
	log := f.log.String()
	for _, want := range []string{"method=GET", "route=list_files", "status=400", "request_id=the-id", "code=unknown_field", "dur_ms=", "bytes_in=0", "remote=127.0.0.1"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s: %s", want, log)
		}
	}
	if strings.Contains(log, "token-in") {
		t.Errorf("the log tells: %s", log)
	}
}

// labels notes what a Server counts.
type labels struct {
	mu       sync.Mutex
	seen     map[string]int
	inFlight int
}

func (l *labels) note(label string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]int{}
	}
	l.seen[label] += n
}

func (l *labels) count(label string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[label]
}

func (l *labels) InFlight(delta int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight += delta
}
func (l *labels) Request(method, route string, status int, _ time.Duration) {
	l.note(method+" "+route+" "+strconv.Itoa(status), 1)
}
func (l *labels) Failed(kind protocol.Kind) { l.note(string(kind), 1) }
func (l *labels) AuthFailed(reason string)  { l.note("auth "+reason, 1) }
func (l *labels) Received(n int64)          { l.note("received", int(n)) }
func (l *labels) Sent(n int64)              { l.note("sent", int(n)) }
func (l *labels) PeerServed(outcome string) { l.note("served "+outcome, 1) }
func (l *labels) PeerRefused(reason string) { l.note("not a peer: "+reason, 1) }
func (l *labels) PeerBytes(sent, received int64) {
	l.note("sent to peers", int(sent))
	l.note("received from peers", int(received))
}
func (l *labels) PeerInFlight(side string, delta int) { l.note("in flight, "+side, delta) }

// TestMetrics: what a caller makes up never becomes a label, and all that
// began has ended.
func TestMetrics(t *testing.T) {
	var l labels
	var k counting
	f := start(t, Config{Metrics: &l}, map[protocol.RouteName]endpoint{
		protocol.RoutePutPart: {serve: k.serve}, protocol.RouteGetContent: fixed(noise(1000), `"a"`),
		protocol.RouteGetFile: {serve: func(*call) error { panic("a mistake") }},
	})
	f.do(http.MethodPut, "/v1/uploads/12345/parts/7", "hello", "Expect", "100-continue")
	f.do(http.MethodGet, "/v1/files/12345/content", "", "Range", "bytes=0-9")
	f.do(http.MethodGet, "/v1/files/12345", "")
	f.do(http.MethodGet, "/made/up", "")
	f.do("MADEUP", "/v1/files", "")
	f.do(http.MethodPut, "/v1/uploads/x/parts/7", "hello", "Expect", "100-continue")
	f.dial().send("rubbish\r\n\r\n").read(http.MethodGet)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	want := map[string]int{
		"PUT put_part 200": 1, "GET get_content 206": 1, "GET get_file 500": 1, "GET none 404": 1, "other none 405": 1, "PUT put_part 400": 1, "GET none 400": 1,
		"internal": 1, "not_found": 1, "method_not_allowed": 1, "bad_uid": 1, "bad_request": 1, "received": 5,
	}
	delete(l.seen, "sent")
	if !maps.Equal(l.seen, want) || l.inFlight != 0 {
		t.Errorf("counted %v (%d in flight), want %v", l.seen, l.inFlight, want)
	}
}

// TestShortBody: a client that stops sending, and one that goes away, are an
// error to the handler, and its context ends.
func TestShortBody(t *testing.T) {
	for _, size := range []int{0, 1, 8 << 10, 100 << 10} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			done := make(chan error, 1)
			f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: func(c *call) error {
				_, err := io.ReadAll(c.body)
				if err != nil && context.Cause(c.ctx) == nil {
					err = errors.New("the context goes on")
				}
				done <- err
				return err
			}}})
			p := f.dial().send("PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("a", size))
			if err := p.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			p.read(http.MethodPut).problem(t, protocol.KindBadLength)
			p.ended()
			if size >= 8<<10 {
				if err := <-done; !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the handler read %v", err)
				}
			}
		})
	}
}

// TestHalfClosedInHeader: a request that ends in its header is none.
func TestHalfClosedInHeader(t *testing.T) {
	var k counting
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteListFiles: {serve: k.serve}})
	whole := "GET /v1/files HTTP/1.1\r\nHost: HOST\r\n\r\n"
	for n := range len(whole) - 1 {
		p := f.dial().send(strings.ReplaceAll(whole, "HOST", f.addr)[:n])
		if err := p.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(p); err != nil {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
	if calls := k.seen(); len(calls) > 0 {
		t.Errorf("handlers ran: %q", calls)
	}
	p := f.dial().send(whole)
	if err := p.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if a := p.read(http.MethodGet); a.StatusCode != http.StatusOK {
		t.Errorf("a whole request of a client that sends no more is answered %s", a.Status)
	}
}

// TestSlowClients: a header and a body that stand still are cut.
func TestSlowClients(t *testing.T) {
	quick := Limits{HeaderTimeout: 50 * time.Millisecond, Stall: 50 * time.Millisecond}
	for name, raw := range map[string]string{
		"nothing":                 "",
		"half a header":           "GET /v1/files HTTP/1.1\r\nHost: HOST\r\n",
		"no body":                 "PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100000\r\n\r\n",
		"half a body":             "PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 50000),
		"no body that is awaited": "PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var k counting
			f := start(t, Config{Limits: quick}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: k.serve}})
			p := f.dial().send(raw)
			a := p.read(http.MethodPut)
			if a.StatusCode == http.StatusContinue {
				a = p.read(http.MethodPut)
			}
			a.problem(t, protocol.KindUnavailable)
			if a.StatusCode != http.StatusRequestTimeout {
				t.Errorf("answered %s", a.Status)
			}
			p.ended()
		})
	}
}

// TestMinimumRate: a body that never stands still and never ends is cut too.
func TestMinimumRate(t *testing.T) {
	var k counting
	limits := Limits{Stall: 50 * time.Millisecond, MinRate: 1 << 30}
	f := start(t, Config{Limits: limits}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: k.serve}})
	p := f.dial()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		p.send("PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4000000000\r\n\r\n" + strings.Repeat("a", 8<<10))
		for {
			if _, err := io.WriteString(p, "aaaa"); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	p.read(http.MethodPut).problem(t, protocol.KindUnavailable)
	p.Close()
	<-gone
}

// TestExpect: a body is asked for when the header can be accepted, and never
// when it cannot.
func TestExpect(t *testing.T) {
	var k counting
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: k.serve}})
	head := "PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"
	for range 2 {
		p := f.dial().send(head + "\r\n")
		if a := p.read(http.MethodPut); a.StatusCode != http.StatusContinue {
			t.Fatalf("answered %s", a.Status)
		}
		if a := p.send("hello").read(http.MethodPut); a.StatusCode != http.StatusOK || string(a.body) != `{"read":5}` {
			t.Errorf("answered %s %s", a.Status, a.body)
		}
	}
	for name, c := range map[string]struct {
		raw  string
		kind protocol.Kind
	}{
		"bad host":   {strings.Replace(head, "HOST", "evil.example", 1), protocol.KindBadHost},
		"encoded":    {head + "Content-Encoding: br\r\n", protocol.KindUnsupportedMediaType},
		"no route":   {strings.Replace(head, "/v1", "/v2", 1), protocol.KindNotFound},
		"chunked":    {strings.Replace(head, "Content-Length: 5", "Transfer-Encoding: chunked", 1), protocol.KindLengthRequired},
		"smuggling":  {head + "Transfer-Encoding: chunked\r\n", protocol.KindBadRequest},
		"bad uid":    {strings.Replace(head, "uploads/1", "uploads/x", 1), protocol.KindBadUID},
		"bad number": {strings.Replace(head, "parts/1", "parts/0", 1), protocol.KindBadPart},
	} {
		t.Run(name, func(t *testing.T) {
			p := f.dial().send(c.raw + "\r\n")
			p.read(http.MethodPut).problem(t, c.kind)
			p.send("GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n").ended()
		})
	}
	if calls := k.seen(); len(calls) != 2 {
		t.Errorf("handlers ran: %q", calls)
	}
}

// TestSpellings are requests that look unusual and mean something all the same.
func TestSpellings(t *testing.T) {
	f := start(t, Config{}, nil)
	for name, c := range map[string]struct {
		raw    string
		status int
	}{
		"absolute form":                {"GET http://HOST/healthz HTTP/1.1\r\nHost: HOST\r\n\r\n", 200},
		"absolute form without path":   {"GET http://HOST HTTP/1.1\r\nHost: HOST\r\n\r\n", 404},
		"absolute form with a query":   {"GET http://HOST/v1/files?x=1 HTTP/1.1\r\nHost: HOST\r\n\r\n", 400},
		"a URL in the query":           {"GET /v1/files?x=http://a/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 400},
		"HTTP/1.0":                     {"GET /healthz HTTP/1.0\r\nHost: HOST\r\n\r\n", 200},
		"names in capitals":            {"GET /healthz HTTP/1.1\r\nHOST: localhost:PORT\r\n\r\n", 200},
		"an empty line before":         {"\r\nGET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n", 200},
		"Expect in capitals":           {"PUT /v1/uploads/1/parts/0 HTTP/1.1\r\nHost: HOST\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n", 400},
		"GET that says it has nothing": {"GET /healthz HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n", 200},
	} {
		port := f.addr[strings.LastIndexByte(f.addr, ':')+1:]
		raw := strings.ReplaceAll(strings.Replace(c.raw, "HOST: localhost:PORT", "hOST: localhost:"+port, 1), "hOST", "HoSt")
		if a := f.dial().send(raw).read(http.MethodGet); a.StatusCode != c.status {
			t.Errorf("%s: answered %s %s", name, a.Status, a.body)
		}
	}
}

// TestPipelining: requests sent at once are answered in order, also after a
// refused one whose body was short.
func TestPipelining(t *testing.T) {
	var k counting
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: k.serve}})
	part := "PUT /v1/uploads/1/parts/N HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello"
	var all strings.Builder
	for _, n := range []string{"1", "0", "2", "x", "3"} {
		all.WriteString(strings.Replace(part, "N", n, 1))
	}
	p := f.dial().send(all.String())
	for _, want := range []int{200, 400, 200, 400, 200} {
		if a := p.read(http.MethodPut); a.StatusCode != want {
			t.Errorf("answered %s, want %d", a.Status, want)
		}
	}
}
