package daemon

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
)

// identity is by what nodes know each other: a key, or certificates.
func (c ClusterConfig) identity(node meta.NodeID, log *slog.Logger) (peer.Key, *peer.Certificates, error) {
	if c.TLS == (PeerCertConfig{}) {
		key, err := peer.NewKey(c.Key.Reveal())
		return key, nil, err
	}
	certs, err := peer.LoadCertificates(node, peer.Files{Cert: c.TLS.Cert, Key: c.TLS.Key, CA: c.TLS.CA}, log)
	return peer.Key{}, certs, err
}

// sealing is of the listener for peers, nil with a key.
func (p *peering) sealing() *tls.Config {
	if p.certs == nil {
		return nil
	}
	return p.certs.Server()
}

// remind has the log and the metrics tell when the node's certificate ends.
func (p *peering) remind(now time.Time) {
	if p.certs != nil {
		p.certs.Remind(now)
		p.counts.PeerCertificateEnds(p.certs.Ends())
	}
}

// certificateNote says what an operator should know of the node's certificate, "" of
// one that lasts.
func (p *peering) certificateNote(now time.Time) string {
	if p == nil || p.certs == nil {
		return ""
	}
	return p.certs.Note(now)
}
