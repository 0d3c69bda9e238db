package peer

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

// receiveTLS is the node there, with TLS.
func receiveTLS(t *testing.T, c *Certificates) *receiver {
	v := NewVerifier(VerifierConfig{Self: there})
	s := httptest.NewUnstartedServer(verified(v, func(w http.ResponseWriter, r *http.Request, got Verified) {
		io.WriteString(w, string(got.From)+" "+r.TLS.PeerCertificates[0].SerialNumber.String())
	}))
	s.TLS = c.Server()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return &receiver{s, v}
}

func tlsClient(t *testing.T, self meta.NodeID, c *Certificates) *Client {
	t.Helper()
	client, err := NewClient(Signer{Self: self}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestNodesOfOneAuthority(t *testing.T) {
	a := newAuthority(t)
	r := receiveTLS(t, load(t, there, a.issue(there, nil)))
	client := tlsClient(t, here, load(t, here, a.issue(here, nil)))
	answer, err := client.Do(bounded(t), r.peer(), Request{Method: "PUT", Path: "/", Body: strings.NewReader("body"), Length: 4})
	if text := done(t, answer, err); !strings.HasPrefix(text, string(here)) {
		t.Errorf("it is taken for %q", text)
	}
	// A node that has a good certificate is still no other node.
	client.signer.Self = another
	_, err = client.Do(bounded(t), r.peer(), Request{Method: "GET", Path: "/"})
	if refused, ok := errors.AsType[*Refused](err); !ok || refused.Status != http.StatusUnauthorized {
		t.Errorf("under another name: %v", err)
	}
	// Nor is the one that listens here.
	_, err = client.Do(bounded(t), Peer{another, r.peer().Address}, Request{Method: "GET", Path: "/"})
	if _, ok := errors.AsType[*Unreached](err); !ok {
		t.Errorf("as another node: %v", err)
	}
}

// TestForeignCertificates: rows A22 and C15 of the defects of the service before.
func TestForeignCertificates(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	good := load(t, here, a.issue(here, nil))
	pool := good.loaded.pool
	// load refuses these for oneself; so they are made by hand.
	raw := func(f Files) *Certificates {
		cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			t.Fatal(err)
		}
		return &Certificates{node: here, files: f, looked: time.Now().Add(time.Hour), loaded: &loaded{cert: &cert, pool: pool}}
	}
	request := Request{Method: "GET", Path: "/"}
	for name, files := range map[string]Files{
		"another CA":     other.issue(here, nil),
		"expired":        a.issue(here, expired),
		"server only":    a.issue(here, func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }),
		"another node's": a.issue(here, func(c *x509.Certificate) { c.DNSNames = []string{string(another)} }),
		"no name":        a.issue(here, func(c *x509.Certificate) { c.DNSNames = nil; c.Subject.CommonName = string(here) }),
	} {
		r := receiveTLS(t, load(t, there, a.issue(there, nil)))
		if answer, err := tlsClient(t, here, raw(files)).Do(bounded(t), r.peer(), request); err == nil {
			answer.Body.Close()
			t.Errorf("a client with a certificate that is wrong (%s) is served", name)
		}
	}
	for name, files := range map[string]Files{
		"another CA":     other.issue(there, nil),
		"expired":        a.issue(there, expired),
		"client only":    a.issue(there, func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] }),
		"another node's": a.issue(there, func(c *x509.Certificate) { c.DNSNames = []string{string(another), "127.0.0.1"} }),
	} {
		r := receiveTLS(t, raw(files))
		_, err := tlsClient(t, here, good).Do(bounded(t), r.peer(), Request{Method: "PUT", Path: "/", Body: untouched{t}, Length: 4})
		if _, ok := errors.AsType[*Unreached](err); !ok {
			t.Errorf("a server with a certificate that is wrong (%s) is asked: %v", name, err)
		}
	}
}

func TestWithoutACertificate(t *testing.T) {
	a := newAuthority(t)
	r := receiveTLS(t, load(t, there, a.issue(there, nil)))
	for name, config := range map[string]*tls.Config{
		"none":    {InsecureSkipVerify: true},
		"TLS 1.2": {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
	} {
		transport := &http.Transport{TLSClientConfig: config}
		resp, err := (&http.Client{Transport: transport}).Get(r.URL)
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
		transport.CloseIdleConnections()
	}
	plain := newClient(t)
	if _, err := plain.Do(bounded(t), r.peer(), Request{Method: "PUT", Path: "/", Body: untouched{t}, Length: 4}); err == nil {
		t.Error("a peer without TLS is served")
	}
	// And who has certificates sends nothing to a port without TLS.
	open := receive(t, func(http.ResponseWriter, *http.Request, Verified) { t.Error("it was served") })
	_, err := tlsClient(t, here, load(t, here, a.issue(here, nil))).Do(bounded(t), open.peer(), Request{Method: "GET", Path: "/"})
	if _, ok := errors.AsType[*Unreached](err); !ok {
		t.Errorf("a port without TLS: %v", err)
	}
}

// TestARenewedCertificate is used from the next request on, also where there is a
// connection; one that is no good is not.
func TestARenewedCertificate(t *testing.T) {
	a := newAuthority(t)
	r := receiveTLS(t, load(t, there, a.issue(there, nil)))
	var said bytes.Buffer
	files := a.renew("here", here, nil)
	certs, err := LoadCertificates(here, files, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	client := tlsClient(t, here, certs)
	ask := func() string {
		certs.lookNow()
		answer, err := client.Do(bounded(t), r.peer(), Request{Method: "GET", Path: "/"})
		return done(t, answer, err)
	}
	first := ask()
	a.renew("here", here, nil)
	second := ask()
	if first == second {
		t.Error("the renewed certificate is not used")
	}
	if err := os.WriteFile(files.Key, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if third := ask(); third != second || !strings.Contains(said.String(), "cannot be used") {
		t.Errorf("with a key that is no good: %q, log %s", third, &said)
	}
	a.renew("here", here, func(c *x509.Certificate) { c.DNSNames = []string{string(another)} })
	if fourth := ask(); fourth != second {
		t.Error("a certificate of another node is used")
	}
	a.renew("here", here, nil)
	if fifth := ask(); fifth == second {
		t.Error("the certificate renewed at last is not used")
	}
}

func TestCertificatesOfOneself(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	gone, foreign, empty := a.issue(here, nil), a.issue(here, nil), a.issue(here, nil)
	gone.Key += ".gone"
	foreign.CA = other.issue(here, nil).CA
	empty.CA = empty.Key
	for want, f := range map[string]Files{
		"no such file": gone, "unknown authority": foreign, "has no certificate": empty,
		"needs the DNS name": a.issue(here, func(c *x509.Certificate) { c.DNSNames = []string{string(another)} }),
		"expired":            a.issue(here, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"clientAuth":         a.issue(here, func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }),
	} {
		if _, err := LoadCertificates(here, f, slog.Default()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := NewClient(Signer{Self: here}, nil); err == nil {
		t.Error("a node that cannot show who it is may send")
	}
	if _, err := NewClient(Signer{Self: here, Key: key(t, "k")}, load(t, here, a.issue(here, nil))); err == nil {
		t.Error("a node with a key and certificates may send")
	}
}
