package peer

import (
	"context"
	"crypto/hmac"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

const (
	// IdleTime is how long an unused connection is kept here. A listener keeps it
	// longer, so that no request is sent into one that it just closed.
	IdleTime = 30 * time.Second
	// dialTime bounds the way to a connection, that of TLS included.
	dialTime = time.Second
	// idlePerPeer is how many unused connections are kept to a peer.
	idlePerPeer = 64
	// readBuffer and writeBuffer are of each connection. Bodies go past both.
	readBuffer  = 16 << 10
	writeBuffer = 8 << 10
	// maxAnswerHeader bounds the header of an answer.
	maxAnswerHeader = 64 << 10
	// maxDetail bounds what is read of an answer that is not believed.
	maxDetail = 2 << 10
	// askedFor is how long a body waits to be asked for. The caller's context ends
	// sooner; net/http would send it unasked.
	askedFor = 1000 * time.Hour
)

// KeepAlive has a connection between two nodes end within half a minute that what
// is between them has forgotten, while nothing goes over it.
func KeepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4}
}

// Client sends requests to peers.
type Client struct {
	signer Signer
	certs  *Certificates // nil with a key
	pieces pieces
	waits  waits

	mu    sync.Mutex
	links map[meta.NodeID]*link
}

// NewClient sends as the signer's node. certs is nil where the signer has a key,
// and only then.
func NewClient(s Signer, certs *Certificates) (*Client, error) {
	if s.Key.none() == (certs == nil) {
		return nil, errors.New("a node shows who it is by a key or by certificates, one of both")
	}
	return &Client{signer: s, certs: certs, waits: defaultWaits(), links: map[meta.NodeID]*link{}}, nil
}

// Do sends a request to a peer and returns its answer once the header is there;
// ctx then bounds the body too. Nobody reads the request's body after Do
// returned.
func (c *Client) Do(ctx context.Context, to Peer, r Request) (*Answer, error) {
	l := c.link(to)
	for first := true; ; first = false {
		t := &try{to: to, over: make(chan struct{})}
		answer, err := c.send(ctx, l, t, r)
		if err == nil || !t.again || !first || ctx.Err() != nil {
			return answer, err
		}
		l.transport.CloseIdleConnections()
	}
}

func (c *Client) send(ctx context.Context, l *link, t *try, r Request) (*Answer, error) {
	m := Message{Method: r.Method, Path: r.Path, Query: r.Query, Fields: r.Fields}
	if r.hasBody() {
		m.Length = r.Length
	}
	fields, err := c.signer.Sign(t.to.Node, m)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	still := func() { cancel(errStill) }
	t.stopwatch, t.waits = newStopwatch(still), c.waits
	defer t.stopwatch.stop()
	end := sync.OnceFunc(func() {
		cancel(nil)
		close(t.over)
		if t.gate != nil {
			t.gate.release()
		}
		t.watching.Wait()
	})
	req := t.build(ctx, c.scheme(), r, fields)
	resp, err := l.transport.RoundTrip(req)
	if err != nil {
		err = t.failed(r, err)
		end()
		return nil, err
	}
	unread := false
	if t.gate != nil {
		_, whole := t.gate.stop()
		unread = !whole
	}
	if err := c.believe(t.to.Node, req, resp); err != nil {
		end()
		return nil, errors.Join(err, resp.Body.Close())
	}
	return &Answer{Status: resp.StatusCode, Header: ofAnswer(resp.Header), Length: resp.ContentLength, Unread: unread,
		Body: &answered{resp.Body, t.to.Node, newStopwatch(still), c.waits.piece, end}}, nil
}

// believe looks for the proof that the peer itself answered, to this request. No
// peer sends anybody elsewhere.
func (c *Client) believe(node meta.NodeID, req *http.Request, resp *http.Response) error {
	want := c.signer.Key.proof(c.signer.Self, node, req.Header.Get(HeaderNonce))
	got := resp.Header.Values(HeaderProof)
	elsewhere := resp.StatusCode < 200 || resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified
	if len(got) == 1 && hmac.Equal([]byte(got[0]), []byte(want)) && !elsewhere {
		return nil
	}
	detail, err := io.ReadAll(io.LimitReader(resp.Body, maxDetail))
	if err != nil {
		detail = append(detail, " …"...)
	}
	return &Refused{Node: node, Status: resp.StatusCode, Detail: string(detail)}
}

func (c *Client) scheme() string {
	if c.certs != nil {
		return "https"
	}
	return "http"
}

// Forget closes what is unused to a node, which has gone.
func (c *Client) Forget(node meta.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.links[node]; l != nil {
		l.transport.CloseIdleConnections()
		delete(c.links, node)
	}
}

// Close closes what is unused to all. Requests under way go on.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for node, l := range c.links {
		l.transport.CloseIdleConnections()
		delete(c.links, node)
	}
}

// transport has nothing of net/http's that acts by itself: no proxy, no
// decompression, no HTTP/2, and no body that goes out unasked.
func (c *Client) transport(to *link) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTime, KeepAliveConfig: KeepAlive()}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, fmt.Errorf("dial: %w", err)
		}
		return newConn(nc, &c.pieces), nil
	}
	return &http.Transport{
		Proxy:       nil,
		DialContext: dial,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return c.dialTLS(ctx, dialer, to, network, address)
		},
		Protocols:              onlyHTTP1(),
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idlePerPeer,
		MaxIdleConns:           idlePerPeer,
		IdleConnTimeout:        IdleTime,
		ExpectContinueTimeout:  askedFor,
		MaxResponseHeaderBytes: maxAnswerHeader,
		WriteBufferSize:        writeBuffer,
		ReadBufferSize:         readBuffer,
	}
}

func (c *Client) dialTLS(ctx context.Context, dialer *net.Dialer, to *link, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	config, err := to.certs.client(to.node)
	if err != nil {
		return nil, err
	}
	nc, err := (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if shown, ok := nc.(*tls.Conn); ok {
		to.limit(shown.ConnectionState().VerifiedChains)
	}
	return newConn(nc, &c.pieces), nil
}

func onlyHTTP1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}
