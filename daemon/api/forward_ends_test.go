package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/protocol"
)

const putPart = "PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: "

// TestEarlyAnswersThroughAPeer: what the owner refuses before it has read the body
// reaches the client as it is, whether or not he waits to be asked for it.
func TestEarlyAnswersThroughAPeer(t *testing.T) {
	for _, kind := range []protocol.Kind{protocol.KindCommitted, protocol.KindTooLarge, protocol.KindStoreFull, protocol.KindChecksumMismatch, protocol.KindDraining} {
		for _, size := range []int{0, 1, 100 << 10, 1 << 20, 64 << 20} {
			for _, expects := range []bool{false, true} {
				if expects && size == 0 {
					continue
				}
				t.Run(string(kind)+" "+strconv.Itoa(size)+" "+strconv.FormatBool(expects), func(t *testing.T) {
					f, _ := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: func(*call) error {
						return &protocol.Error{Kind: kind, Message: "so it is", RetryAfter: 7 * time.Second}
					}}})
					head, w := putPart+strconv.Itoa(size)+"\r\n", f.dial()
					if expects {
						head += "Expect: 100-continue\r\n"
					}
					w.send(head + "\r\n")
					if expects && size > 0 {
						if a := w.read(http.MethodPut); a.StatusCode != http.StatusContinue {
							t.Fatalf("answered %s", a.Status)
						}
					}
					sent := make(chan struct{})
					go func() {
						defer close(sent)
						w.send(strings.Repeat("a", size))
					}()
					a := w.read(http.MethodPut)
					if p := a.problem(t, kind); p.Detail != "so it is" || a.StatusCode == 503 && a.Header.Get("Retry-After") != "7" {
						t.Errorf("answered %s %v", a.body, a.Header)
					}
					w.Close()
					<-sent
				})
			}
		}
	}
}

// TestBodiesThroughAPeer: the owner gets the bytes that were sent, with what was
// said of them, or an error; and so does the client.
func TestBodiesThroughAPeer(t *testing.T) {
	for _, size := range []int{0, 1, 64 << 10, 20 << 20} {
		got := make(chan string, 1)
		f, _ := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: func(c *call) error {
			b, err := io.ReadAll(c.body)
			got <- string(b)
			if err != nil {
				return err
			}
			c.writeJSON(http.StatusOK, []string{c.header("Osp-Xxh3"), c.header("X-Other"), c.header("Authorization"), string(c.caller.Owner), c.uid.String(), c.id})
			return nil
		}}})
		body := string(noise(size))
		a := f.do(http.MethodPut, "/v1/uploads/1/parts/1", body, "Osp-Xxh3", "the hash", "X-Other", "x", "X-Request-Id", "the-id")
		if want := `["the hash","","","local","1","the-id"]`; string(a.body) != want || a.StatusCode != http.StatusOK {
			t.Errorf("%d bytes are answered %s %s", size, a.Status, a.body)
		}
		if <-got != body {
			t.Errorf("%d bytes do not arrive as they were sent", size)
		}
	}
}

// TestShortBodyThroughAPeer: a client that stops sending is told so, and nobody
// takes what came for the whole.
func TestShortBodyThroughAPeer(t *testing.T) {
	for _, size := range []int{1, 8 << 10, 300 << 10} {
		done := make(chan error, 1)
		f, _ := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: func(c *call) error {
			_, err := io.Copy(io.Discard, c.body)
			done <- err
			return err
		}}})
		w := f.dial().send(putPart + "500000\r\n\r\n" + strings.Repeat("a", size))
		if err := w.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		w.read(http.MethodPut).problem(t, protocol.KindBadLength)
		w.ended()
		if size > 64<<10 {
			if err := <-done; err == nil {
				t.Errorf("the owner took %d bytes for a whole body", size)
			}
		}
	}
}

// TestSlowBodyThroughAPeer: the node that a client speaks to holds him to the
// limits.
func TestSlowBodyThroughAPeer(t *testing.T) {
	var k counting
	f, _ := startHanding(t, Config{Limits: Limits{Stall: 50 * time.Millisecond}}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: k.serve}})
	w := f.dial().send(putPart + "500000\r\n\r\n" + strings.Repeat("a", 300<<10))
	a := w.read(http.MethodPut)
	a.problem(t, protocol.KindUnavailable)
	if a.StatusCode != http.StatusRequestTimeout {
		t.Errorf("answered %s", a.Status)
	}
	w.ended()
}

// TestAPeerThatBreaksOff: an answer that stops in the middle never ends clean.
func TestAPeerThatBreaksOff(t *testing.T) {
	for _, size := range []int64{smallBody, smallBody + 1, 64 << 20} {
		f, _ := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: {serve: func(c *call) error {
			s := &stream{call: c, pieces: []piece{{span: span{0, size}}}, size: size, writeRange: func(_ context.Context, w io.Writer, _, n int64) error {
				_, err := w.Write(make([]byte, n/2))
				return errors.Join(err, errors.New("the disk is gone"))
			}}
			c.status, c.streaming = http.StatusOK, true
			c.http.Response.SetBodyStream(s, int(size))
			return nil
		}}})
		w := f.dial().send(strings.Repeat("GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n\r\n", 2))
		a := w.read(http.MethodGet)
		if size <= smallBody {
			// Nothing was answered yet.
			a.problem(t, protocol.KindOwnerDown)
			continue
		}
		if a.StatusCode != http.StatusOK || !errors.Is(a.err, io.ErrUnexpectedEOF) {
			t.Errorf("answered %s and %d bytes, then %v", a.Status, len(a.body), a.err)
		}
		w.ended()
		if log := f.log.String(); !strings.Contains(log, "answer cut") || !strings.Contains(log, "code=owner_down") {
			t.Errorf("the log does not tell: %s", log)
		}
	}
}

// TestAPeerThatIsGone is 503 with a time to come back, before it answered and
// where it never was.
func TestAPeerThatIsGone(t *testing.T) {
	began := make(chan struct{})
	f, owner := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: func(c *call) error {
		close(began)
		<-c.ctx.Done()
		c.http.Conn().Close()
		return context.Cause(c.ctx)
	}}})
	w := f.dial().send(putPart + "500000\r\n\r\n" + strings.Repeat("a", 300<<10))
	<-began
	if err := owner.Close(); err != nil {
		t.Error(err)
	}
	w.read(http.MethodPut).problem(t, protocol.KindOwnerDown)
	f.do(http.MethodPut, "/v1/uploads/1/parts/1", "hello").problem(t, protocol.KindOwnerDown)
}

// TestAReaderThatLeaves ends the work at the owner too.
func TestAReaderThatLeaves(t *testing.T) {
	ended := make(chan error, 1)
	f, _ := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: {serve: func(c *call) error {
		return c.serveContent(representation{size: 1 << 40, etag: `"a"`, mediaType: "text/plain",
			writeRange: func(_ context.Context, w io.Writer, _, _ int64) error {
				for b := make([]byte, 1<<20); ; {
					if _, err := w.Write(b); err != nil {
						ended <- err
						return err
					}
				}
			}})
	}}})
	w := f.dial().send("GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n\r\n")
	if _, err := io.CopyN(io.Discard, w, 4<<20); err != nil {
		t.Fatal(err)
	}
	w.Close()
	<-ended
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if log := f.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("a client that went away is called an error: %s", log)
	}
}

// TestOneHop: nodes that each take the other for the holder hand a request on
// once.
func TestOneHop(t *testing.T) {
	var asked counting
	elsewhere := func(node string) endpoint {
		return endpoint{serve: func(c *call) error {
			asked.mu.Lock()
			asked.calls = append(asked.calls, node)
			asked.mu.Unlock()
			return &holder.Elsewhere{Node: ownerNode}
		}}
	}
	f, owner := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: elsewhere("owner")})
	a := f.do(http.MethodPut, "/v1/uploads/1/parts/1", "hello")
	if p := a.problem(t, protocol.KindOwnerDown); !strings.Contains(p.Detail, "do not agree") {
		t.Errorf("answered %s", a.body)
	}
	owner.do(http.MethodPut, "/v1/uploads/1/parts/1", "hello").problem(t, protocol.KindOwnerDown)
	if calls := asked.seen(); len(calls) != 2 {
		t.Errorf("asked %q, want the owner once for each request", calls)
	}
}

// TestHalfABodyIsNotHandedOn: what was read of it before would be missing.
func TestHalfABodyIsNotHandedOn(t *testing.T) {
	var k counting
	away, _ := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: k.serve}})
	f := start(t, Config{Peers: away.cfg.Peers}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: func(c *call) error {
		if _, err := io.ReadFull(c.body, make([]byte, 2)); err != nil {
			return err
		}
		return &holder.Elsewhere{Node: ownerNode}
	}}})
	f.do(http.MethodPut, "/v1/uploads/1/parts/1", "hello").problem(t, protocol.KindInternal)
	if calls := k.seen(); len(calls) != 0 {
		t.Errorf("the owner was asked: %q", calls)
	}
}

// TestDrainWaitsForWhatAPeerDoes: a request that was handed on is in flight here.
func TestDrainWaitsForWhatAPeerDoes(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	var k counting
	f, _ := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: {serve: func(c *call) error {
		close(began)
		<-goOn
		return k.serve(c)
	}}})
	w := f.dial().send(putPart + "100000\r\n\r\n" + strings.Repeat("a", 50000))
	// The owner's handler begins with the first bytes that come through.
	w.send(strings.Repeat("a", 50000))
	<-began
	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { drained <- f.Drain(ctx) }()
	for !f.active.isDraining() {
		time.Sleep(time.Millisecond)
	}
	close(goOn)
	if a := w.read(http.MethodPut); a.StatusCode != http.StatusOK || !a.Close {
		t.Errorf("the request in flight was answered %s (close %v)", a.Status, a.Close)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}
