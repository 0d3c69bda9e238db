// Package api is the HTTP of ospd, and the only place that knows fasthttp.
//
// A request's way: the connection is accepted in conn.go, its request goes
// through the wrapper Server.serve (serve.go: request id, guards,
// drain-or-close; account.go: log line, metrics), is routed (route.go; for which pages, cors.go), let in or not by the one table of
// access.go, and reaches a handler (uploads.go, files.go, content.go,
// tokens.go, links.go, jobs.go, webhooks.go, system.go). A handler decodes, calls a service and
// encodes; what it returns as an error is written by call.fail (problem.go).
// Requests for version 0, the predecessor's API, go the same way with a table, a
// form of answers and guards of their own (v0_*.go).
// A handler hands down a context, a reader that never ends early without an
// error (body.go) and typed values, never anything of fasthttp. Bodies of
// files leave through stream.go.
package api

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/stores"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/daemon/webhook"
	"github.com/osproxy/osproxy/protocol"
)

// Metrics counts what is served; package daemon/metrics has the one for
// Prometheus. Methods are safe for concurrent use. Labels are bounded: a route
// is a protocol.RouteName or "none".
type Metrics interface {
	// InFlight adds delta to the number of requests being served.
	InFlight(delta int)
	// Request is one answered request: until its last byte was written.
	Request(method, route string, status int, took time.Duration)
	// Failed is one request answered with an error, or cut while answering.
	Failed(kind protocol.Kind)
	// AuthFailed is one request that was not let in: "missing" (it had no
	// token), "refused" (its token is not valid) or "scope".
	AuthFailed(reason string)
	// Received and Sent count bytes of bodies.
	Received(n int64)
	Sent(n int64)
	PeerMetrics
}

// Limits bound what one request may take. Zero means the default named.
type Limits struct {
	// Connections served at once, 8,192 by default; one more is refused.
	Connections int
	// HeaderTimeout is how long the header of a request may take, 15 s.
	HeaderTimeout time.Duration
	// KeepAlive is how long a connection may wait for its next request, 75 s.
	KeepAlive time.Duration
	// Stall is how long a body may stand still, in either direction, 30 s.
	Stall time.Duration
	// MinRate is the slowest a request's body may be, in bytes a second, once
	// it took longer than Stall: 1 KiB/s.
	MinRate int64
	// OneShots is how many bodies of POST /v1/files are held in memory at
	// once, 64, of which one owner has three quarters at most; others wait, for
	// OneShotWait at most, 10 s.
	OneShots    int
	OneShotWait time.Duration
	// Forms is how many forms of v0 are held in memory at once, 32, and 4 of one
	// uid. Each has FormTime to come whole, a minute. Others wait for FormWait at
	// most, 5 s, and are read as they come then.
	Forms    int
	FormTime time.Duration
	FormWait time.Duration
}

func (l Limits) orDefaults() Limits {
	set(&l.Connections, 8192)
	set(&l.HeaderTimeout, 15*time.Second)
	set(&l.KeepAlive, 75*time.Second)
	set(&l.Stall, 30*time.Second)
	set(&l.MinRate, 1<<10)
	set(&l.OneShots, 64)
	set(&l.OneShotWait, 10*time.Second)
	set(&l.Forms, 32)
	set(&l.FormTime, time.Minute)
	set(&l.FormWait, 5*time.Second)
	return l
}

// ofPeers are the limits of what a peer hands on. The node that it came to holds its
// client to them, and hands on at once what comes.
func (l Limits) ofPeers() Limits {
	l.Stall *= 2
	l.MinRate /= 2
	return l
}

// takingOfPeers is how long a peer may take nothing of an answer. What moves that way
// moves in steps of the buffers between, so that one whose client is slow but good
// stands still for long; one that is gone is known by the vigil.
func (l Limits) takingOfPeers() time.Duration { return 20 * l.Stall }

func set[T int | int64 | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// Config is what a Server is made of.
type Config struct {
	Uploads  *upload.Service
	Files    *file.Service
	Jobs     *job.Service
	Webhooks *webhook.Service
	Stores   *stores.Service
	Nodes    Nodes
	// Manifests tell what imports did.
	Manifests *intake.Manifests
	// Logger gets one line per request and the causes of internal errors;
	// slog.Default() when nil.
	Logger *slog.Logger
	Limits Limits
	// Capabilities is what /v1/capabilities answers. Its OneShotMax is
	// enforced, protocol.OneShotMax when 0.
	Capabilities protocol.Capabilities
	// Ready says why the daemon cannot serve: nothing when it can. It may be
	// nil.
	Ready func(ctx context.Context) []string
	// Notes says what an operator should know although the daemon serves: it
	// shows in /readyz and changes no status. It may be nil.
	Notes func() []string
	// Metrics may be nil.
	Metrics Metrics
	// Tokens says who calls. It is required.
	Tokens *token.Service
	// Links signs and opens links, whose addresses begin with PublicURL.
	Links     *link.Service
	PublicURL string
	// Hosts are the names in the Host header that a daemon answers to while it
	// is open (has no tokens), whatever the port: see LoopbackHosts. Nil asks
	// nothing of Host and Origin: the operator vouched for the network.
	Hosts []string
	// Origins are those whose pages may use the API, each of which CheckOrigin
	// lets pass.
	Origins []string
	// V0 is who may use version 0 of the API without a token.
	V0 V0Access
	// Peers are the other nodes of the cluster, nil for a node that is alone.
	Peers Peers
}

// Server serves version 1 of the API. It is safe for concurrent use.
type Server struct {
	cfg    Config
	limits Limits
	log    *slog.Logger
	met    Metrics
	router router
	v0     router
	// peerRouter and peerV0 are of what peers hand on.
	peerRouter, peerV0 router
	hosts              map[string]bool
	// origins are those whose pages browsers are told to let in.
	origins origins
	// document is the answer of /openapi.json, made when it is first asked for.
	document func() []byte
	// base ends when the server closes, and every request's context with it.
	base context.Context
	stop context.CancelFunc
	// front is where clients come in, side where the other nodes of a cluster do.
	front, side *door
	// strangers are those who come in by the side and are no peers.
	strangers *strangers
	// active are the requests being served.
	active requests
	// oneShots and forms are the memory for bodies that are held.
	oneShots, forms *slots
	// handed are buffers of answers that come from peers.
	handed sync.Pool
}

// New makes a Server. It starts nothing; Serve does.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Metrics == nil {
		cfg.Metrics = noMetrics{}
	}
	if cfg.Ready == nil {
		cfg.Ready = func(context.Context) []string { return nil }
	}
	if cfg.Notes == nil {
		cfg.Notes = func() []string { return nil }
	}
	if cfg.Capabilities.OneShotMax <= 0 {
		cfg.Capabilities.OneShotMax = protocol.OneShotMax
	}
	s := &Server{cfg: cfg, limits: cfg.Limits.orDefaults(), log: cfg.Logger, met: cfg.Metrics, hosts: hostSet(cfg.Hosts), origins: newOrigins(cfg.Origins)}
	s.strangers = newStrangers(s.log)
	s.base, s.stop = context.WithCancel(context.Background())
	s.setRouters(newRouter(s.endpoints()), newV0Router())
	s.document = sync.OnceValue(func() []byte { return Document(cmp.Or(cfg.Capabilities.Version, "unknown")) })
	s.handed.New = func() any { return new([handedBuffer]byte) }
	s.oneShots = newSlots(s.limits.OneShots, s.limits.OneShots*3/4)
	s.forms = newSlots(s.limits.Forms, v0HeldOfOne)
	s.front, s.side = newFront(s), newSide(s)
	return s
}

func (s *Server) setRouters(v1, v0 router) {
	s.router, s.v0 = v1, v0
	s.peerRouter, s.peerV0 = peerRouters(v1, v0)
}

// LoopbackHosts are the names under which a browser or a tool on this machine
// reaches a listener on addr. Anything else that arrives there was sent by a
// page of another site (DNS rebinding).
func LoopbackHosts(addr net.Addr) []string {
	hosts := []string{"localhost", "127.0.0.1", "[::1]"}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		hosts = append(hosts, hostText(tcp.IP))
	}
	return hosts
}

func hostText(ip net.IP) string {
	if ip.To4() != nil {
		return ip.String()
	}
	return "[" + ip.String() + "]"
}

type noMetrics struct{}

func (noMetrics) InFlight(int)                               {}
func (noMetrics) Request(string, string, int, time.Duration) {}
func (noMetrics) Failed(protocol.Kind)                       {}
func (noMetrics) AuthFailed(string)                          {}
func (noMetrics) Received(int64)                             {}
func (noMetrics) Sent(int64)                                 {}
func (noMetrics) PeerServed(string)                          {}
func (noMetrics) PeerRefused(string)                         {}
func (noMetrics) PeerBytes(int64, int64)                     {}
func (noMetrics) PeerInFlight(string, int)                   {}
