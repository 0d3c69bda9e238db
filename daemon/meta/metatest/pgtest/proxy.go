//go:build unix

package pgtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
)

// Fate is what becomes of a COMMIT on its way.
type Fate int

// The fates.
const (
	// Passed: it reaches the server, and its answer the client.
	Passed Fate = iota
	// LostBefore: the connection ends before the server has it.
	LostBefore
	// LostAfter: the server has it, and the connection ends before the answer
	// is back.
	LostAfter
	// Stuck: the client's connection ends, the server's goes on without it.
	Stuck
)

// Proxy stands between clients and a server and loses connections.
type Proxy struct {
	dir string
	l   net.Listener
	// fate is asked at each COMMIT.
	fate func() Fate
	wg   sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

// NewProxy listens for clients of the server in the folder.
func NewProxy(dir string, fate func() Fate) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{dir: dir, l: l, fate: fate, open: map[net.Conn]bool{}}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	return p, nil
}

// URL is the address of a database through the proxy. settings are further
// parameters.
func (p *Proxy) URL(database string, settings url.Values) string {
	q := url.Values{"sslmode": {"disable"}}
	for k, v := range settings {
		q[k] = v
	}
	return "postgres://" + user + "@" + p.l.Addr().String() + "/" + database + "?" + q.Encode()
}

// Cut ends all connections there are now.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
}

// Close ends the proxy and all its connections, and waits.
func (p *Proxy) Close() error {
	err := p.l.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Cut()
	p.wg.Wait()
	return err
}

// keep has Close end the connection.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[c] = true
	return !p.closed
}

func (p *Proxy) drop(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

func (p *Proxy) serve(client net.Conn) {
	defer p.drop(client)
	var d net.Dialer
	server, err := d.DialContext(context.Background(), "unix", filepath.Join(p.dir, ".s.PGSQL.5432"))
	if err != nil {
		return
	}
	defer p.drop(server)
	if !p.keep(client) || !p.keep(server) {
		return
	}
	a := &answers{from: server, to: client}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.copy()
		client.Close()
	}()
	if stuck := p.forward(client, server, a); stuck {
		client.Close()
	} else {
		server.Close()
	}
	<-ended // where it is stuck, the server ends it, or Close does
}

// forward copies the client's messages until the connection is to end.
func (p *Proxy) forward(client io.Reader, server io.Writer, a *answers) (stuck bool) {
	header := 4 // the first message has no type
	for {
		m, err := readMessage(client, header)
		if err != nil {
			return false
		}
		fate := Passed
		if header == 5 && m[0] == 'Q' && bytes.Equal(m[5:], []byte("COMMIT\x00")) {
			fate = p.fate()
		}
		header = 5
		switch fate {
		case LostBefore:
			return false
		case Stuck:
			return true
		case LostAfter:
			answered := a.discard()
			if _, err := server.Write(m); err == nil {
				<-answered
			}
			return false
		default:
			if _, err := server.Write(m); err != nil {
				return false
			}
		}
	}
}

// readMessage reads a message; its length is in the last four bytes of the
// header, which it counts from there on.
func readMessage(r io.Reader, header int) ([]byte, error) {
	m := make([]byte, header)
	if _, err := io.ReadFull(r, m); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(m[header-4:])) - 4
	if n < 0 || n > 1<<30 {
		return nil, errors.New("not a message of Postgres")
	}
	m = append(m, make([]byte, n)...)
	_, err := io.ReadFull(r, m[header:])
	return m, err
}

// answers are what the server says.
type answers struct {
	from io.Reader
	to   io.Writer

	mu        sync.Mutex
	discarded chan struct{}
}

// discard has what comes from now on go nowhere; the channel is closed when
// something came, or nothing will.
func (a *answers) discard() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.discarded = make(chan struct{})
	return a.discarded
}

func (a *answers) copy() {
	b := make([]byte, 32<<10)
	for {
		n, err := a.from.Read(b)
		a.mu.Lock()
		discarded := a.discarded
		a.mu.Unlock()
		if discarded != nil {
			close(discarded)
			return
		}
		if err != nil {
			return
		}
		if _, err := a.to.Write(b[:n]); err != nil {
			return
		}
	}
}
