package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/protocol"
)

// side is the side door of an owner, and who may come in.
type side struct {
	*fixture
	signer peer.Signer
	ran    *counting
}

func startSide(t testing.TB) side {
	t.Helper()
	s := side{ran: &counting{}}
	k := endpoint{serve: s.ran.serve}
	sender, owner := startHanding(t, Config{}, map[protocol.RouteName]endpoint{
		protocol.RoutePutPart: k, protocol.RouteGetContent: k, protocol.RoutePutFile: k, protocol.RouteBeginUpload: k, protocol.RouteAbortUpload: k,
	})
	key, err := peer.NewKey(strings.Repeat("secret", 6))
	if err != nil {
		t.Fatal(err)
	}
	// What comes in by the side door is sent there raw.
	at := *owner
	at.addr = sender.cfg.Peers.(*way).other.Address
	s.fixture, s.signer = &at, peer.Signer{Self: senderNode, Key: key}
	return s
}

// signed are the lines of the header that show a request to be of a peer.
func (s side) signed(to meta.NodeID, m peer.Message) string {
	s.t.Helper()
	m.Fields = append(m.Fields, peer.Field{Name: peer.HeaderOwner, Value: "local"}, peer.Field{Name: peer.HeaderScopes, Value: protocol.AllScopes().String()})
	fields, err := s.signer.Sign(to, m)
	if err != nil {
		s.t.Fatal(err)
	}
	var lines strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&lines, "%s: %s\r\n", f.Name, f.Value)
	}
	return lines.String()
}

// TestOnlyPeersComeInByTheSide: nobody else learns anything there, not even which
// routes there are; a peer does, once, and only for what may be handed on.
func TestOnlyPeersComeInByTheSide(t *testing.T) {
	s := startSide(t)
	stranger := s
	var err error
	if stranger.signer.Key, err = peer.NewKey(strings.Repeat("another key ", 4)); err != nil {
		t.Fatal(err)
	}
	get := peer.Message{Method: http.MethodGet, Path: "/v1/files/1/content"}
	line := "GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n"
	good := s.signed(ownerNode, get)
	for _, c := range []struct {
		name, raw string
		status    int
	}{
		{"nothing", line, 401}, {"a token", line + "Authorization: Bearer x\r\n", 401}, {"a route that is none", "GET /x HTTP/1.1\r\nHost: HOST\r\n", 401},
		{"healthz", "GET /healthz HTTP/1.1\r\nHost: HOST\r\n", 401}, {"ping", "GET /peer/ping HTTP/1.1\r\nHost: HOST\r\n", 401},
		{"v0", "GET /api/storage/v0/ping HTTP/1.1\r\nHost: HOST\r\n", 401},
		{"another key", line + stranger.signed(ownerNode, get), 401}, {"another node", line + s.signed(senderNode, get), 401},
		{"another path", strings.Replace(line, "files/1", "files/2", 1) + s.signed(ownerNode, get), 401},
		{"another method", strings.Replace(line, "GET", "HEAD", 1) + s.signed(ownerNode, get), 401},
		{"a query", strings.Replace(line, " HTTP", "?disposition=inline HTTP", 1) + s.signed(ownerNode, get), 401},
		{"a range more", line + "Range: bytes=0-1\r\n" + s.signed(ownerNode, get), 401},
		{"an owner more", line + "Osp-Peer-Owner: x\r\n" + s.signed(ownerNode, get), 400},
		{"a body more", line + "Content-Length: 1\r\n" + s.signed(ownerNode, get) + "\r\nx", 401},
		{"a peer", line + good, 200}, {"the same again", line + good, 401},
		{"a peer's ping", "GET /peer/ping HTTP/1.1\r\nHost: HOST\r\n" + s.signed(ownerNode, peer.Message{Method: "GET", Path: "/peer/ping"}), 200},
		{"what is not handed on", "GET /v1/files HTTP/1.1\r\nHost: HOST\r\n" + s.signed(ownerNode, peer.Message{Method: "GET", Path: "/v1/files"}), 405},
		{"tokens", "GET /v1/tokens HTTP/1.1\r\nHost: HOST\r\n" + s.signed(ownerNode, peer.Message{Method: "GET", Path: "/v1/tokens"}), 404},
		{"docs", "GET /docs HTTP/1.1\r\nHost: HOST\r\n" + s.signed(ownerNode, peer.Message{Method: "GET", Path: "/docs"}), 404},
		{"a path that is not canonical", "GET /v1/./files HTTP/1.1\r\nHost: HOST\r\n" + s.signed(ownerNode, peer.Message{Method: "GET", Path: "/v1/./files"}), 400},
	} {
		method, _, _ := strings.Cut(c.raw, " ")
		a := s.dial().send(c.raw + "\r\n").read(method)
		if a.StatusCode != c.status {
			t.Errorf("%s: answered %s %s", c.name, a.Status, a.body)
		}
		proved := a.Header.Get(peer.HeaderProof) != ""
		if told := string(a.body); c.status == 401 && method == "GET" && (!strings.Contains(told, "only nodes of this cluster") || !a.Close) || proved != (c.status != 401 && c.name != "an owner more") {
			t.Errorf("%s: answered %s, proof %v, close %v", c.name, told, proved, a.Close)
		}
	}
	if calls := s.ran.seen(); len(calls) != 1 {
		t.Errorf("handlers ran: %q", calls)
	}
	if log := s.log.String(); !strings.Contains(log, "not a peer") || !strings.Contains(log, "another clock") && !strings.Contains(log, "received before") {
		t.Errorf("the log does not tell why: %s", log)
	}
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "level=INFO") && strings.Contains(line, "route=peer_ping") {
			t.Errorf("each ping is in the log: %s", line)
		}
	}
}

// TestAPeerIsToldWhyItIsRefused, once it has shown to be one: that its lease is
// over, or that the clocks differ. The connection ends.
func TestAPeerIsToldWhyItIsRefused(t *testing.T) {
	s := startSide(t)
	get := peer.Message{Method: http.MethodGet, Path: "/v1/files/1/content"}
	line := "GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n"
	late := s
	late.signer.Now = func() time.Time { return time.Now().Add(-5 * time.Minute) }
	refused := func(fields, told string) {
		t.Helper()
		a := s.dial().send(line + fields + "\r\n").read(http.MethodGet)
		if a.StatusCode != http.StatusUnauthorized || !a.Close || !strings.Contains(string(a.body), told) || a.Header.Get(peer.HeaderProof) != "" {
			t.Errorf("answered %s (close %v) %s", a.Status, a.Close, a.body)
		}
	}
	refused(late.signed(ownerNode, get), string(senderNode)+" is 5m0s behind the one of this node")
	s.cfg.Peers.(*way).Lives = func(context.Context, meta.NodeID) bool { return false }
	refused(s.signed(ownerNode, get), "has no lease")
	if calls := s.ran.seen(); len(calls) > 0 {
		t.Errorf("handlers ran: %q", calls)
	}
	if log := s.log.String(); !strings.Contains(log, "not a peer") || !strings.Contains(log, "peer refused: lease") {
		t.Errorf("the log does not tell why: %s", log)
	}
}

// TestSmugglingPastAPeer sends as a peer what two servers could read as different
// requests: an attacker who gets a node to hand on such a thing gets no further.
func TestSmugglingPastAPeer(t *testing.T) {
	const hidden = "DELETE /v1/uploads/99 HTTP/1.1\r\nHost: HOST\r\n\r\n"
	for _, signs := range []bool{true, false} {
		s := startSide(t)
		for name := range ambiguous("", "", "hello", hidden) {
			fields := ""
			if signs {
				fields = s.signed(ownerNode, peer.Message{Method: http.MethodPut, Path: "/v1/uploads/7/parts/1", Length: 5})
			}
			w := s.dial().send(ambiguous("PUT /v1/uploads/7/parts/1 ", fields, "hello", hidden)[name])
			a := w.read(http.MethodPut)
			if a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusUnauthorized || !a.Close {
				t.Errorf("%s, signed %v: answered %s (close %v) %s", name, signs, a.Status, a.Close, a.body)
			}
			w.ended()
		}
		if calls := s.ran.seen(); len(calls) > 0 {
			t.Errorf("handlers ran: %q", calls)
		}
	}
}

// TestWhatIsBehindABodyOfAPeer: bytes behind the body are no request of a peer, and
// nothing that is left of one is taken for another.
func TestWhatIsBehindABodyOfAPeer(t *testing.T) {
	const hidden = "DELETE /v1/uploads/99 HTTP/1.1\r\nHost: HOST\r\n\r\n"
	s := startSide(t)
	sign := func(length int64) string {
		return s.signed(ownerNode, peer.Message{Method: http.MethodPut, Path: "/v1/uploads/7/parts/1", Length: length})
	}
	line := "PUT /v1/uploads/7/parts/1 HTTP/1.1\r\nHost: HOST\r\n"
	w := s.dial().send(line + sign(5) + "Content-Length: 5\r\n\r\nhello" + hidden)
	if a := w.read(http.MethodPut); a.StatusCode != http.StatusOK || string(a.body) != `{"read":5}` {
		t.Errorf("answered %s %s", a.Status, a.body)
	}
	if a := w.read(http.MethodDelete); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("what is behind is answered %s", a.Status)
	}
	w.ended()
	for name, raw := range map[string]string{
		"another length":    line + sign(5) + "Content-Length: 50\r\n\r\nhello" + hidden,
		"chunks":            line + sign(5) + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + hidden,
		"chunks, signed":    line + sign(peer.Unsized) + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + hidden,
		"expected, refused": line + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"a refused first":   strings.Replace(line, "7/parts", "x/parts", 1) + s.signed(ownerNode, peer.Message{Method: http.MethodPut, Path: "/v1/uploads/x/parts/1", Length: 500}) + "Expect: 100-continue\r\nContent-Length: 500\r\n\r\n" + hidden,
	} {
		w := s.dial().send(raw)
		if a := w.read(http.MethodPut); a.StatusCode < 400 {
			t.Errorf("%s: answered %s", name, a.Status)
		}
		w.ended()
	}
	if calls := s.ran.seen(); len(calls) != 1 {
		t.Errorf("handlers ran: %q", calls)
	}
}

// TestPeersExpect: a request that waits with its body is verified once, although
// it is looked at twice.
func TestPeersExpect(t *testing.T) {
	s := startSide(t)
	for range 2 {
		w := s.dial()
		for range 2 {
			w.send("PUT /v1/uploads/7/parts/1 HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" +
				s.signed(ownerNode, peer.Message{Method: http.MethodPut, Path: "/v1/uploads/7/parts/1", Length: 5}) + "\r\n")
			if a := w.read(http.MethodPut); a.StatusCode != http.StatusContinue {
				t.Fatalf("answered %s %s", a.Status, a.body)
			}
			if a := w.send("hello").read(http.MethodPut); a.StatusCode != http.StatusOK || a.Header.Get(peer.HeaderProof) == "" {
				t.Errorf("answered %s %s", a.Status, a.body)
			}
		}
	}
}

// TestPeerFieldsFromOutside: by the front door they mean nothing, however well they
// are signed, and a request keeps its own owner.
func TestPeerFieldsFromOutside(t *testing.T) {
	s := startSide(t)
	saw := make(chan string, 1)
	looks := map[protocol.RouteName]endpoint{protocol.RouteGetContent: {serve: func(c *call) error {
		saw <- string(c.caller.Owner) + c.header(peer.HeaderOwner) + c.header(peer.HeaderLink)
		c.writeNothing()
		return nil
	}}}
	front := start(t, Config{Peers: newWay(t, ownerNode)}, looks)
	closed := start(t, Config{Peers: newWay(t, ownerNode), Tokens: token.NewService(token.Config{Records: tokensExist{}})}, looks)
	line := "GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n"
	fields := s.signed(ownerNode, peer.Message{Method: "GET", Path: "/v1/files/1/content", Fields: []peer.Field{{Name: peer.HeaderLink, Value: "x"}}})
	a := front.dial().send(line + strings.Replace(fields, "Owner: local", "Owner: mallory", 1) + "\r\n").read(http.MethodGet)
	if owner := <-saw; a.StatusCode != http.StatusNoContent || owner != "local" || a.Header.Get(peer.HeaderProof) != "" {
		t.Errorf("answered %s %v, for %q", a.Status, a.Header, owner)
	}
	if a := closed.dial().send(line + fields + "\r\n").read(http.MethodGet); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token it is answered %s", a.Status)
	}
}

// TestWhatIsNotSignedIsNotSeen: beside a good signature anybody on the way could
// add what it is not over.
func TestWhatIsNotSignedIsNotSeen(t *testing.T) {
	sender, owner := startHanding(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: {serve: func(c *call) error {
		c.writeJSON(http.StatusOK, []string{c.header("Range"), c.header("X-Other"), c.header("Origin"), c.header("Cookie"), c.id})
		return nil
	}}})
	s := startSide(t)
	at := *owner
	at.addr = sender.cfg.Peers.(*way).other.Address
	s.fixture = &at
	fields := s.signed(ownerNode, peer.Message{Method: http.MethodGet, Path: "/v1/files/1/content", Fields: []peer.Field{
		{Name: "Range", Value: "bytes=0-1"}, {Name: peer.HeaderRequestID, Value: "the-id"}}})
	a := s.dial().send("GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\nX-Other: x\r\nOrigin: http://x\r\nCookie: a=b\r\nX-Request-Id: another\r\n" + fields + "\r\n").read(http.MethodGet)
	if want := `["bytes=0-1","","","","the-id"]`; a.StatusCode != http.StatusOK || string(a.body) != want {
		t.Errorf("answered %s %s, want %s", a.Status, a.body, want)
	}
}

// tokensExist are the records of a daemon that has tokens.
type tokensExist struct{ noTokens }

func (tokensExist) HasTokens(context.Context) (bool, error) { return true, nil }
