package peer

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

func TestAnAnswerComesAsItIs(t *testing.T) {
	r := receive(t, func(w http.ResponseWriter, r *http.Request, v Verified) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		h := w.Header()
		h["Connection"] = []string{"X-Of-The-Hop"}
		h.Set("X-Of-The-Hop", "1")
		h.Set("Keep-Alive", "timeout=5")
		h.Set("Etag", `"e"`)
		h.Add("Vary", "a")
		h.Add("Vary", "b")
		owner, _ := v.Value(HeaderOwner)
		once, _ := v.Value(protocol.HeaderIdempotencyKey)
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, r.Method+" "+r.RequestURI+" "+owner+" "+once+" "+string(body))
	})
	c := newClient(t)
	fields := []Field{{HeaderOwner, "me"}, {protocol.HeaderIdempotencyKey, "k"}}
	for _, length := range []int64{4, Unsized} {
		a, err := c.Do(bounded(t), r.peer(), Request{Method: "POST", Path: "/v1/%2F", Query: "a=%20", Fields: fields, Body: strings.NewReader("body"), Length: length})
		if text := done(t, a, err); text != "POST /v1/%2F?a=%20 me k body" {
			t.Errorf("answered %q", text)
		}
		if a.Status != http.StatusConflict || a.Header.Get("Etag") != `"e"` || len(a.Header["Vary"]) != 2 || a.Unread {
			t.Errorf("%+v", a)
		}
		for name := range a.Header {
			if hop(name) || name == "X-Of-The-Hop" {
				t.Errorf("%s was handed on", name)
			}
		}
	}
}

func TestAnswersWithoutABody(t *testing.T) {
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ Verified) {
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", "1000")
		case "/same":
			w.WriteHeader(http.StatusNotModified)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	c := newClient(t)
	for _, want := range []struct {
		method, path string
		status       int
		length       int64
	}{{"HEAD", "/length", 200, 1000}, {"GET", "/same", 304, 0}, {"DELETE", "/", 204, 0}, {"POST", "/", 204, 0}, {"PUT", "/", 204, 0}} {
		a, err := c.Do(bounded(t), r.peer(), Request{Method: want.method, Path: want.path})
		if text := done(t, a, err); text != "" || a.Status != want.status || a.Length != want.length && want.method == "HEAD" {
			t.Errorf("%s %s: %d, length %d, %q", want.method, want.path, a.Status, a.Length, text)
		}
	}
}

// TestWhatDoesNotProveToBeThePeer is not believed: whoever took its address, and
// whoever sends elsewhere.
func TestWhatDoesNotProveToBeThePeer(t *testing.T) {
	for name, reply := range map[string]func(l *line, r *http.Request){
		"no proof": func(l *line, _ *http.Request) {
			io.WriteString(l.Conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
		},
		"wrong proof": func(l *line, _ *http.Request) {
			io.WriteString(l.Conn, "HTTP/1.1 200 OK\r\n"+HeaderProof+": 00\r\nContent-Length: 2\r\n\r\nno")
		},
		"two proofs": func(l *line, r *http.Request) {
			l.answer(r, "200 OK", HeaderProof+": 00\r\nContent-Length: 2\r\n\r\nno")
		},
		"endless": func(l *line, _ *http.Request) {
			io.WriteString(l.Conn, "HTTP/1.1 500 No\r\n\r\nno")
			for {
				if _, err := io.WriteString(l.Conn, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		},
		"elsewhere": func(l *line, r *http.Request) {
			l.answer(r, "302 Found", "Location: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno")
		},
		"protocols": func(l *line, r *http.Request) {
			l.answer(r, "101 Switching Protocols", "Connection: upgrade\r\nUpgrade: x\r\n\r\nno")
		},
	} {
		s := play(t, func(l *line, _ int) {
			if r, ok := l.request(); ok {
				reply(l, r)
			}
		})
		a, err := newClient(t).Do(bounded(t), s.peer(), Request{Method: "GET", Path: "/"})
		refused, ok := errors.AsType[*Refused](err)
		if !ok || a != nil {
			t.Errorf("%s: %+v, %v", name, a, err)
			continue
		}
		if len(refused.Detail) > maxDetail+8 || !strings.HasPrefix(refused.Detail, "no") {
			t.Errorf("%s: detail %.20q of %d bytes", name, refused.Detail, len(refused.Detail))
		}
	}
}

// TestARefusalSaysWhy: of the clocks, for one, an operator learns from the log.
func TestARefusalSaysWhy(t *testing.T) {
	r := receive(t, func(http.ResponseWriter, *http.Request, Verified) { t.Error("it was served") })
	c := newClient(t)
	c.signer.Now = func() time.Time { return time.Now().Add(2 * Window) }
	_, err := c.Do(bounded(t), r.peer(), Request{Method: "PUT", Path: "/", Body: untouched{t}, Length: 3})
	refused, ok := errors.AsType[*Refused](err)
	if !ok || refused.Status != http.StatusUnauthorized || !strings.Contains(refused.Detail, "is 2m0s ahead of") {
		t.Errorf("%v", err)
	}
}

func TestUnreached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = newClient(t).Do(bounded(t), Peer{there, address}, Request{Method: "PUT", Path: "/", Body: untouched{t}, Length: 3})
	if _, ok := errors.AsType[*Unreached](err); !ok {
		t.Errorf("%v", err)
	}
}

// TestTheAnswerBreaksOff: a reader never takes a part for the whole.
func TestTheAnswerBreaksOff(t *testing.T) {
	for name, body := range map[string]string{"sized": "Content-Length: 10\r\n\r\nhalf", "chunks": "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "chunk": "Transfer-Encoding: chunked\r\n\r\n8\r\nhalf"} {
		s := play(t, func(l *line, _ int) {
			if r, ok := l.request(); ok {
				l.answer(r, "200 OK", body)
			}
		})
		a, err := newClient(t).Do(bounded(t), s.peer(), Request{Method: "GET", Path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(a.Body)
		if _, ok := errors.AsType[*Broken](err); !ok || string(text) != "half" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		a.Body.Close()
	}
}

func TestALargeHeaderIsRefused(t *testing.T) {
	s := play(t, func(l *line, _ int) {
		if r, ok := l.request(); ok {
			l.answer(r, "200 OK", "X: "+strings.Repeat("x", maxAnswerHeader)+"\r\nContent-Length: 0\r\n\r\n")
			l.untilGone()
		}
	})
	_, err := newClient(t).Do(bounded(t), s.peer(), Request{Method: "GET", Path: "/"})
	if _, ok := errors.AsType[*Broken](err); !ok {
		t.Errorf("%v", err)
	}
}

// TestTheContextEndsAWait, also one with a body whose reader is stuck.
func TestTheContextEndsAWait(t *testing.T) {
	asked := make(chan struct{})
	s := play(t, func(l *line, _ int) {
		if r, ok := l.request(); ok {
			if r.ContentLength > 0 {
				io.WriteString(l.Conn, goOn)
			} else {
				close(asked)
			}
			l.untilGone()
		}
	})
	c := newClient(t)
	why := errors.New("the peer is down")
	body := newStuck("half")
	ctx, cancel := context.WithCancelCause(bounded(t))
	go func() {
		<-body.reading
		cancel(why)
	}()
	_, err := c.Do(ctx, s.peer(), Request{Method: "PUT", Path: "/", Body: body, Length: 10, Interrupt: body.interrupt})
	if b, ok := errors.AsType[*Broken](err); !ok || !b.Begun || !errors.Is(err, why) {
		t.Errorf("with a body: %v", err)
	}
	ctx, cancel = context.WithCancelCause(bounded(t))
	go func() {
		<-asked
		cancel(why)
	}()
	_, err = c.Do(ctx, s.peer(), Request{Method: "GET", Path: "/"})
	if !errors.Is(err, why) {
		t.Errorf("without a body: %v", err)
	}
}

// TestNoProxy: what the environment says of proxies is not for peers.
func TestNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	if c := newClient(t); c.link(Peer{there, "192.0.2.1:1"}).transport.Proxy != nil {
		t.Error("peers are reached through a proxy")
	}
}

// TestAPeerThatMoved is asked at its new address.
func TestAPeerThatMoved(t *testing.T) {
	served := func(name string) *receiver {
		return receive(t, func(w http.ResponseWriter, _ *http.Request, _ Verified) { io.WriteString(w, name) })
	}
	c := newClient(t)
	for _, name := range []string{"before", "after"} {
		r := served(name)
		a, err := c.Do(bounded(t), r.peer(), Request{Method: "GET", Path: "/"})
		if text := done(t, a, err); text != name {
			t.Errorf("%q answered, want %q", text, name)
		}
	}
	c.Forget(there)
	if len(c.links) != 0 {
		t.Error("a node that is gone is remembered")
	}
}
