package peer

import (
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lookNow has the files looked at.
func (c *Certificates) lookNow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = time.Time{}
}

// replace writes a certificate and its key over those of a node, and these
// authorities.
func replace(t *testing.T, to, by Files, authorities ...*authority) {
	t.Helper()
	var ca []byte
	for _, a := range authorities {
		ca = append(ca, read(t, filepath.Join(a.dir, "ca.pem"))...)
	}
	for name, text := range map[string][]byte{to.Cert: read(t, by.Cert), to.Key: read(t, by.Key), to.CA: ca} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// filesIn are those of a node that has a folder of its own.
func filesIn(dir string) Files {
	return Files{Cert: filepath.Join(dir, "peer.crt"), Key: filepath.Join(dir, "peer.key"), CA: filepath.Join(dir, "ca.crt")}
}

// judging is a node with TLS whose clock is the test's.
func judging(t *testing.T, c *Certificates) (*receiver, *clock) {
	at := &clock{time.Now()}
	v := NewVerifier(VerifierConfig{Self: there, Certificates: c, Now: at.now})
	s := httptest.NewUnstartedServer(verified(v, func(w http.ResponseWriter, r *http.Request, _ Verified) { _, _ = io.WriteString(w, r.RemoteAddr) }))
	s.TLS = c.Server()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return &receiver{s, v}, at
}

func get(t *testing.T, c *Client, to Peer) (string, error) {
	t.Helper()
	answer, err := c.Do(bounded(t), to, Request{Method: "GET", Path: "/"})
	if err != nil {
		return "", err
	}
	return done(t, answer, err), nil
}

// TestACertificateIsJudgedWithEachRequest: one that was good when the connection
// began is refused on it once it has expired, and once its authority was taken
// out.
func TestACertificateIsJudgedWithEachRequest(t *testing.T) {
	for _, name := range []string{"expired", "its authority expired", "another authority"} {
		before, after := newAuthority(t), newAuthority(t)
		short := func(c *x509.Certificate) {
			if name == "expired" {
				c.NotAfter = time.Now().Add(30 * time.Minute)
			} else {
				c.NotAfter = time.Now().Add(30 * time.Hour)
			}
		}
		files := filesIn(t.TempDir())
		replace(t, files, before.issue(there, nil), before, after)
		certs := load(t, there, files)
		r, at := judging(t, certs)
		client := tlsClient(t, here, load(t, here, before.issue(here, short)))
		first, err := get(t, client, r.peer())
		if err != nil {
			t.Fatal(err)
		}
		if second, err := get(t, client, r.peer()); err != nil || second != first {
			t.Fatalf("the second request comes from %s, %v", second, err)
		}
		switch name {
		case "expired":
			at.at = at.at.Add(31 * time.Minute)
		case "its authority expired":
			at.at = at.at.Add(2 * time.Hour)
		default:
			replace(t, files, after.issue(there, nil), after)
			certs.lookNow()
		}
		_, err = get(t, client, r.peer())
		refused, ok := errors.AsType[*Refused](err)
		if !ok || refused.Status != http.StatusUnauthorized || !strings.Contains(refused.Detail, "is not any more") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAPeerIsJudgedWithEachRequest: what it showed is not believed any longer than
// its authority.
func TestAPeerIsJudgedWithEachRequest(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	both := filesIn(t.TempDir())
	replace(t, both, before.issue(there, nil), before, after)
	r := receiveTLS(t, load(t, there, both))
	files := filesIn(t.TempDir())
	replace(t, files, before.issue(here, nil), before, after)
	certs := load(t, here, files)
	client := tlsClient(t, here, certs)
	if _, err := get(t, client, r.peer()); err != nil {
		t.Fatal(err)
	}
	replace(t, files, after.issue(here, nil), after)
	certs.lookNow()
	_, err := get(t, client, r.peer())
	if _, ok := errors.AsType[*Unreached](err); !ok {
		t.Errorf("the peer's authority is none any more, and it is asked: %v", err)
	}
}

// TestALinkEndsWithTheCertificate that the peer showed.
func TestALinkEndsWithTheCertificate(t *testing.T) {
	a := newAuthority(t)
	r := receiveTLS(t, load(t, there, a.issue(there, nil)))
	client := tlsClient(t, here, load(t, here, a.issue(here, nil)))
	if _, err := get(t, client, r.peer()); err != nil {
		t.Fatal(err)
	}
	l := client.link(r.peer())
	if client.link(r.peer()) != l {
		t.Error("a link that is good is not used again")
	}
	if !l.good(l.address, l.certs, a.cert.NotAfter.Add(-2*time.Minute)) || l.good(l.address, l.certs, a.cert.NotAfter) {
		t.Errorf("it ends at %s, not with the certificate", l.until)
	}
}

func TestACertificateIsRemembered(t *testing.T) {
	a := newAuthority(t)
	certs := load(t, there, a.issue(there, nil))
	certs.looked = time.Now().Add(time.Hour)
	var shown []*x509.Certificate
	for range 3 {
		c := load(t, here, a.issue(here, nil)).loaded.cert.Leaf
		shown = append(shown, c)
	}
	for range 2 {
		for _, c := range shown {
			if err := certs.check([]*x509.Certificate{c}, time.Now()); err != nil {
				t.Error(err)
			}
			if err := certs.check([]*x509.Certificate{c}, c.NotBefore.Add(-time.Minute)); err == nil {
				t.Error("one that is not good yet is taken")
			}
		}
	}
	if n := len(certs.loaded.seen.all); n != 3 {
		t.Errorf("%d are remembered", n)
	}
}

// TestNoNameStandsForANode but its own: a wildcard would stand for each.
func TestNoNameStandsForANode(t *testing.T) {
	a := newAuthority(t)
	certs := load(t, here, a.issue(here, nil))
	star := load(t, there, a.issue(there, func(c *x509.Certificate) { c.DNSNames = []string{string(there), "*"} }))
	r := receiveTLS(t, star)
	_, err := get(t, tlsClient(t, here, certs), Peer{another, r.peer().Address})
	if _, ok := errors.AsType[*Unreached](err); !ok {
		t.Errorf("it is taken for another node: %v", err)
	}
}
