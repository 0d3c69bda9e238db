package api

import (
	"errors"
	"net/http"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
)

// PeerMetrics counts what other nodes hand on to this one.
type PeerMetrics interface {
	// PeerServed is one request of a peer: "ok", "refused", "failed" or "cut".
	PeerServed(outcome string)
	// PeerRefused is one that was not taken for a peer's, and why: a peer.Reason.
	PeerRefused(reason string)
	// PeerBytes counts bytes of bodies.
	PeerBytes(sent, received int64)
	// PeerInFlight adds delta to the requests being "served" for peers.
	PeerInFlight(side string, delta int)
}

// countRefused counts a request that is not of a peer.
func (c *call) countRefused(err error) {
	if reason, ok := errors.AsType[peer.Reason](err); ok {
		c.srv.met.PeerRefused(string(reason))
	}
}

// countServed counts a request of a peer that has ended.
func (c *call) countServed() {
	if c.from == nil || c.match.name == routePing {
		return
	}
	outcome := "ok"
	switch {
	case c.cut:
		outcome = "cut"
	case c.status >= http.StatusInternalServerError:
		outcome = "failed"
	case c.status >= http.StatusBadRequest:
		outcome = "refused"
	}
	c.srv.met.PeerServed(outcome)
	c.srv.met.PeerBytes(c.sent, c.body.got)
}

// countPeers counts the calls that come in by the side.
func (c *call) countPeers(delta int) {
	if c.door.peers {
		c.srv.met.PeerInFlight("served", delta)
	}
}
