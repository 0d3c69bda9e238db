package object

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// The patience with a storage. What takes longer than one of these has failed;
// how long a transfer takes as a whole is not limited.
const (
	dialPatience = 10 * time.Second
	// stallPatience is how long a connection may move no byte.
	stallPatience = 60 * time.Second
	// idlePatience is below stallPatience, which would end an idle connection
	// in the moment in which somebody takes it into use.
	idlePatience = 50 * time.Second
	// idleEach is how many idle connections are kept.
	idleEach = 64
)

// NewTransport makes what a backend speaks HTTP with. Nothing of it is shared:
// closing its idle connections ends all there is.
func NewTransport() *http.Transport { return newTransport(stallPatience) }

func newTransport(stall time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: dialPatience, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &stalling{Conn: c, patience: stall}, nil
		},
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   dialPatience,
		ResponseHeaderTimeout: stall,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       idlePatience,
		MaxIdleConns:          idleEach,
		MaxIdleConnsPerHost:   idleEach,
		// A storage would compress on its way what it keeps as it is, and then
		// tell neither its length nor its ETag.
		DisableCompression: true,
		WriteBufferSize:    64 << 10,
		ReadBufferSize:     64 << 10,
	}
}

// stalling is a connection that ends with an error when no byte has moved for
// too long. A byte in either direction counts for both: while a long body is
// sent, the answer to it is waited for already.
type stalling struct {
	net.Conn
	patience time.Duration
}

func (c *stalling) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// writeStep is how much is written under one deadline: a slow line moves it in
// time, where it would not a whole buffer.
const writeStep = 16 << 10

func (c *stalling) Write(p []byte) (written int, err error) {
	for {
		if err := c.SetDeadline(time.Now().Add(c.patience)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[:min(len(p), writeStep)])
		written += n
		p = p[n:]
		if err != nil || len(p) == 0 {
			return written, err
		}
	}
}
