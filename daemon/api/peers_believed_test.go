package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/protocol"
)

// TestWhatIsBelievedEndsWithTheRequest: what comes next on a connection shows anew
// that it is of a peer, also where a body was asked for before.
func TestWhatIsBelievedEndsWithTheRequest(t *testing.T) {
	const line = "PUT /v1/uploads/7/parts/1 HTTP/1.1\r\nHost: HOST\r\n"
	s := startSide(t)
	for name, next := range map[string]string{
		"plain": line + "Content-Length: 5\r\n\r\nworld", "one that waits": line + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
		"another owner's": line + "Osp-Peer-Owner: mallory\r\nContent-Length: 5\r\n\r\nworld",
	} {
		w := s.dial().send(line + "Expect: 100-continue\r\nContent-Length: 5\r\n" +
			s.signed(ownerNode, peer.Message{Method: http.MethodPut, Path: "/v1/uploads/7/parts/1", Length: 5}) + "\r\n")
		if a := w.read(http.MethodPut); a.StatusCode != http.StatusContinue {
			t.Fatalf("answered %s %s", a.Status, a.body)
		}
		if a := w.send("hello").read(http.MethodPut); a.StatusCode != http.StatusOK {
			t.Fatalf("answered %s %s", a.Status, a.body)
		}
		if a := w.send(next).read(http.MethodPut); a.StatusCode != http.StatusUnauthorized || !a.Close {
			t.Errorf("%s: what comes next is answered %s %s", name, a.Status, a.body)
		}
		w.ended()
	}
	if calls := s.ran.seen(); len(calls) != 3 {
		t.Errorf("handlers ran: %q", calls)
	}
}

// TestFieldsThatLookLikeSignedOnes count for nothing: however the name of a field is
// spelled, a handler sees what was signed.
func TestFieldsThatLookLikeSignedOnes(t *testing.T) {
	saw := make(chan string, 1)
	looks := endpoint{serve: func(c *call) error {
		h := &c.http.Request.Header
		saw <- strings.Join([]string{string(c.caller.Owner), c.header("Range"), c.header("If-Match"), c.header("Content-Type"), string(h.Peek("Cookie")),
			string(h.Peek("User-Agent")), c.header("Authorization"), c.header(protocol.HeaderIdempotencyKey)}, "|")
		c.writeNothing()
		return nil
	}}
	sender, owner := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: looks})
	s := startSide(t)
	at := *owner
	at.addr = sender.cfg.Peers.(*way).other.Address
	s.fixture = &at
	line := "GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n"
	for _, added := range []string{
		"", "range : bytes=0-1\r\n", "Range\t: bytes=0-1\r\n", "If_Match: x\r\n", "Content-Type : x\r\n", "Cookie: a=b\r\n", "User-Agent: x\r\n", "Authorization: Bearer x\r\n",
		"Osp_Peer_Owner: mallory\r\n", "X-Osp-Peer-Owner: mallory\r\n", "IDEMPOTENCY-KEY: x\r\n", "osp-peer-owner : mallory\r\n", "OSP-PEER-OWNER: mallory\r\n", "If-Match:\r\n",
		"Transfer-Encoding : chunked\r\n", "Content-Length : 5\r\n",
	} {
		a := s.dial().send(line + added + s.signed(ownerNode, peer.Message{Method: http.MethodGet, Path: "/v1/files/1/content"}) + "\r\n").read(http.MethodGet)
		switch got := ""; a.StatusCode {
		case http.StatusNoContent:
			if got = <-saw; got != "local|||||||" {
				t.Errorf("%q: a handler sees %s", added, got)
			}
		case http.StatusBadRequest, http.StatusUnauthorized:
			if added == "" || !a.Close {
				t.Errorf("%q is answered %s (close %v) %s", added, a.Status, a.Close, a.body)
			}
		default:
			t.Errorf("%q is answered %s %s", added, a.Status, a.body)
		}
	}
}
