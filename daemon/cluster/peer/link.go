package peer

import (
	"crypto/x509"
	"net/http"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

// link is the way to one peer at one address, with certificates as they were
// read once. Its connections end with it, each after what is under way on it.
type link struct {
	node      meta.NodeID
	address   string
	certs     *loaded // nil with a key
	transport *http.Transport

	mu sync.Mutex
	// until is when the first certificate ends that the peer showed.
	until time.Time
}

// limit has the link end with the certificate that the peer showed.
func (l *link) limit(chains [][]*x509.Certificate) {
	if len(chains) == 0 {
		return
	}
	until := validityOf(chains[0]).until
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until.IsZero() || until.Before(l.until) {
		l.until = until
	}
}

// good reports whether the link leads there still, and both sides still are who
// they showed to be.
func (l *link) good(address string, certs *loaded, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.address == address && l.certs == certs && (l.until.IsZero() || now.Before(l.until))
}

// link finds the way to a peer. One to an address that it has left is not used
// again, nor one from before a certificate or the authorities changed.
func (c *Client) link(to Peer) *link {
	var certs *loaded
	if c.certs != nil {
		certs = c.certs.now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.links[to.Node]
	if l != nil && l.good(to.Address, certs, time.Now()) {
		return l
	}
	if l != nil {
		l.transport.CloseIdleConnections()
	}
	l = &link{node: to.Node, address: to.Address, certs: certs}
	l.transport = c.transport(l)
	c.links[to.Node] = l
	return l
}
