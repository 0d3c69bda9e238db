package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/protocol"
)

// Peers are the other nodes of the cluster, as this one sees them. Methods are
// safe for concurrent use.
type Peers interface {
	// Do hands a request to the node that has what it needs, and gives the answer
	// once its header is there. Nobody reads the request's body after that.
	Do(ctx context.Context, to *holder.Elsewhere, r peer.Request) (*peer.Answer, error)
	// Others are the other nodes whose lease lasts, as where something may be.
	Others() []*holder.Elsewhere
	// Report is how this node is doing, which others ask for.
	Report() any
	// Verify says what of a request that came in from a peer by a channel may be
	// believed, once; Proof is what shows the sender that it was.
	Verify(ctx context.Context, m peer.Message, channel *tls.ConnectionState) (peer.Verified, error)
	Proof(v peer.Verified) string
	// Watch keeps a vigil over a connection by which a node sent a request. cut is
	// called, once at most and before End, where the node is down and has been waited
	// for too long; it waits for nothing.
	Watch(from peer.Verified, cut func()) Vigil
}

// Vigil knows whether somebody waits for the other end of a connection.
type Vigil interface {
	Begin()
	Rest()
	End()
}

// routePing is the one route that peers alone have.
const routePing protocol.RouteName = "peer_ping"

// peerRouters are the tables of what is taken from peers: the routes that may be
// handed on, and those that peers alone have.
func peerRouters(v1, v0 router) (peers, peersV0 router) {
	peers, peersV0 = v1.handed(), v0.handed()
	alone := func(name protocol.RouteName, path string, e endpoint) {
		route := protocol.Route{Name: name, Method: http.MethodGet, Path: path}
		peers.routes = append(peers.routes, compiled{route, strings.Split(path, "/"), e, guard{access: public}})
	}
	alone(routePing, peer.PingPath, endpoint{serve: (*call).ping, health: true})
	alone(routePeerStores, pathPeerStores, endpoint{serve: (*call).ownStores})
	return peers, peersV0
}

// handed are the routes of the table that may be handed on.
func (r router) handed() (to router) {
	to.routes = slices.DeleteFunc(slices.Clone(r.routes), func(c compiled) bool { return !c.endpoint.handed })
	return to
}

func (c *call) ping() error {
	c.writeJSON(http.StatusOK, c.srv.cfg.Peers.Report())
	return nil
}

// verifiedKey is where a request keeps what was verified of it: one whose body is
// awaited is looked at twice, and verified once.
type verifiedKey struct{}

// verify finds out whether a request is of a peer, and has it hold nothing that
// was not signed.
func (c *call) verify() error {
	if v, ok := c.http.UserValue(verifiedKey{}).(peer.Verified); ok {
		c.from = &v
	} else {
		if c.srv.cfg.Peers == nil {
			return closing{unknownPeer(nil)}
		}
		v, err := c.srv.cfg.Peers.Verify(c.ctx, c.message(), c.http.TLSConnectionState())
		c.countRefused(err)
		if protocol.KindOf(err) == protocol.KindUnauthenticated {
			c.srv.met.AuthFailed(authRefused)
			c.srv.strangers.tell(c.ctx, c.http.RemoteAddr(), string(c.http.Request.Header.Peek(peer.HeaderNode)), err)
			return closing{unknownPeer(err)}
		}
		if err != nil {
			return closing{err}
		}
		c.from = &v
		if t, ok := plain(c.http.Conn()).(*tcpConn); ok {
			t.watch(v, c.srv.cfg.Peers)
		}
		c.http.SetUserValue(verifiedKey{}, v)
		c.believe()
	}
	c.ctx = holder.Handed(c.ctx)
	if id := c.said(peer.HeaderRequestID); protocol.ValidRequestID(id) {
		c.id = id
	}
	if t := protocol.ParseTraceparent(c.said(peer.HeaderTrace)); !t.IsZero() {
		c.trace = t.Child()
		c.ctx = protocol.WithTrace(c.ctx, c.trace)
	}
	c.setAlways()
	return nil
}

// unknownPeer says nothing of why to who is no peer, and has no use for it. One that
// is, or was, is told: the reason belongs in its log.
func unknownPeer(err error) error {
	if reason, ok := errors.AsType[peer.Reason](err); ok && reason.Told() {
		return err
	}
	return &protocol.Error{Kind: protocol.KindUnauthenticated, Message: "only nodes of this cluster are answered here", Err: err}
}

// message is the request as it was sent.
func (c *call) message() peer.Message {
	h := &c.http.Request.Header
	m := peer.Message{Method: string(h.Method()), Length: max(peer.Unsized, int64(h.ContentLength()))}
	m.Path, m.Query, _ = strings.Cut(string(h.RequestURI()), "?")
	for line := range bytes.Lines(h.RawHeaders()) {
		name, value, ok := strings.Cut(string(line), ":")
		if ok {
			m.Fields = append(m.Fields, peer.Field{Name: name, Value: strings.Trim(value, " \t\r\n")})
		}
	}
	if !slices.ContainsFunc(m.Fields, func(f peer.Field) bool {
		return strings.EqualFold(f.Name, "Content-Length") || strings.EqualFold(f.Name, "Transfer-Encoding")
	}) {
		m.Length = 0
	}
	return m
}

// believe leaves of the header what was signed, and what tells where the request
// ends.
func (c *call) believe() {
	h := &c.http.Request.Header
	var drop []string
	for _, key := range h.PeekKeys() {
		switch name := string(key); strings.ToLower(name) {
		case "host", "content-length", "transfer-encoding", "connection", "expect":
		default:
			drop = append(drop, name)
		}
	}
	for _, name := range drop {
		h.Del(name)
	}
	for _, f := range c.from.Fields() {
		h.Set(f.Name, f.Value)
	}
}

// said is a field that the peer signed, "" where it did not.
func (c *call) said(name string) string {
	value, _ := c.from.Value(name)
	return value
}

// setAlways sets what every answer carries, whatever becomes of the request.
func (c *call) setAlways() {
	h := &c.http.Response.Header
	h.Set(protocol.HeaderRequestID, c.id)
	switch {
	case c.from != nil:
		h.Set(peer.HeaderProof, c.srv.cfg.Peers.Proof(*c.from))
	case !c.door.peers:
		c.allowNamed()
	}
}

// authenticatePeer is authenticate for a call that a peer hands on. The peer has
// asked already who calls, and is believed; a link is opened again, so that it
// ends here too.
func (c *call) authenticatePeer() error {
	g := c.match.guard
	if c.v0 {
		var err error
		if c.query, err = parseV0Query(c.rawURL.query, c.match.endpoint.query); err != nil {
			return err
		}
	}
	text := c.said(peer.HeaderLink)
	switch {
	case g.access == public:
		return nil
	case g.access == bySignature:
		return c.openSigned(g.link)
	case g.access == byLink:
		return c.openLink(c.match.token, g.link)
	case text != "" && g.link != "":
		return c.openLink(text, g.link)
	case text != "":
		return protocol.Errorf(protocol.KindForbidden, "a link does not let in here; nothing was done")
	}
	caller := token.Caller{Owner: protocol.Owner(c.said(peer.HeaderOwner)), TokenID: c.said(peer.HeaderToken)}
	if err := protocol.CheckOwner(caller.Owner); err != nil {
		return err
	}
	for word := range strings.SplitSeq(c.said(peer.HeaderScopes), ",") {
		caller.Scopes = append(caller.Scopes, protocol.Scope(word))
	}
	return c.enter(caller)
}

// disagree is what a request is told that was handed on to where its bytes are not
// either: it goes no further, so that no two nodes hand one to and fro.
func disagree(to *holder.Elsewhere) error {
	return &protocol.Error{Kind: protocol.KindOwnerDown, Err: to,
		Message: "the nodes of the cluster do not agree for now on which of them has the bytes; nothing was done with them",
		Hint:    "Try again in a moment."}
}
