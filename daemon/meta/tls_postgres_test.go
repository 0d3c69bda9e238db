//go:build postgres

package meta_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// file is where its own is.
	file string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	var der []byte
	der, a.key = certificate(t, &x509.Certificate{Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// certificate makes one that by signs, or itself.
func certificate(t *testing.T, c *x509.Certificate, by *authority) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = &authority{cert: c, key: key}
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// certify gives the server a certificate for the addresses, and has it take
// encrypted connections.
func (a authority) certify(t *testing.T, s *pgtest.Server, hosts ...string) {
	t.Helper()
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "server"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range hosts {
		leaf.IPAddresses = append(leaf.IPAddresses, net.ParseIP(h))
	}
	der, key := certificate(t, leaf, &a)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		s.Write("server.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		s.Write("server.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
	); err != nil {
		t.Fatal(err)
	}
	s.Set("ssl", "on")
}

// open opens a database and gives whether its connections are encrypted.
func open(t *testing.T, address, watch string) (encrypted bool) {
	t.Helper()
	db, err := meta.Open(t.Context(), meta.Config{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), watch)
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	err = conn.QueryRow(t.Context(), `SELECT COUNT(*), COALESCE(bool_and(ssl), false) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
		WHERE application_name = 'ospd'`).Scan(&all, &encrypted)
	if err := errors.Join(err, conn.Close(t.Context()), db.Close()); err != nil || all == 0 {
		t.Errorf("there are %d connections, %v", all, err)
	}
	return encrypted
}

// listening is a server that has a certificate for the first address and is
// reached at all of them.
func listening(t *testing.T, ca *authority, hosts ...string) (server *pgtest.Server, at func(host, query string) string) {
	t.Helper()
	server = serverOf(t)
	server.Shutdown()
	if err := server.Write("pg_hba.conf", []byte("local all all trust\nhost all all all trust\n")); err != nil {
		t.Fatal(err)
	}
	if ca != nil {
		ca.certify(t, server, hosts[0])
	}
	port, err := server.Listen(t.Context(), hosts...)
	if err != nil {
		t.Fatal(err)
	}
	return server, func(host, query string) string {
		return "postgres://ospd@" + net.JoinHostPort(host, port) + "/postgres?" + query
	}
}

// outside is an address of this machine from which it is not known that no
// other can listen on the way. A machine that has none has its second loopback
// address instead, and what is told apart by it is left to TestAddresses.
func outside(t *testing.T) (host string, real bool) {
	t.Helper()
	host, err := pgtest.Outside()
	if err != nil {
		t.Fatal(err)
	}
	if host == "" {
		return "127.0.0.2", false
	}
	return host, true
}

func clearSSL(t *testing.T) {
	t.Helper()
	for _, name := range []string{"PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir()) // of ~/.postgresql
}

// The server is who its address says, where that is asked for, and where
// others could listen it is asked for unless the operator chose otherwise.
func TestCertificates(t *testing.T) {
	clearSSL(t)
	ca, other := newAuthority(t), newAuthority(t)
	host, real := outside(t)
	server, at := listening(t, &ca, host, "127.0.0.1")
	watch := server.URL("postgres")
	root := "sslrootcert=" + ca.file
	for name, address := range map[string]string{
		"verified":            at(host, "sslmode=verify-full&"+root),
		"verified by default": at(host, root),
		"encrypted":           at(host, "sslmode=require"),
		"on this machine":     at("127.0.0.1", ""),
		"multiple":            at(host, "sslmode=verify-full&host=127.0.0.1,"+host+"&"+root),
	} {
		t.Run(name, func(t *testing.T) {
			if !open(t, address, watch) {
				t.Error("it is not encrypted")
			}
		})
	}
	t.Run("by the environment", func(t *testing.T) {
		t.Setenv("PGSSLMODE", "require")
		if !open(t, at(host, ""), watch) {
			t.Error("it is not encrypted")
		}
	})
	bad := map[string]string{
		"another's certificate": at(host, "sslmode=verify-full&sslrootcert="+other.file),
		"another name":          at("127.0.0.1", "sslmode=verify-full&"+root),
		"nobody's certificate":  at(host, "sslmode=verify-full"),
	}
	if real {
		bad["nobody's by default"], bad["another's by default"] = at(host, ""), at(host, "sslrootcert="+other.file)
	}
	t.Run("refused", func(t *testing.T) {
		for name, address := range bad {
			t.Run(name, func(t *testing.T) {
				refused(t, meta.Config{URL: address}, protocol.KindUnavailable, "certificate that is not trusted", "nothing was changed", "sslrootcert=FILE")
			})
		}
	})
}

// Nobody on the way can have the connection be in the clear.
func TestServerWithoutTLS(t *testing.T) {
	clearSSL(t)
	host, real := outside(t)
	server, at := listening(t, nil, host, "127.0.0.1")
	for name, address := range map[string]string{"chosen": at(host, "sslmode=disable"), "on this machine": at("127.0.0.1", "")} {
		t.Run(name, func(t *testing.T) {
			if open(t, address, server.URL("postgres")) {
				t.Error("it is encrypted")
			}
		})
	}
	t.Run("by the environment", func(t *testing.T) {
		t.Setenv("PGSSLMODE", "disable")
		open(t, at(host, ""), server.URL("postgres"))
	})
	bad := map[string]string{"asked for": at("127.0.0.1", "sslmode=require")}
	if real {
		bad["by default"] = at(host, "")
	}
	t.Run("refused", func(t *testing.T) {
		for name, address := range bad {
			t.Run(name, func(t *testing.T) {
				refused(t, meta.Config{URL: address}, protocol.KindUnavailable, "no encrypted connections", "nothing was changed")
			})
		}
	})
}
