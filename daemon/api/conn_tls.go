package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
)

// sealedConn is a connection of a peer: a tcpConn below TLS.
type sealedConn struct {
	*tls.Conn
	// refused is called where no connection came about.
	refused func(remote net.Addr, err error)
}

// Handshake is what fasthttp begins with, and it drops the error: what fails is the
// first read. It has set the deadline.
func (c *sealedConn) Handshake() error {
	err := c.Conn.HandshakeContext(context.Background())
	if err != nil && !wentAway(err) {
		c.refused(c.RemoteAddr(), err)
	}
	return err //nolint:wrapcheck // it stands for tls.Conn's own, whose errors fasthttp expects
}

// wentAway reports whether a handshake failed without a word of either side: who only
// looks whether somebody listens, or is killed, is not refused.
func wentAway(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op != "remote error" && op.Op != "local error" // those of TLS
	}
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded)
}

// refusedTLS tells of a connection that was refused at its beginning, by either side.
func (s *Server) refusedTLS(remote net.Addr, err error) {
	s.met.PeerRefused(string(peer.ReasonTLS))
	s.strangers.tell(s.base, remote, "", fmt.Errorf("%w: %w", peer.ReasonTLS, err))
}
