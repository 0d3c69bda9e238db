package peer

import (
	"net"
	"sync"
)

// conn is a connection that tells of its end: net/http waits for a body's reader
// before it does.
type conn struct {
	net.Conn
	gone chan struct{}
	once sync.Once
}

func newConn(nc net.Conn) *conn { return &conn{Conn: nc, gone: make(chan struct{})} }

// Close is net/http's.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}

// watch stops the gate when the connection ends, unless over is closed before.
func (c *conn) watch(g *gate, over <-chan struct{}) {
	select {
	case <-c.gone:
		g.stop()
		g.release()
	case <-over:
	}
}
