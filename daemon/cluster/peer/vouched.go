package peer

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"sync"
	"time"
)

// mostVouched bounds how many certificates are remembered.
const mostVouched = 1 << 10

// vouched remembers for how long certificates are good, so that it costs nothing
// to ask with each request.
type vouched struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]validity
}

// validity is the time for which every certificate of a chain is good.
type validity struct{ from, until time.Time }

func (v validity) at(t time.Time) bool { return !t.Before(v.from) && !t.After(v.until) }

// check is nil where the certificate that a node showed is good at a time, by the
// authorities that are in force now. shown has it first, and then what lies between
// it and an authority.
func (c *Certificates) check(shown []*x509.Certificate, at time.Time) error {
	return c.now().check(shown, at)
}

func (l *loaded) check(shown []*x509.Certificate, at time.Time) error {
	sum := sha256.Sum256(shown[0].Raw)
	l.seen.mu.Lock()
	defer l.seen.mu.Unlock()
	if l.seen.all[sum].at(at) {
		return nil
	}
	good, err := l.validity(shown, at)
	if err != nil {
		return err
	}
	if l.seen.all == nil || len(l.seen.all) >= mostVouched {
		l.seen.all = map[[sha256.Size]byte]validity{}
	}
	l.seen.all[sum] = good
	return nil
}

// validity is that of a chain that is good at a time.
func (l *loaded) validity(shown []*x509.Certificate, at time.Time) (validity, error) {
	opts := x509.VerifyOptions{Roots: l.pool, Intermediates: x509.NewCertPool(), CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, between := range shown[1:] {
		opts.Intermediates.AddCert(between)
	}
	chains, err := shown[0].Verify(opts)
	if err != nil {
		return validity{}, fmt.Errorf("verify it: %w", err)
	}
	return validityOf(chains[0]), nil
}

func validityOf(chain []*x509.Certificate) (v validity) {
	for i, c := range chain {
		if i == 0 || c.NotBefore.After(v.from) {
			v.from = c.NotBefore
		}
		if i == 0 || c.NotAfter.Before(v.until) {
			v.until = c.NotAfter
		}
	}
	return v
}
