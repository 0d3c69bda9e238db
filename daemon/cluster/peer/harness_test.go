package peer

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long a test waits for what has to come.
const limit = 20 * time.Second

// messageOf is what a receiver makes of a request.
func messageOf(r *http.Request) Message {
	m := Message{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Length: max(r.ContentLength, Unsized)}
	m.Path, m.Query, _ = strings.Cut(r.RequestURI, "?")
	for name, values := range r.Header {
		for _, v := range values {
			m.Fields = append(m.Fields, Field{name, v})
		}
	}
	return m
}

// receiver is a node that answers what it can verify.
type receiver struct {
	*httptest.Server
	verifier *Verifier
}

// verified wraps a handler for requests of peers.
func verified(v *Verifier, serve func(http.ResponseWriter, *http.Request, Verified)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := v.Verify(r.Context(), messageOf(r), r.TLS)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		w.Header().Set(HeaderProof, v.Proof(got))
		serve(w, r, got)
	})
}

func receive(t *testing.T, serve func(http.ResponseWriter, *http.Request, Verified)) *receiver {
	v := NewVerifier(VerifierConfig{Self: there, Key: key(t, "k")})
	r := &receiver{httptest.NewServer(verified(v, serve)), v}
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) peer() Peer { return Peer{there, r.Listener.Addr().String()} }

func newClient(t *testing.T) *Client {
	t.Helper()
	c, err := NewClient(Signer{Self: here, Key: key(t, "k")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// done reads an answer to its end.
func done(t *testing.T, a *Answer, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Errorf("read the answer: %v", err)
	}
	if err := a.Body.Close(); err != nil {
		t.Error(err)
	}
	return string(text)
}

// script is a peer of raw connections. Each is given, with its number from 1 on,
// to serve, and ended after it.
type script struct {
	net.Listener
	key Key
	wg  sync.WaitGroup
}

// line is one connection of a script.
type line struct {
	net.Conn
	*bufio.Reader
	key Key
}

func (l *line) Read(p []byte) (int, error) { return l.Reader.Read(p) }

func play(t *testing.T, serve func(l *line, number int)) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{Listener: l, key: key(t, "k")}
	s.wg.Go(func() {
		for number := 1; ; number++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() {
				defer c.Close()
				serve(&line{c, bufio.NewReader(c), s.key}, number)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.wg.Wait()
	})
	return s
}

func (s *script) peer() Peer { return Peer{there, s.Addr().String()} }

// request reads the header of the next request, and not its body.
func (l *line) request() (*http.Request, bool) {
	r, err := http.ReadRequest(l.Reader)
	return r, err == nil
}

// answer writes an answer that proves itself: a status line, and what follows
// the proof.
func (l *line) answer(r *http.Request, status, rest string) {
	proof := l.key.proof(here, there, r.Header.Get(HeaderNonce))
	io.WriteString(l.Conn, "HTTP/1.1 "+status+"\r\n"+HeaderProof+": "+proof+"\r\n"+rest)
}

// untilGone waits for the other end.
func (l *line) untilGone() { io.Copy(io.Discard, l.Reader) }

// stuck is a body that gives one piece and then nothing until it is interrupted.
type stuck struct {
	first string
	once  sync.Once
	end   chan struct{}
	// reading is closed when a Read waits.
	reading  chan struct{}
	readOnce sync.Once
}

func newStuck(first string) *stuck {
	return &stuck{first: first, end: make(chan struct{}), reading: make(chan struct{})}
}

func (s *stuck) Read(p []byte) (int, error) {
	if s.first != "" {
		n := copy(p, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	s.readOnce.Do(func() { close(s.reading) })
	<-s.end
	return 0, net.ErrClosed
}

func (s *stuck) interrupt() { s.once.Do(func() { close(s.end) }) }

// untouched is a body that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}
