package api

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// authority is a CA of a cluster.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue makes a certificate and writes it beside its key.
func (a *authority) issue(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// node gives the certificates of a node.
func (a *authority) node(id meta.NodeID) *peer.Certificates {
	a.t.Helper()
	a.issue(string(id), &x509.Certificate{DNSNames: []string{string(id)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	at := func(file string) string { return filepath.Join(a.dir, file) }
	c, err := peer.LoadCertificates(id, peer.Files{Cert: at(string(id) + ".crt"), Key: at(string(id) + ".key"), CA: at("ca.crt")}, slog.New(slog.DiscardHandler))
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// TestPeersOverTLS: bodies go both ways, early answers come through, and who shows
// no certificate of the cluster is not spoken to.
func TestPeersOverTLS(t *testing.T) {
	ca := newAuthority(t)
	certs := ca.node(senderNode)
	client, err := peer.NewClient(peer.Signer{Self: senderNode}, certs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	sends := &way{Client: client, Verifier: peer.NewVerifier(peer.VerifierConfig{Self: senderNode})}
	content := noise(5 << 20)
	var k counting
	var l labels
	owner := start(t, Config{Metrics: &l, Peers: &way{Verifier: peer.NewVerifier(peer.VerifierConfig{Self: ownerNode})}}, map[protocol.RouteName]endpoint{
		protocol.RoutePutPart: {serve: k.serve}, protocol.RouteGetContent: fixed(content, `"tag"`),
		protocol.RoutePutFile: {serve: func(*call) error { return protocol.Errorf(protocol.KindStoreFull, "full") }},
	})
	away := endpoint{serve: func(*call) error { return &holder.Elsewhere{Node: ownerNode} }}
	sender := start(t, Config{Peers: sends}, map[protocol.RouteName]endpoint{protocol.RoutePutPart: away, protocol.RouteGetContent: away, protocol.RoutePutFile: away})
	address := owner.servePeersOver(t, ca.node(ownerNode).Server())
	sends.set(peer.Peer{Node: ownerNode, Address: address})

	body := string(noise(1 << 20))
	if a := sender.do(http.MethodPut, "/v1/uploads/1/parts/1", body); a.StatusCode != http.StatusOK || k.seen()[0] != "/v1/uploads/1/parts/1 "+body {
		t.Errorf("a part is answered %s %s", a.Status, a.body)
	}
	if a := sender.do(http.MethodGet, "/v1/files/1/content", ""); a.err != nil || !bytes.Equal(a.body, content) {
		t.Errorf("the content comes as %s, %d bytes, %v", a.Status, len(a.body), a.err)
	}
	sender.do(http.MethodPost, "/v1/files?name=a", body).problem(t, protocol.KindStoreFull)

	strangersOverTLS(t, address, newAuthority(t))
	until(t, "that three were refused", func() bool { return l.count("not a peer: tls") >= 3 }) // one hangs up before the node is told
	if err := owner.Close(); err != nil {
		t.Error(err)
	}
	if n := l.seen["not a peer: tls"]; n != 3 {
		t.Errorf("%d connections are counted that were refused, of 3", n)
	}
	log := owner.log.String()
	if n := strings.Count(log, "not a peer"); n != 1 || !strings.Contains(log, "remote=127.0.0.1:") || !strings.Contains(log, "peer refused: tls: ") {
		t.Errorf("the log tells %d times of them: %s", n, log)
	}
}

// strangersOverTLS come to a node of another authority: without a certificate, with one
// of theirs, and asking for one of theirs; and one goes away without a word. None is
// spoken to.
func strangersOverTLS(t *testing.T, address string, other *authority) {
	t.Helper()
	look, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := look.Close(); err != nil {
		t.Error(err)
	}
	for name, certs := range map[string]*peer.Certificates{"none": nil, "of another authority": other.node(senderNode), "that it does not believe": nil} {
		// Where the node is the one to refuse, it does not matter what is believed of it.
		config := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: name != "that it does not believe"}
		if certs != nil {
			pair, err := tls.LoadX509KeyPair(filepath.Join(other.dir, string(senderNode)+".crt"), filepath.Join(other.dir, string(senderNode)+".key"))
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		c, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			// The server's refusal comes with the first read.
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		if err == nil {
			t.Errorf("who shows a certificate of %s is spoken to", name)
		}
	}
}
