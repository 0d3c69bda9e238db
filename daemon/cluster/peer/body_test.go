package peer

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/osproxy/osproxy/protocol"
)

const goOn = "HTTP/1.1 100 Continue\r\n\r\n"

// TestAnEarlyAnswerLeavesTheBody: the peer refuses by the header alone, and the
// body stays where it is.
func TestAnEarlyAnswerLeavesTheBody(t *testing.T) {
	for _, status := range []int{http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage} {
		for name, rest := range map[string]string{
			"kept":   "Content-Length: 5\r\n\r\nfully",
			"closed": "Connection: close\r\nContent-Length: 5\r\n\r\nfully",
			"empty":  "Content-Length: 0\r\n\r\n",
		} {
			s := play(t, func(l *line, _ int) {
				r, ok := l.request()
				if !ok {
					return
				}
				if r.Header.Get("Expect") != "100-continue" {
					t.Error("the body comes unasked")
				}
				l.answer(r, strconv.Itoa(status)+" No", rest)
				if rest, err := io.ReadAll(l.Reader); err == nil && len(rest) > 0 {
					t.Errorf("%q came after the answer", rest)
				}
			})
			for _, length := range []int64{10, Unsized} {
				a, err := newClient(t).Do(bounded(t), s.peer(), Request{Method: "PUT", Path: "/", Body: untouched{t}, Length: length})
				text := done(t, a, err)
				if !strings.HasSuffix(rest, text) || a.Status != status || !a.Unread {
					t.Errorf("%d, %s: %d %q, unread %v", status, name, a.Status, text, a.Unread)
				}
			}
		}
	}
}

// TestAnAnswerAmidTheBody comes through though the client's next bytes do not.
func TestAnAnswerAmidTheBody(t *testing.T) {
	s := play(t, func(l *line, _ int) {
		r, ok := l.request()
		if !ok {
			return
		}
		io.WriteString(l.Conn, goOn)
		if _, err := io.ReadFull(l.Reader, make([]byte, 4)); err != nil {
			t.Error(err)
		}
		l.answer(r, "507 Full", "Content-Length: 5\r\n\r\nfully")
		l.untilGone()
	})
	body := newStuck("half")
	a, err := newClient(t).Do(bounded(t), s.peer(), Request{Method: "PUT", Path: "/", Body: body, Length: 10, Interrupt: body.interrupt})
	if text := done(t, a, err); text != "fully" || a.Status != 507 || !a.Unread {
		t.Errorf("%d %q, unread %v", a.Status, text, a.Unread)
	}
}

// TestAPeerDiesAmidTheBody: nobody waits for a client that sends nothing.
func TestAPeerDiesAmidTheBody(t *testing.T) {
	body := newStuck("half")
	s := play(t, func(l *line, _ int) {
		if _, ok := l.request(); ok {
			io.WriteString(l.Conn, goOn)
			io.ReadFull(l.Reader, make([]byte, 4))
			<-body.reading
		}
	})
	_, err := newClient(t).Do(bounded(t), s.peer(), Request{Method: "PUT", Path: "/", Body: body, Length: 10, Interrupt: body.interrupt})
	if b, ok := errors.AsType[*Broken](err); !ok || !b.Begun {
		t.Errorf("%v", err)
	}
}

// TestABodyThatFails is its client's fault, and the peer gets no whole one.
func TestABodyThatFails(t *testing.T) {
	broken := errors.New("the client is gone")
	for name, c := range map[string]struct {
		body   io.Reader
		length int64
		want   error
	}{
		"error":           {io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), 10, broken},
		"short":           {strings.NewReader("half"), 10, io.ErrUnexpectedEOF},
		"error in chunks": {io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), Unsized, broken},
	} {
		r := receive(t, func(_ http.ResponseWriter, r *http.Request, _ Verified) {
			if body, err := io.ReadAll(r.Body); err == nil {
				t.Errorf("%s: %q seems whole", name, body)
			}
		})
		_, err := newClient(t).Do(bounded(t), r.peer(), Request{Method: "PUT", Path: "/", Body: c.body, Length: c.length})
		if _, ok := errors.AsType[*BodyFailed](err); !ok || !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMoreThanAnnouncedIsNotSent: it would be the beginning of another request.
func TestMoreThanAnnouncedIsNotSent(t *testing.T) {
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ Verified) { io.Copy(w, r.Body) })
	body := strings.NewReader("halfGET / HTTP/1.1\r\n\r\n")
	a, err := newClient(t).Do(bounded(t), r.peer(), Request{Method: "PUT", Path: "/", Body: body, Length: 4})
	if text := done(t, a, err); text != "half" || a.Unread || body.Len() == 0 {
		t.Errorf("%q, unread %v, %d bytes left", text, a.Unread, body.Len())
	}
}

// TestWhatIsSentTwice: a connection that was used before ends as a request comes
// on it. Only what can have done nothing goes out again, with another nonce.
func TestWhatIsSentTwice(t *testing.T) {
	once := []Field{{protocol.HeaderIdempotencyKey, "k"}}
	for name, c := range map[string]struct {
		request Request
		asks    bool
		want    int32
	}{
		"GET":                {Request{Method: "GET", Path: "/"}, false, 2},
		"HEAD":               {Request{Method: "HEAD", Path: "/"}, false, 2},
		"DELETE":             {Request{Method: "DELETE", Path: "/"}, false, 1},
		"POST":               {Request{Method: "POST", Path: "/"}, false, 1},
		"POST with a key":    {Request{Method: "POST", Path: "/", Fields: once}, false, 1},
		"DELETE with a key":  {Request{Method: "DELETE", Path: "/", Fields: once}, false, 1},
		"PUT, not asked for": {Request{Method: "PUT", Path: "/", Length: 4}, false, 2},
		"PUT, asked for":     {Request{Method: "PUT", Path: "/", Length: 4}, true, 1},
		"POST, key and body": {Request{Method: "POST", Path: "/", Length: 4, Fields: once}, true, 1},
		"chunks, asked for":  {Request{Method: "POST", Path: "/", Length: Unsized}, true, 1},
		"chunks, not asked":  {Request{Method: "POST", Path: "/", Length: Unsized}, false, 2},
	} {
		var came atomic.Int32
		nonces := make(chan string, 4)
		s := play(t, func(l *line, number int) {
			for {
				r, ok := l.request()
				if !ok {
					return
				}
				first := r.URL.Path == "/first"
				if !first {
					came.Add(1)
					nonces <- r.Header.Get(HeaderNonce)
				}
				if r.Header.Get("Expect") != "" && (c.asks || number > 1) {
					io.WriteString(l.Conn, goOn)
					io.Copy(io.Discard, r.Body)
				}
				if !first && number == 1 {
					return
				}
				l.answer(r, "200 OK", "Content-Length: 0\r\n\r\n")
			}
		})
		client := newClient(t)
		first, err := client.Do(bounded(t), s.peer(), Request{Method: "GET", Path: "/first"})
		done(t, first, err)
		if c.request.Length != 0 {
			c.request.Body = strings.NewReader("body")
		}
		a, err := client.Do(bounded(t), s.peer(), c.request)
		if came.Load() != c.want {
			t.Errorf("%s came %d times, want %d (%v)", name, came.Load(), c.want, err)
		}
		if c.want == 2 {
			done(t, a, err)
			if first, second := <-nonces, <-nonces; first == second {
				t.Errorf("%s: both have one nonce", name)
			}
			continue
		}
		if b, ok := errors.AsType[*Broken](err); !ok || !b.Begun {
			t.Errorf("%s: %v", name, err)
		}
	}
}
