package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// peers are the collectors of what is between this node and the others of its
// cluster. Pings count for none of them but refusals.
type peers struct {
	handed   *prometheus.CounterVec
	served   *prometheus.CounterVec
	refused  *prometheus.CounterVec
	nodes    *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
	// certs has one value, and none where nodes know each other by a key.
	certs *prometheus.GaugeVec
}

func newPeers(reg prometheus.Registerer) peers {
	p := peers{
		handed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_peer_requests_handed_total",
			Help: "Requests handed to another node, by what came of it: answered (also with an error), owner_down (nothing was done), broken (it is not known whether), refused, body (the client's ended early) or cut (the answer's did)."}, []string{"outcome"}),
		served: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_peer_requests_served_total",
			Help: "Requests that another node handed on, by what came of it: ok, refused (4xx), failed (5xx) or cut."}, []string{"outcome"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_peer_refusals_total",
			Help: "Requests to the listener for peers that were not taken for a peer's, by why: tls (no connection came about), fields, receiver, sender, signature, certificate, time, replayed, forgotten, full or lease."}, []string{"reason"}),
		nodes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_peer_changes_total",
			Help: "What was seen of other nodes: new, down (it does not answer), back, or over (its lease has ended)."}, []string{"change"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_peer_bytes_total",
			Help: "Bytes of bodies, sent to other nodes and received from them."}, []string{"direction"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ospd_peer_requests_in_flight",
			Help: "Requests between nodes now: handed to others, and served for them."}, []string{"side"}),
		certs: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ospd_peer_certificate_not_after_seconds",
			Help: "When this node's certificate, or what vouches for it, ends, in seconds since 1970: no node takes its requests after that."}, nil),
	}
	reg.MustRegister(p.handed, p.served, p.refused, p.nodes, p.bytes, p.inFlight, p.certs)
	return p
}

// PeerHanded counts a request that was handed to another node, by its outcome.
func (m *Metrics) PeerHanded(outcome string) { m.peers.handed.WithLabelValues(outcome).Inc() }

// PeerServed counts a request that another node handed on, by its outcome.
func (m *Metrics) PeerServed(outcome string) { m.peers.served.WithLabelValues(outcome).Inc() }

// PeerRefused counts a request that was not taken for a peer's.
func (m *Metrics) PeerRefused(reason string) { m.peers.refused.WithLabelValues(reason).Inc() }

// PeerChanged counts what became of another node: "new", "down", "back" or "over".
// It fits cluster.Config.Changed.
func (m *Metrics) PeerChanged(change string) { m.peers.nodes.WithLabelValues(change).Inc() }

// PeerBytes counts bytes of bodies between nodes.
func (m *Metrics) PeerBytes(sent, received int64) {
	m.peers.bytes.WithLabelValues("sent").Add(float64(sent))
	m.peers.bytes.WithLabelValues("received").Add(float64(received))
}

// PeerInFlight adds delta to the requests that are "handed" or "served" now.
func (m *Metrics) PeerInFlight(side string, delta int) {
	m.peers.inFlight.WithLabelValues(side).Add(float64(delta))
}

// PeerCertificateEnds says when this node's certificate ends.
func (m *Metrics) PeerCertificateEnds(at time.Time) {
	m.peers.certs.WithLabelValues().Set(float64(at.Unix()))
}
