package peer

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// hasty is a client that waits for nothing for long.
func hasty(t *testing.T, w waits) *Client {
	c := newClient(t)
	c.waits = waits{ask: limit, read: limit, change: limit, piece: limit}
	for _, set := range []struct{ to, from *time.Duration }{{&c.waits.ask, &w.ask}, {&c.waits.read, &w.read}, {&c.waits.change, &w.change}, {&c.waits.piece, &w.piece}} {
		if *set.from > 0 {
			*set.to = *set.from
		}
	}
	return c
}

// soon is how long a hasty client waits.
const soon = 100 * time.Millisecond

// TestAPeerThatStandsStill lives, for what the pings tell; but of this request
// nothing comes or goes any more.
func TestAPeerThatStandsStill(t *testing.T) {
	for name, c := range map[string]struct {
		waits waits
		sent  Request
		// serve is what the peer does before it stands still.
		serve func(l *line, r *http.Request)
		begun bool
	}{
		"does not ask for the body": {waits{ask: soon}, Request{Method: "PUT", Length: 4}, func(*line, *http.Request) {}, false},
		"does not answer a read":    {waits{read: soon}, Request{Method: "GET"}, func(*line, *http.Request) {}, false},
		"does not do it":            {waits{change: soon}, Request{Method: "DELETE"}, func(*line, *http.Request) {}, true},
		"takes nothing more":        {waits{piece: soon}, Request{Method: "PUT", Length: 1 << 30}, func(l *line, _ *http.Request) { io.WriteString(l.Conn, goOn) }, true},
		"has all, and is silent": {waits{change: soon}, Request{Method: "PUT", Length: 4}, func(l *line, r *http.Request) {
			io.WriteString(l.Conn, goOn)
			io.Copy(io.Discard, r.Body)
		}, true},
	} {
		gone := make(chan struct{})
		s := play(t, func(l *line, _ int) {
			if r, ok := l.request(); ok {
				c.serve(l, r)
				<-gone
			}
		})
		c.sent.Path = "/"
		if c.sent.Length > 0 {
			c.sent.Body = io.LimitReader(zeros{}, c.sent.Length)
		}
		_, err := hasty(t, c.waits).Do(bounded(t), s.peer(), c.sent)
		if b, ok := errors.AsType[*Broken](err); !ok || b.Begun != c.begun || !errors.Is(err, errStill) {
			t.Errorf("%s: %v", name, err)
		}
		close(gone)
	}
}

// TestNobodyIsWaitedForLongerThanOspWaits: an answer that was lost on the way between
// two nodes, which both live, is asked for again by a client who is told so.
func TestNobodyIsWaitedForLongerThanOspWaits(t *testing.T) {
	const osp = 2 * time.Minute // client.NewTransport's ResponseHeaderTimeout
	for name, wait := range map[string]time.Duration{"ask": defaultWaits().ask, "read": defaultWaits().read, "change": defaultWaits().change} {
		if wait <= 0 || wait > osp-10*time.Second {
			t.Errorf("%s: %s", name, wait)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestAnAnswerThatStandsStill(t *testing.T) {
	gone := make(chan struct{})
	defer close(gone)
	s := play(t, func(l *line, _ int) {
		if r, ok := l.request(); ok {
			l.answer(r, "200 OK", "Content-Length: 10\r\n\r\nhalf")
			<-gone
		}
	})
	a, err := hasty(t, waits{piece: soon}).Do(bounded(t), s.peer(), Request{Method: "GET", Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if _, ok := errors.AsType[*Broken](err); !ok || string(text) != "half" || !errors.Is(err, errStill) {
		t.Errorf("%q, %v", text, err)
	}
}

// slow gives its text byte by byte, and takes its time.
type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(2 * soon)
	return s.Reader.Read(p[:1])
}

// TestASlowClientIsNotThePeersFault, be it with his body or with the answer.
func TestASlowClientIsNotThePeersFault(t *testing.T) {
	r := receive(t, func(w http.ResponseWriter, r *http.Request, _ Verified) { io.Copy(w, r.Body) })
	a, err := hasty(t, waits{piece: soon}).Do(bounded(t), r.peer(), Request{Method: "PUT", Path: "/", Body: slow{strings.NewReader("one")}, Length: 3})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(slow{a.Body})
	if err != nil || string(text) != "one" {
		t.Errorf("%q, %v", text, err)
	}
	a.Body.Close()
}

// TestAConnectionThatWasForgotten between the nodes while nothing went over it: what
// can have done nothing is sent again by another.
func TestAConnectionThatWasForgotten(t *testing.T) {
	gone := make(chan struct{})
	s := play(t, func(l *line, number int) {
		for {
			r, ok := l.request()
			switch {
			case !ok:
				return
			case number == 1 && r.URL.Path != "/first":
				<-gone
				return
			case r.ContentLength > 0:
				io.WriteString(l.Conn, goOn)
				io.Copy(io.Discard, r.Body)
			}
			l.answer(r, "200 OK", "Content-Length: 0\r\n\r\n")
		}
	})
	defer close(gone)
	c := hasty(t, waits{ask: soon})
	first, err := c.Do(bounded(t), s.peer(), Request{Method: "GET", Path: "/first"})
	done(t, first, err)
	a, err := c.Do(bounded(t), s.peer(), Request{Method: "PUT", Path: "/", Body: strings.NewReader("body"), Length: 4})
	done(t, a, err)
}
