package cli

import (
	"fmt"
	"net/http"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// trace tells of every request: what -vv prints. It looks at no body and no
// header that could be secret.
type trace struct {
	next http.RoundTripper
	note func(string)
	now  func() time.Time
}

// RoundTrip passes the request on as it is.
func (t *trace) RoundTrip(req *http.Request) (*http.Response, error) {
	began := t.now()
	resp, err := t.next.RoundTrip(req)
	line := fmt.Sprintf("osp: %s %s: ", req.Method, clean(req.URL.Path))
	if r := req.Header.Get("Range"); r != "" {
		line += clean(r) + ": "
	}
	if err != nil {
		line += clean(err.Error())
	} else {
		line += fmt.Sprintf("%d, request %s", resp.StatusCode, clean(resp.Header.Get(protocol.HeaderRequestID)))
	}
	t.note(line + " after " + elapsedText(t.now().Sub(began)))
	return resp, err
}

// CloseIdleConnections lets the client close what is below.
func (t *trace) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
