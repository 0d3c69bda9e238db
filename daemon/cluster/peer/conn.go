package peer

import (
	"io"
	"net"
	"sync"
)

// piece is how much of a body is handed to the kernel at once.
const piece = 256 << 10

// pieces are buffers of that size which nobody uses now.
type pieces struct{ pool sync.Pool }

func (p *pieces) take() *[piece]byte {
	if b, ok := p.pool.Get().(*[piece]byte); ok {
		return b
	}
	return new([piece]byte)
}

// conn is a connection that tells of its end: net/http waits for a body's reader
// before it does.
type conn struct {
	net.Conn
	pieces *pieces
	gone   chan struct{}
	once   sync.Once
}

func newConn(nc net.Conn, p *pieces) *conn {
	return &conn{Conn: nc, pieces: p, gone: make(chan struct{})}
}

// ReadFrom is how net/http sends a body. By itself it has pieces an eighth as
// large.
func (c *conn) ReadFrom(r io.Reader) (sent int64, err error) {
	buf := c.pieces.take()
	defer c.pieces.pool.Put(buf)
	for {
		n, err := r.Read(buf[:])
		if n > 0 {
			wrote, err := c.Write(buf[:n])
			if sent += int64(wrote); err != nil {
				return sent, err
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return sent, nil
		default:
			return sent, err
		}
	}
}

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
