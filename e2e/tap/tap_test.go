package tap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/api/openapi/openapitest"
)

const patience = 20 * time.Second

const document = `{
	"openapi": "3.1.1",
	"paths": {"/thing": {
		"get": {"operationId": "look", "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}}}}}},
		"put": {"operationId": "put", "responses": {"201": {"description": ""}, "413": {"description": ""}}}
	}}
}`

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// between is a tap before a daemon that answers each connection as told.
type between struct {
	*Tap
	t     *testing.T
	mu    sync.Mutex
	wrong []error
}

// tapped has serve answer each connection, and closes it behind it.
func tapped(t *testing.T, serve func(c *net.TCPConn, r *bufio.Reader)) *between {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var daemon sync.WaitGroup
	daemon.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			daemon.Go(func() {
				serve(c, bufio.NewReader(c))
				c.Close()
			})
		}
	})
	d, err := openapitest.Read([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	b := &between{t: t}
	b.Tap, err = New(l.Addr().String(), d, func(err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.wrong = append(b.wrong, err)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Close()
		l.Close()
		daemon.Wait()
	})
	return b
}

// dial is a connection through the tap.
func (b *between) dial() (*net.TCPConn, *bufio.Reader) {
	b.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.URL(), "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		b.t.Fatal(err)
	}
	return c.(*net.TCPConn), bufio.NewReader(c)
}

// read reads a request whole, as a daemon does.
func read(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

func say(c net.Conn, text string) { _, _ = io.WriteString(c, text) }

// found closes the tap and compares what was wrong.
func (b *between) found(want ...string) {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Error(err)
	}
	if len(b.wrong) != len(want) {
		b.t.Fatalf("found %v, want %q", b.wrong, want)
	}
	for i, w := range want {
		if !strings.Contains(b.wrong[i].Error(), w) {
			b.t.Errorf("found %v, want %q", b.wrong[i], w)
		}
	}
}

const good = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"size\":1}"

// TestAnswersAreJudged: of one connection, pipelined, and each by its request.
func TestAnswersAreJudged(t *testing.T) {
	b := tapped(t, func(c *net.TCPConn, r *bufio.Reader) {
		for read(r) {
			say(c, good)
		}
	})
	c, r := b.dial()
	say(c, "GET /thing HTTP/1.1\r\nHost: a\r\n\r\nGET /thing?x=y HTTP/1.1\r\nHost: a\r\n\r\nGET /other HTTP/1.1\r\nHost: a\r\n\r\n"+
		"PUT /thing HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
	got := make([]byte, 4*len(good))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != strings.Repeat(good, 4) {
		t.Errorf("came %q, %v", got, err)
	}
	c.Close()
	b.found("/other is no operation", "put 200 is answered, and not documented")
	if !b.Seen(openapitest.Pair{Operation: "look", Status: 200}) || b.Seen(openapitest.Pair{Operation: "put", Status: 201}) {
		t.Error("what was seen is wrong")
	}
}

// TestLongBodies: what comes behind one is found, in either direction.
func TestLongBodies(t *testing.T) {
	long := strings.Repeat("x", 9<<20)
	b := tapped(t, func(c *net.TCPConn, r *bufio.Reader) {
		for read(r) {
			say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(long), long))
		}
	})
	c, r := b.dial()
	for range 3 {
		go say(c, fmt.Sprintf("PUT /thing HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(long), long))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != long {
			t.Fatalf("%d bytes came, %v", len(got), err)
		}
	}
	c.Close()
	b.found("put 200 is answered", "put 200 is answered", "put 200 is answered")
}

// TestEarlyAnswer: one that comes before its body was sent, and a go on before
// one that waits for it.
func TestEarlyAnswer(t *testing.T) {
	b := tapped(t, func(c *net.TCPConn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Header.Get("Expect") != "" {
			say(c, "HTTP/1.1 100 Continue\r\n\r\n")
			_, _ = io.Copy(io.Discard, req.Body)
			say(c, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
			return
		}
		say(c, "HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	c, r := b.dial()
	say(c, "PUT /thing HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 413 {
		t.Fatalf("answered %v, %v", resp, err)
	}
	c, r = b.dial()
	say(c, "PUT /thing HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("came %q, %v", line, err)
	}
	say(c, "abc")
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	b.found()
	for _, status := range []int{201, 413} {
		if !b.Seen(openapitest.Pair{Operation: "put", Status: status}) {
			t.Errorf("the %d was not seen", status)
		}
	}
}

// TestEndsPass: a half that ends ends, and what is reset is reset, both ways.
func TestEndsPass(t *testing.T) {
	began, heard := make(chan struct{}, 2), make(chan string, 1)
	b := tapped(t, func(c *net.TCPConn, r *bufio.Reader) {
		first, err := r.ReadString('\n')
		if first == "reset\n" {
			reset(c)
			return
		}
		began <- struct{}{}
		rest, err2 := io.ReadAll(r)
		heard <- fmt.Sprintf("%s%s %v", first, rest, errors.Is(errors.Join(err, err2), syscall.ECONNRESET))
		say(c, "late")
	})
	c, r := b.dial()
	say(c, "half\nclosed")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r); string(rest) != "late" || err != nil {
		t.Errorf("after its half was closed came %q, %v", rest, err)
	}
	if got := <-heard; got != "half\nclosed false" {
		t.Errorf("the daemon heard %q", got)
	}
	c, r = b.dial()
	say(c, "reset\n")
	if _, err := r.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a reset comes as %v", err)
	}
	c, _ = b.dial()
	<-began
	say(c, "cut\n")
	<-began // a reset takes along what was not read
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := <-heard; got != "cut\n true" {
		t.Errorf("the daemon heard %q", got)
	}
	b.found()
}

// TestCutAnswer: what was cut is no answer that is wrong.
func TestCutAnswer(t *testing.T) {
	b := tapped(t, func(c *net.TCPConn, r *bufio.Reader) {
		read(r)
		say(c, good[:len(good)-2])
	})
	c, r := b.dial()
	say(c, "GET /thing HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
	b.found()
}

// TestRefused: where no daemon listens, connections are refused or reset.
func TestRefused(t *testing.T) {
	b := tapped(t, func(*net.TCPConn, *bufio.Reader) {})
	b.Refuse()
	if _, err := net.Dial("tcp", strings.TrimPrefix(b.URL(), "http://")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialed: %v", err)
	}
	b.found()
}
