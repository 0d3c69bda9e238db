package cluster

import (
	"net"
	"sync"

	"github.com/osproxy/osproxy/daemon/meta"
)

// network stands between the node and another, and does what networks do.
type network struct {
	l                  net.Listener
	to                 string
	accepting, carried sync.WaitGroup

	mu    sync.Mutex
	ways  map[way]chan struct{}
	conns []net.Conn
}

// way is a direction.
type way int

const (
	toNode way = iota
	fromNode
)

// between puts a network before a node, and the network's address in its row.
func (w *world) between(n *node) *network {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	net := &network{l: l, to: n.Listener.Addr().String(), ways: map[way]chan struct{}{}}
	net.accepting.Go(net.accept)
	w.t.Cleanup(func() {
		l.Close()
		net.accepting.Wait()
		net.pass(toNode)
		net.pass(fromNode)
		net.reset()
		net.carried.Wait()
	})
	w.rows.set(meta.Node{ID: n.id, Address: l.Addr().String(), Living: true})
	return net
}

func (n *network) accept() {
	for {
		in, err := n.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", n.to)
		if err != nil {
			in.Close()
			continue
		}
		n.mu.Lock()
		n.conns = append(n.conns, in, out)
		n.mu.Unlock()
		n.carried.Go(func() { n.carry(out, in, toNode) })
		n.carried.Go(func() { n.carry(in, out, fromNode) })
	}
}

// carry moves bytes in one direction, and holds them while it is closed.
func (n *network) carry(to, from net.Conn, w way) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		got, err := from.Read(buf)
		n.mu.Lock()
		wait := n.ways[w]
		n.mu.Unlock()
		if wait != nil {
			<-wait
		}
		if _, writeErr := to.Write(buf[:got]); err != nil || writeErr != nil {
			return
		}
	}
}

// hold lets nothing through in one direction until pass.
func (n *network) hold(w way) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ways[w] == nil {
		n.ways[w] = make(chan struct{})
	}
}

func (n *network) pass(w way) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ways[w] != nil {
		close(n.ways[w])
		delete(n.ways, w)
	}
}

// reset ends every connection with a RST.
func (n *network) reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // one that is closed has none
		}
		c.Close()
	}
	n.conns = nil
}
