package webhook

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta/metatest"

	"github.com/osproxy/osproxy/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(metatest.OnServer(m)) }

func newSender(t *testing.T, cfg SenderConfig) *Sender {
	s := NewSender(cfg)
	t.Cleanup(s.Close)
	return s
}

// endpoint is a server that answers as it is told.
func endpoint(t *testing.T, serve http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(serve)
	t.Cleanup(s.Close)
	return s
}

var message = Message{ID: "msg_1_2", Secret: []byte("0123456789abcdef0123456789abcdef"), Body: []byte(`{"type":"file.committed"}`)}

func TestSendSigns(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	var got *http.Request
	var body []byte
	s := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	status, err := newSender(t, SenderConfig{Guard: permissive, Version: "1.2.3", Clock: func() time.Time { return at }}).Send(t.Context(), s.URL+"/hook?x=1", message)
	if err != nil || status != http.StatusNoContent {
		t.Fatalf("%d, %v", status, err)
	}
	mac := hmac.New(sha256.New, message.Secret)
	fmt.Fprintf(mac, "%s.%d.%s", message.ID, at.Unix(), message.Body)
	for header, want := range map[string]string{
		"Webhook-Id": message.ID, "Webhook-Timestamp": "1700000000", "Content-Type": "application/json", "User-Agent": "ospd/1.2.3",
		"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	} {
		if v := got.Header.Get(header); v != want {
			t.Errorf("%s is %q, want %q", header, v, want)
		}
	}
	if got.Method != http.MethodPost || got.URL.String() != "/hook?x=1" || !bytes.Equal(body, message.Body) {
		t.Errorf("%s %s %s", got.Method, got.URL, body)
	}
}

// TestSendTraces: all tries of a message are one trace, and two messages are two.
func TestSendTraces(t *testing.T) {
	var got []protocol.Trace
	s := endpoint(t, func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, protocol.ParseTraceparent(r.Header.Get("Traceparent")))
	})
	sender := newSender(t, SenderConfig{Guard: permissive})
	other, stranger := message, message
	other.ID, stranger.Secret = "msg_1_3", []byte("another installation's")
	for _, m := range []Message{message, message, other, stranger} {
		if _, err := sender.Send(t.Context(), s.URL, m); err != nil {
			t.Fatal(err)
		}
	}
	a, again, b, c := got[0], got[1], got[2], got[3]
	if a.IsZero() || a.ID != again.ID || a.Span == again.Span || a.ID == b.ID || a.ID == c.ID || a.ID != message.trace().ID {
		t.Errorf("sent %s", got)
	}
}

// The vector of the Standard Webhooks specification.
func TestSignatureVector(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", secretPrefix))
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	sign(h, secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got := h.Get(HeaderSignature); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Error(got)
	}
}

func TestSecret(t *testing.T) {
	a, b := NewSecret(), NewSecret()
	if len(a) != 32 || bytes.Equal(a, b) {
		t.Errorf("%x %x", a, b)
	}
	if text := SecretText(a); text != "whsec_"+base64.StdEncoding.EncodeToString(a) {
		t.Error(text)
	}
}

// What an endpoint may do to the daemon, and what its owner is told of it.
func TestEndpointsThatMisbehave(t *testing.T) {
	var elsewhere atomic.Int32
	target := endpoint(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 64<<20))
	_ = z.Close()
	for name, tt := range map[string]struct {
		serve  http.HandlerFunc
		status int
		says   string
	}{
		"fails": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "internal secret", http.StatusServiceUnavailable)
		}, http.StatusServiceUnavailable, "the endpoint answered 503"},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
		}, 307,
			"redirects are not followed"},
		"moved": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, http.StatusSeeOther) }, 303, "redirects are not followed"},
		"never answers": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, 0, "did not answer in time"},
		"hangs up":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, "could not be reached"},
		"long head": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, 0, "could not be reached"},
		// It has arrived, whatever comes after the status.
		"slow body": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, 200, ""},
		"endless body": {func(w http.ResponseWriter, _ *http.Request) {
			for b := make([]byte, 64<<10); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}, 200, ""},
		"gzip bomb": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "" {
				t.Error("it asks for compressed answers")
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := endpoint(t, tt.serve)
			status, err := newSender(t, SenderConfig{Guard: permissive, Timeout: time.Second}).Send(t.Context(), s.URL, message)
			if status != tt.status || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%d, %v", status, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), ":[") || err != nil && strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("it tells what is behind the address: %v", err)
			}
		})
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

// Where a webhook may not lead it does not, whatever the name, and its owner
// learns nothing of what is there.
func TestSendIsGuarded(t *testing.T) {
	var reached atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer s.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for name, tt := range map[string]struct{ host, says string }{
		"by address":  {"127.0.0.1", "may not reach"},
		"by name":     {"inside.example", "may not reach"},
		"unknown":     {"unknown.example", "was not found"},
		"in digits":   {"2130706433", "may not reach"},
		"mapped":      {"[::ffff:127.0.0.1]", "may not reach"},
		"some of all": {"mixed.example", "may not reach"},
	} {
		t.Run(name, func(t *testing.T) {
			sender := newSender(t, SenderConfig{Guard: Guard{AnyPort: true}, Resolver: inside(), TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}})
			if status, err := sender.Send(t.Context(), "https://"+tt.host+":"+port, message); err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "127.") {
				t.Errorf("%d, %v", status, err)
			}
		})
	}
	if n := reached.Load(); n != 0 {
		t.Fatalf("it was reached %d times", n)
	}
	allowed := newSender(t, SenderConfig{Guard: permissive, Resolver: inside(), TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}})
	if status, err := allowed.Send(t.Context(), "https://inside.example:"+port, message); err != nil || reached.Load() != 1 {
		t.Errorf("where it is allowed: %d, %v", status, err)
	}
	untrusted := newSender(t, SenderConfig{Guard: permissive, Resolver: inside()})
	if status, err := untrusted.Send(t.Context(), "https://inside.example:"+port, message); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate nobody vouches for: %d, %v", status, err)
	}
}

func inside() *names {
	return &names{answers: map[string][][]netip.Addr{"inside.example": {ips("127.0.0.1")}, "mixed.example": {ips("1.1.1.1", "127.0.0.1")}}}
}

// A proxy would go where the guard does not look.
func TestNoProxy(t *testing.T) {
	var asked atomic.Int32
	proxy := endpoint(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	sender := newSender(t, SenderConfig{Guard: permissive, Resolver: inside()})
	if _, err := sender.Send(t.Context(), "http://unknown.example:9/", message); err == nil || asked.Load() != 0 {
		t.Errorf("%v, the proxy was asked %d times", err, asked.Load())
	}
}

// A daemon that stops is no failure of the endpoint.
func TestSendIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := endpoint(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	if _, err := newSender(t, SenderConfig{Guard: permissive}).Send(ctx, s.URL, message); err == nil || ctx.Err() == nil || !strings.Contains(err.Error(), "canceled") {
		t.Error(err)
	}
}
