package object

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestTransportHasLimits(t *testing.T) {
	tr := NewTransport()
	if !tr.DisableCompression || tr.TLSClientConfig.MinVersion != tls.VersionTLS12 || tr.TLSHandshakeTimeout == 0 ||
		tr.ResponseHeaderTimeout == 0 || tr.IdleConnTimeout == 0 || tr.IdleConnTimeout >= stallPatience || tr.MaxIdleConnsPerHost < 64 {
		t.Errorf("%+v", tr)
	}
}

// TestCertificatesThatNobodyVouchesFor: a storage is believed to be itself by its
// certificate alone, and one that is not believed gets nothing sent.
func TestCertificatesThatNobodyVouchesFor(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that fail
	server.StartTLS()
	defer server.Close()
	vouched := x509.NewCertPool()
	vouched.AddCert(server.Certificate())
	for _, c := range []struct {
		what, name string
		roots      *x509.CertPool
		good       bool
	}{
		{"of nobody known", "127.0.0.1", nil, false},
		{"of another name", "storage.invalid", vouched, false},
		{"vouched for", "127.0.0.1", vouched, true},
	} {
		tr := NewTransport()
		tr.TLSClientConfig.RootCAs = c.roots
		address := server.Listener.Addr().String()
		dial := tr.DialContext
		tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) { return dial(ctx, network, address) }
		resp, err := (&http.Client{Transport: tr}).Get("https://" + c.name)
		if err == nil {
			err = resp.Body.Close()
		}
		_, refused := errors.AsType[*tls.CertificateVerificationError](err)
		if refused == c.good || asked.Load() != c.good {
			t.Errorf("%s: %v, asked: %v", c.what, err, asked.Load())
		}
		tr.CloseIdleConnections()
	}
}

// TestStallsEnd: a storage that stops answering in the middle ends in an error.
func TestStallsEnd(t *testing.T) {
	t.Parallel()
	let := make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half ")
			_ = http.NewResponseController(w).Flush()
		}
		<-let
	}))
	defer server.Close()
	defer close(let)
	tr := newTransport(3 * time.Second) // in which whoever answers has answered
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "half " || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q, %v", body, err)
	}
	// Nobody reads this body, so that writing it stops.
	endless := io.LimitReader(zeros{}, 1<<30)
	if resp, err := client.Post(server.URL, "", endless); err == nil {
		resp.Body.Close()
		t.Error("a request that is not read succeeded")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestAnyByteIsPatience: what moves in one direction is patience for both.
func TestAnyByteIsPatience(t *testing.T) {
	rec := &recording{}
	c := &stalling{Conn: rec, patience: time.Minute}
	if n, err := c.Write(make([]byte, 2*writeStep+1)); n != 2*writeStep+1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := c.Write(nil); n != 0 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := c.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rec.calls, " "); got != "both write both write both write both write read-deadline read" {
		t.Errorf("%s", got)
	}
	rec.fail = true
	if n, err := c.Write([]byte("x")); n != 0 || err == nil {
		t.Errorf("a write that failed: %d, %v", n, err)
	}
}

// recording is a connection that notes what is done with it.
type recording struct {
	net.Conn
	calls []string
	fail  bool
}

func (r *recording) note(call string) error {
	r.calls = append(r.calls, call)
	if r.fail && call == "write" {
		return io.ErrClosedPipe
	}
	return nil
}

func (r *recording) SetDeadline(time.Time) error     { return r.note("both") }
func (r *recording) SetReadDeadline(time.Time) error { return r.note("read-deadline") }
func (r *recording) Read([]byte) (int, error)        { return 0, r.note("read") }

func (r *recording) Write(p []byte) (int, error) {
	if err := r.note("write"); err != nil {
		return 0, err
	}
	return len(p), nil
}
