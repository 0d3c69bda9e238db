package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

// lookEvery is how often files of certificates are looked at, at most.
const lookEvery = time.Second

// Files are where a node's certificate, its key and the certificates of the
// cluster's CA lie, in PEM.
type Files struct{ Cert, Key, CA string }

// Certificates show peers who this node is, and tell who they are. Files that
// were renewed are used from the next connection on; ones that cannot be used
// leave those before in force, and the log says so.
type Certificates struct {
	node  meta.NodeID
	files Files
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	stamps [3]stamp
	loaded *loaded
	// reminder is of the certificate in force.
	reminder reminder
}

// loaded is what was read of the files.
type loaded struct {
	cert *tls.Certificate
	pool *x509.CertPool
	ends ending
	// seen are certificates of others that pool vouches for.
	seen vouched
}

// stamp is how a file is seen to have changed.
type stamp struct {
	size int64
	time time.Time
}

// LoadCertificates reads the files, whose certificate has to be the node's: its
// DNS name is the id.
func LoadCertificates(node meta.NodeID, f Files, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{node: node, files: f, log: log, looked: time.Now()}
	var err error
	if c.stamps, err = f.stamps(); err != nil {
		return nil, err
	}
	if c.loaded, err = f.load(node); err != nil {
		return nil, err
	}
	return c, nil
}

func (f Files) stamps() (all [3]stamp, err error) {
	for i, name := range []string{f.Cert, f.Key, f.CA} {
		info, err := os.Stat(name)
		if err != nil {
			return all, fmt.Errorf("look at a certificate of the cluster: %w", err)
		}
		all[i] = stamp{info.Size(), info.ModTime()}
	}
	return all, nil
}

func (f Files) load(node meta.NodeID) (*loaded, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("load the certificate of the cluster from %s and %s: %w", f.Cert, f.Key, err)
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("read the CA of the cluster: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", f.CA)
	}
	if !slices.Contains(cert.Leaf.DNSNames, string(node)) {
		return nil, fmt.Errorf("the certificate %s is not this node's: it needs the DNS name %s and has %q; ospd peer-cert makes one", f.Cert, node, cert.Leaf.DNSNames)
	}
	opts := x509.VerifyOptions{Roots: pool, Intermediates: x509.NewCertPool()}
	for _, der := range cert.Certificate[1:] {
		if between, err := x509.ParseCertificate(der); err == nil {
			opts.Intermediates.AddCert(between)
		}
	}
	var chains [][]*x509.Certificate
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		opts.KeyUsages = []x509.ExtKeyUsage{use}
		if chains, err = cert.Leaf.Verify(opts); err != nil {
			return nil, fmt.Errorf("the certificate %s is not one that peers take (it serves on both sides, so it needs serverAuth and clientAuth; ospd peer-cert makes one): %w", f.Cert, err)
		}
	}
	return &loaded{cert: &cert, pool: pool, ends: endingOf(chains)}, nil
}

// now gives what is in force, which is what lies on the disk where that is good.
func (c *Certificates) now() *loaded {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < lookEvery {
		return c.loaded
	}
	c.looked = time.Now()
	stamps, err := c.files.stamps()
	if err == nil && stamps == c.stamps {
		return c.loaded
	}
	var next *loaded
	if err == nil {
		next, err = c.files.load(c.node)
	}
	if err != nil {
		c.log.Error("certificates of the cluster changed and cannot be used; those before stay in force", "error", err)
		return c.loaded
	}
	c.stamps, c.loaded = stamps, next
	c.log.Info("certificates of the cluster were renewed", "not_after", next.ends.until)
	return c.loaded
}

// Server is the configuration of the listener for peers.
func (c *Certificates) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := c.now()
			return &tls.Config{
				MinVersion:   tls.VersionTLS13,
				Certificates: []tls.Certificate{*now.cert},
				ClientAuth:   tls.RequireAndVerifyClientCert,
				ClientCAs:    now.pool,
				NextProtos:   []string{"http/1.1"},
				// One that goes on where another left off shows no certificate.
				SessionTicketsDisabled: true,
			}, nil
		},
	}
}

// client is the configuration of a connection to a node.
func (l *loaded) client(node meta.NodeID) (*tls.Config, error) {
	if node == "" {
		return nil, errors.New("a node without an id has no certificate")
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{*l.cert},
		RootCAs:      l.pool,
		ServerName:   string(node),
		NextProtos:   []string{"http/1.1"},
		// No other name stands for a node's, as a wildcard would.
		VerifyConnection: func(state tls.ConnectionState) error {
			if !slices.Contains(state.PeerCertificates[0].DNSNames, string(node)) {
				return fmt.Errorf("the certificate is not one of the node %s", node)
			}
			return nil
		},
	}, nil
}

// names are the DNS names of the certificate that the other end of a verified
// channel showed.
func names(state *tls.ConnectionState) []string {
	if state == nil || len(state.VerifiedChains) == 0 {
		return nil
	}
	return state.PeerCertificates[0].DNSNames
}
