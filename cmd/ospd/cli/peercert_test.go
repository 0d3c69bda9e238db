package cli

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// peerFiles reads what peer-cert wrote, as a node does.
func peerFiles(t *testing.T, folder string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(folder, "peer.crt"), filepath.Join(folder, "peer.key"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		t.Fatalf("ca.crt has no certificate: %s", authority)
	}
	return cert, pool
}

// TestPeerCert: nodes that get their certificates at once, each its own id before
// its first start, believe each other, on both sides of a connection.
func TestPeerCert(t *testing.T) {
	const nodes = 3
	ca, all := filepath.Join(t.TempDir(), "ca"), t.TempDir()
	data := func(i int) string { return filepath.Join(all, string(rune('a'+i))) }
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() {
			if code, _, stderr := ospd(t, "peer-cert", "--ca", ca, "--data", data(i)); code != exitDone {
				t.Errorf("exit %d: %s", code, stderr)
			}
		})
	}
	wg.Wait()
	left, err := os.ReadDir(ca)
	if err != nil || len(left) != 1 {
		t.Errorf("the authority's folder has %v, %v", left, err)
	}
	ids := map[string]bool{}
	for i := range nodes {
		text, err := os.ReadFile(filepath.Join(data(i), "node"))
		if err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSpace(string(text))
		ids[id] = true
		cert, _ := peerFiles(t, filepath.Join(data(i), "peer"))
		_, pool := peerFiles(t, filepath.Join(data((i+1)%nodes), "peer"))
		for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: id, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
				t.Errorf("node %s is not believed by its peer: %v", id, err)
			}
		}
	}
	if len(ids) != nodes {
		t.Errorf("ids are %v", ids)
	}
	for path, mode := range map[string]os.FileMode{filepath.Join(ca, "ca.pem"): 0o600, filepath.Join(data(0), "peer", "peer.key"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}

// TestPeerCertOfAnotherAuthority: who changes the authority has nodes believe both
// for a while; a certificate of the new one takes the old one from nobody.
func TestPeerCertOfAnotherAuthority(t *testing.T) {
	data := t.TempDir()
	signed := func(ca string) (tls.Certificate, *x509.CertPool, string) {
		t.Helper()
		code, _, stderr := ospd(t, "peer-cert", "--ca", ca, "--data", data)
		if code != exitDone {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		cert, pool := peerFiles(t, filepath.Join(data, "peer"))
		return cert, pool, stderr
	}
	first, second := t.TempDir(), t.TempDir()
	before, _, told := signed(first)
	if !strings.Contains(told, "a new authority was made in "+first) {
		t.Errorf("it says %q", told)
	}
	if _, _, told := signed(first); told != "" {
		t.Errorf("of an authority that was there it says %q", told)
	}
	after, pool, _ := signed(second)
	for name, cert := range map[string]tls.Certificate{"old": before, "new": after} {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
			t.Errorf("the %s authority is not believed: %v", name, err)
		}
	}
}

// TestPeerCertElsewhere: of a node whose id is said, and again for one that has
// one: another certificate of the same authority.
func TestPeerCertElsewhere(t *testing.T) {
	ca, out := t.TempDir(), filepath.Join(t.TempDir(), "node1")
	id := strings.Repeat("0f", 16)
	args := []string{"peer-cert", "--ca", ca, "--node", id, "--out", out, "--days", "30"}
	code, stdout, stderr := ospd(t, args...)
	if code != exitDone || !strings.HasPrefix(stdout, "node "+id+": certificate until ") {
		t.Fatalf("exit %d: %q %s", code, stdout, stderr)
	}
	first, pool := peerFiles(t, out)
	if code, _, stderr := ospd(t, args...); code != exitDone {
		t.Fatalf("again: exit %d: %s", code, stderr)
	}
	second, _ := peerFiles(t, out)
	if first.Leaf.SerialNumber.Cmp(second.Leaf.SerialNumber) == 0 {
		t.Error("it is the same certificate")
	}
	if _, err := second.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: id}); err != nil {
		t.Errorf("the renewed one is not believed: %v", err)
	}
	if _, err := second.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: strings.Repeat("f0", 16)}); err == nil {
		t.Error("it passes for another node")
	}
}

func TestPeerCertRefused(t *testing.T) {
	for name, args := range map[string][]string{
		"no authority":     {"--data", t.TempDir()},
		"a node, no place": {"--ca", t.TempDir(), "--node", strings.Repeat("0f", 16)},
		"not a node":       {"--ca", t.TempDir(), "--node", "node1", "--out", t.TempDir()},
		"no time":          {"--ca", t.TempDir(), "--data", t.TempDir(), "--days", "0"},
	} {
		if code, _, stderr := ospd(t, append([]string{"peer-cert"}, args...)...); code != exitConfig || !strings.HasPrefix(stderr, "ospd: peer-cert: ") {
			t.Errorf("%s: exit %d, %q", name, code, stderr)
		}
	}
	ca := t.TempDir()
	if err := os.WriteFile(filepath.Join(ca, "ca.pem"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := ospd(t, "peer-cert", "--ca", ca, "--data", t.TempDir()); code != exitOther || !strings.Contains(stderr, "ca.pem") {
		t.Errorf("a damaged authority: exit %d, %q", code, stderr)
	}
}
