// Package client speaks version 1 of ospd's API: one method per route, on
// net/http. It neither retries nor remembers anything; package transfer does.
// Requests are part of the trace that their context has (protocol.WithTrace).
//
// Every error is a *protocol.Error, but for one that came of the caller's
// context: that one wraps ctx.Err() and the context's cause.
package client

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// DefaultServer is where a daemon listens that was started without options.
const DefaultServer = "http://127.0.0.1:8888"

// Config says which daemon a Client speaks to, and how.
type Config struct {
	// Server is an http or https URL; a path in it is put before every route.
	// "" means DefaultServer.
	Server string
	// UserAgent is sent with every request; "" means "osp".
	UserAgent string
	// Token gives the token that each request carries, "" for none; nil means
	// none ever. It is called for every request, so that a token can change,
	// and by several goroutines at once. An error of it is the request's, which
	// is not sent.
	Token func(ctx context.Context) (string, error)
	// Transport carries the requests; nil means NewTransport().
	Transport http.RoundTripper
	// UpRate and DownRate are the most bytes of bodies a second that are sent
	// and received, over all requests; 0 does not limit.
	UpRate, DownRate int64
}

// Client is safe for concurrent use.
type Client struct {
	base  *url.URL
	agent string
	token func(ctx context.Context) (string, error)
	http  http.Client
}

// New makes a Client. It does not connect. A Server that is no http or https
// URL, or that carries a user, a query or a fragment, is KindUsage.
func New(cfg Config) (*Client, error) {
	if cfg.Server == "" {
		cfg.Server = DefaultServer
	}
	base, err := url.Parse(cfg.Server)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") ||
		base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, &protocol.Error{Kind: protocol.KindUsage, Message: "the server is not given as an http or https URL",
			Hint: "Write it like " + DefaultServer + ", without a user, a query or a fragment."}
	}
	base.Path = strings.TrimRight(base.Path, "/")
	base.RawPath = ""
	if cfg.UserAgent == "" {
		cfg.UserAgent = "osp"
	}
	if cfg.Token == nil {
		cfg.Token = func(context.Context) (string, error) { return "", nil }
	}
	if cfg.Transport == nil {
		cfg.Transport = NewTransport()
	}
	if cfg.UpRate > 0 || cfg.DownRate > 0 {
		cfg.Transport = &limited{next: cfg.Transport, up: newPace(cfg.UpRate), down: newPace(cfg.DownRate)}
	}
	return &Client{base: base, agent: cfg.UserAgent, token: cfg.Token, http: http.Client{
		Transport: cfg.Transport,
		// A redirect is no answer of a daemon: following one could send a
		// body, or a token, to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// NewTransport is the transport made for large transfers: HTTP/1.1 with many
// kept connections (each part has one of its own, which sendfile needs), large
// write buffers, and the environment's proxy.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  2 * time.Minute,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        256 << 10,
		ReadBufferSize:         64 << 10,
		DisableCompression:     true,
		Protocols:              &http1,
	}
}

// Server is the URL requests go to, without a slash at the end.
func (c *Client) Server() string { return c.base.String() }

// Close gives back the connections that are kept for later requests.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Capabilities is GET /v1/capabilities.
func (c *Client) Capabilities(ctx context.Context) (protocol.Capabilities, error) {
	var caps protocol.Capabilities
	_, err := c.call(ctx, request{op: "ask for capabilities", method: http.MethodGet, path: "/v1/capabilities"}, &caps)
	return caps, err
}
