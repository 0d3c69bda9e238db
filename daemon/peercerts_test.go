package daemon

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster"
	"github.com/osproxy/osproxy/daemon/sweep"
)

// certificate writes one of a node, which vouches for itself, with its key.
func certificate(t *testing.T, node string, from, until time.Time) PeerCertConfig {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{node}, NotBefore: from, NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "peer.pem")
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(path, both, 0o600); err != nil {
		t.Fatal(err)
	}
	return PeerCertConfig{Cert: path, Key: path, CA: path}
}

// TestANodeTellsWhenItsCertificateEnds, before and after: in its log, in /readyz and
// in its metrics. One that has a key tells of nothing.
func TestANodeTellsWhenItsCertificateEnds(t *testing.T) {
	now := time.Now()
	end := now.Add(20 * 24 * time.Hour).Truncate(time.Second)
	var said bytes.Buffer
	certs := ClusterConfig{TLS: certificate(t, string(otherNode), now.AddDate(-1, 0, 0), end)}
	counts := &counted{seen: map[string]int{}}
	p := &peering{cluster: cluster.New(cluster.Config{Self: otherNode, Report: func() cluster.Report { return cluster.Report{} }}), counts: counts}
	d := &Daemon{peers: p, sweep: sweep.New(sweep.Config{})}
	p.remind(now)
	if notes := d.notes(); len(notes) > 0 || len(counts.seen) > 0 {
		t.Errorf("with a key: %q, %v", notes, counts.seen)
	}
	var err error
	if _, p.certs, err = certs.identity(otherNode, slog.New(slog.NewTextHandler(&said, nil))); err != nil {
		t.Fatal(err)
	}
	p.remind(now)
	p.remind(end.Add(time.Second))
	for _, want := range []string{"level=WARN", "ends at " + end.UTC().Format(time.RFC3339), "level=ERROR", "ended at"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the log does not say %q: %s", want, &said)
		}
	}
	if notes := d.notes(); len(notes) != 1 || !strings.Contains(notes[0], "ends at") {
		t.Errorf("notes %q", notes)
	}
	if counts.seen["a certificate that ends at "+end.UTC().String()] != 2 {
		t.Errorf("counted %v", counts.seen)
	}
}
