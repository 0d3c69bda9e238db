package api

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// waited waits until the owner waits for the other node, and has it find that this
// one is down.
func (w *way) waited(t *testing.T) {
	t.Helper()
	until(t, "that the other node is waited for", func() bool { return w.cutStill() > 0 })
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
		until(t, "that the owner is at work", func() bool { return owner.Load() > 0 })
		way.waited(t)
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
	until(t, "that the owner is at work", func() bool { return p.owner.Load() > 0 })
	p.owns.waited(t)
	until(t, "that the owner is done", func() bool { return p.owner.Load() == 0 })
	if a := p.owner.do(http.MethodPut, path, string(noise(8<<20))); a.StatusCode != http.StatusOK {
		t.Errorf("answered %s %s", a.Status, a.body)
	}
}

// TestPingsOfAFullNode: one that has as many connections as it serves is there all
// the same, and says of all else that it has too many.
func TestPingsOfAFullNode(t *testing.T) {
	// Two, so that the server, which takes twice as many, still has room while a
	// connection that it refused is being closed.
	const served = 2
	f, owner := startHanding(t, Config{Limits: Limits{Connections: served}}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: {serve: (&counting{}).serve}})
	sends := f.cfg.Peers.(*way)
	for range served {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", sends.other.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	until(t, "that they are in", func() bool { return owner.side.conns.count() == served })
	for path, want := range map[string]int{peer.PingPath: http.StatusOK, "/v1/files/1/content": http.StatusServiceUnavailable} {
		fields := []peer.Field{{Name: peer.HeaderOwner, Value: "local"}, {Name: peer.HeaderScopes, Value: protocol.AllScopes().String()}}
		a, err := sends.Client.Do(t.Context(), sends.other, peer.Request{Method: http.MethodGet, Path: path, Fields: fields})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(a.Body)
		if err != nil || a.Status != want || want != http.StatusOK && !strings.Contains(string(body), "too many connections") {
			t.Errorf("%s is answered %d %s, %v", path, a.Status, body, err)
		}
		if err := a.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSlowReaderOverTLS: each piece that moves in time counts.
func TestSlowReaderOverTLS(t *testing.T) {
	a := newAuthority(t)
	a.node(ownerNode)
	pair, err := tls.LoadX509KeyPair(filepath.Join(a.dir, string(ownerNode)+".crt"), filepath.Join(a.dir, string(ownerNode)+".key"))
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	read := make(chan error, 1) // it ends with the test's other end
	go func() {
		// Who the other is does not matter here, only how it writes.
		c := tls.Client(far, &tls.Config{InsecureSkipVerify: true})
		for p, left := make([]byte, 16<<10), sliceBytes; left > 0; time.Sleep(20 * time.Millisecond) {
			n, err := c.Read(p)
			if left -= n; err != nil {
				read <- err
				return
			}
		}
		read <- nil
	}()
	w := &rollingWriter{conn: &sealedConn{Conn: tls.Server(near, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}})}, stall: 600 * time.Millisecond}
	if n, err := w.Write(make([]byte, sliceBytes)); err != nil || n != sliceBytes {
		t.Fatalf("%d bytes were sent, then %v", n, err)
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
}
