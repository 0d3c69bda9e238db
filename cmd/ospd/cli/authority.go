package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	// authorityYears is how long the authority of a cluster is good.
	authorityYears = 30
	// slack is by how much clocks may differ, of who signs and who looks.
	slack = time.Hour
)

// authority signs the certificates of a cluster's nodes.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// made says that it is new: nobody believes it yet.
	made bool
}

// openAuthority reads the authority of a folder, and makes one where there is
// none. Of two that make one at once, both get the same.
func openAuthority(folder string, now time.Time) (*authority, error) {
	path := filepath.Join(folder, "ca.pem")
	text, err := os.ReadFile(path)
	made := false
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAuthority(path, now); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		} else if err == nil {
			made = true
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("%s is not the authority of a cluster", path)
	}
	return &authority{pair.Leaf, key, made}, nil
}

// makeAuthority has the file be there whole, and leaves one that is there.
func makeAuthority(path string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "ospd peers"}, NotBefore: now.Add(-slack), NotAfter: now.AddDate(authorityYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	text, err := keyPEM(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	whole, err := writeBeside(path, append(certPEM(der), text...), 0o600, nil)
	if err != nil {
		return err
	}
	return errors.Join(os.Link(whole, path), os.Remove(whole))
}

// beside gives what a node is to believe: this authority, and those in the file that
// it believes already, while they are good. They are taken out by hand, once no node
// has a certificate of theirs any more.
func (a *authority) beside(path string, now time.Time) ([]byte, error) {
	all := certPEM(a.cert.Raw)
	rest, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if !cert.Equal(a.cert) && cert.NotAfter.After(now) {
			all = append(all, certPEM(cert.Raw)...)
		}
	}
	return all, nil
}

// issue makes a key and writes it with its certificate and the authority's into
// the folder, which is made where there is none, for the owner. It returns until when the certificate is good.
func (a *authority) issue(node, folder string, to *owner, now, until time.Time) (time.Time, error) {
	if until.After(a.cert.NotAfter) {
		until = a.cert.NotAfter
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return until, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: node}, DNSNames: []string{node}, NotBefore: now.Add(-slack), NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return until, err
	}
	text, err := keyPEM(key)
	if err != nil {
		return until, err
	}
	if err := to.folder(folder); err != nil {
		return until, err
	}
	believed, err := a.beside(filepath.Join(folder, "ca.crt"), now)
	if err != nil {
		return until, err
	}
	for _, file := range []struct {
		name string
		text []byte
		mode fs.FileMode
	}{{"ca.crt", believed, 0o644}, {"peer.key", text, 0o600}, {"peer.crt", certPEM(der), 0o644}} {
		path := filepath.Join(folder, file.name)
		whole, err := writeBeside(path, file.text, file.mode, to)
		if err == nil {
			err = os.Rename(whole, path)
		}
		if err != nil {
			return until, err
		}
	}
	return until, nil
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// writeBeside writes a file that is to be moved to path, synced.
func writeBeside(path string, text []byte, mode fs.FileMode, to *owner) (whole string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), to.give(f), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
