package api

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/protocol"
)

// TestPeersAreCounted: what they hand on, by what came of it, and who is no peer, by
// why. Pings are not.
func TestPeersAreCounted(t *testing.T) {
	var l labels
	var k counting
	sender, owner := startHanding(t, Config{Metrics: &l}, map[protocol.RouteName]endpoint{
		protocol.RoutePutPart: {serve: k.serve}, protocol.RouteGetContent: fixed(noise(1000), `"a"`),
		protocol.RoutePutFile:     {serve: func(*call) error { return protocol.Errorf(protocol.KindStoreFull, "full") }},
		protocol.RouteAbortUpload: {serve: func(*call) error { return protocol.Errorf(protocol.KindNotFound, "none") }},
	})
	to := sender.cfg.Peers.(*way)
	sender.do(http.MethodPut, "/v1/uploads/1/parts/7", "hello")
	sender.do(http.MethodGet, "/v1/files/1/content", "")
	sender.do(http.MethodDelete, "/v1/uploads/1", "")
	sender.do(http.MethodPost, "/v1/files?name=a", "hello")
	ping, err := to.Client.Do(t.Context(), to.other, peer.Request{Method: http.MethodGet, Path: "/peer/ping"})
	if err != nil {
		t.Fatal(err)
	}
	if err := ping.Body.Close(); err != nil {
		t.Fatal(err)
	}
	at := *owner
	at.addr = to.other.Address
	at.dial().send("GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n").read(http.MethodGet)
	for _, f := range []*fixture{sender, owner} {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	got := map[string]int{}
	for label, n := range l.seen {
		if strings.Contains(label, "served") || strings.Contains(label, "peers") || strings.Contains(label, "not a peer") {
			got[label] = n
		}
	}
	want := map[string]int{"served ok": 2, "served refused": 1, "served failed": 1, "not a peer: receiver": 1, "received from peers": got["received from peers"],
		"sent to peers": got["sent to peers"], "in flight, served": 0}
	if !maps.Equal(got, want) || got["sent to peers"] < 1000 || got["received from peers"] < 5 {
		t.Errorf("counted %v, want %v", got, want)
	}
}
