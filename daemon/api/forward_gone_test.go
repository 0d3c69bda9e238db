package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// waited waits until the owner waits for the other node, and has it find that this
// one is down.
func (w *way) waited() {
	for w.cutStill() == 0 {
		time.Sleep(time.Millisecond)
	}
}

// TestASenderThatIsGone: the owner works no longer for a node that is down and sends
// nothing, or takes nothing.
func TestASenderThatIsGone(t *testing.T) {
	ended := make(chan error, 1)
	f, owner := startHanding(t, Config{}, map[protocol.RouteName]endpoint{
		protocol.RoutePutPart: {serve: func(c *call) error {
			_, err := io.Copy(io.Discard, c.body)
			ended <- err
			return err
		}},
		protocol.RouteGetContent: {serve: func(c *call) error {
			return c.serveContent(representation{size: 1 << 30, etag: `"a"`, mediaType: "text/plain", writeRange: func(_ context.Context, w io.Writer, _, n int64) error {
				_, err := io.CopyN(w, endless{}, n)
				ended <- err
				return err
			}})
		}},
	})
	way := owner.cfg.Peers.(*way)
	for name, raw := range map[string]string{
		"sends nothing": putPart + "500000\r\n\r\n" + strings.Repeat("a", 300<<10), "takes nothing": "GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n\r\n",
	} {
		f.dial().send(raw)
		for ended := false; !ended; ended = owner.Load() > 0 {
			time.Sleep(time.Millisecond)
		}
		way.waited()
		if err := <-ended; err == nil {
			t.Errorf("one that %s is served to the end", name)
		}
	}
	if log := owner.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("a node that is gone is called an error: %s", log)
	}
}

// endless is a reader of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestAPartOfASenderThatIsGone can be sent anew at once: nobody is at it any more.
func TestAPartOfASenderThatIsGone(t *testing.T) {
	p := startPair(t, meta.Quota{}, func(*Config) {})
	up := p.owner.begin(`{"name": "a", "size": 16777216}`)
	path := "/v1/uploads/" + up.UID.String() + "/parts/1"
	p.sender.dial().send("PUT " + path + " HTTP/1.1\r\nHost: HOST\r\nContent-Length: 8388608\r\n\r\n" + strings.Repeat("a", 1<<20))
	for p.owner.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	p.owns.waited()
	for p.owner.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	if a := p.owner.do(http.MethodPut, path, string(noise(8<<20))); a.StatusCode != http.StatusOK {
		t.Errorf("answered %s %s", a.Status, a.body)
	}
}
