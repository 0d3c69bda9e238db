package tap

import (
	"bufio"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/osproxy/osproxy/daemon/api/openapi/openapitest"
)

// maxBody is the largest body that is looked into.
const maxBody = 1 << 20

// talk is what is said over one connection: requests up, answers down.
type talk struct {
	tap      *Tap
	up, down *ear
	// asked are the requests whose answers are to come, in order. It is closed
	// after the last.
	asked chan asked
}

type asked struct{ method, target string }

// pipelined is how many requests may be ahead of their answers. The one after
// them waits to be looked at, not to be sent.
const pipelined = 64

func newTalk(t *Tap) *talk {
	return &talk{tap: t, up: newEar(), down: newEar(), asked: make(chan asked, pipelined)}
}

// listen follows the talk to its end.
func (k *talk) listen() {
	var both sync.WaitGroup
	both.Go(k.requests)
	both.Go(k.answers)
	both.Wait()
}

// requests reads those that are requests; after one that is not, nothing can be
// told of the rest.
func (k *talk) requests() {
	defer k.up.ignore()
	defer close(k.asked)
	r := bufio.NewReader(k.up)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		k.asked <- asked{req.Method, req.RequestURI}
		if !k.up.pass(r, req.Body, req.ContentLength) {
			return
		}
	}
}

// answers reads each answer, and holds it to the document.
func (k *talk) answers() {
	defer func() {
		k.down.ignore()
		for range k.asked { // nobody answers those any more
		}
	}()
	r := bufio.NewReader(k.down)
	for {
		if _, err := r.Peek(1); err != nil {
			return
		}
		request, whole := <-k.asked
		if !whole {
			return // it answers what was no request
		}
		if !k.answer(r, request) {
			return
		}
	}
}

// answer reads one, and reports whether another may follow.
func (k *talk) answer(r *bufio.Reader, request asked) bool {
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: request.method})
		if err != nil {
			return false // it was cut
		}
		if resp.StatusCode < http.StatusOK { // go on, says the daemon
			continue
		}
		a := openapitest.Answer{Method: request.method, Target: request.target, Status: resp.StatusCode, Header: resp.Header}
		var whole bool
		a.Body, whole = k.readBody(r, resp)
		k.tap.judge(a)
		return whole && !resp.Close
	}
}

// readBody is a body that can be looked into, nil for another, and whether it
// came to its end.
func (k *talk) readBody(r *bufio.Reader, resp *http.Response) ([]byte, bool) {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") || resp.ContentLength > maxBody {
		length := resp.ContentLength
		if resp.Request.Method == http.MethodHead {
			length = 0
		}
		return nil, k.down.pass(r, resp.Body, length)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, false
	}
	return b, true
}

func (t *Tap) judge(a openapitest.Answer) {
	pair, err := t.document.Check(a)
	if err != nil {
		t.report(err)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[pair] = true
}
