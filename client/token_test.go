package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestToken: each request asks for the token and carries it; what a token is
// not sent with is not sent at all, and no error repeats it.
func TestToken(t *testing.T) {
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header["Authorization"]...)
		if r.URL.Path == "/v1/files/7" {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer srv.Close()
	broken := errors.New("the keyring is locked")
	usage := &protocol.Error{Kind: protocol.KindUsage, Message: "x"}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var text string
	var failure error
	c, err := New(Config{Server: srv.URL, Token: func(context.Context) (string, error) { return text, failure }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, step := range []struct {
		text    string
		failure error
		kind    protocol.Kind
		sent    string
	}{
		{"osp_a", nil, "", "Bearer osp_a"},
		{"osp_b", nil, "", "Bearer osp_b"},
		{"", nil, "", ""},
		{"osp_c\n", nil, protocol.KindUnauthenticated, ""},
		{"osp c", nil, protocol.KindUnauthenticated, ""},
		{"osp_ü", nil, protocol.KindUnauthenticated, ""},
		{"osp_d", broken, protocol.KindUnauthenticated, ""},
		{"osp_e", usage, protocol.KindUsage, ""},
	} {
		got, text, failure = nil, step.text, step.failure
		_, err := c.Upload(t.Context(), 5)
		if protocol.KindOf(err) != step.kind || strings.Join(got, ",") != step.sent {
			t.Errorf("%q: sent %q, %v", step.text, got, err)
		}
		if err != nil && (strings.Contains(err.Error(), "osp_") || step.failure != nil && !errors.Is(err, step.failure)) {
			t.Errorf("%q: %v", step.text, err)
		}
	}
	text, failure = "osp_f", ended.Err()
	if _, err := c.Upload(ended, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended caller: %v", err)
	}
	// A redirect would carry it to another host.
	got, text, failure = nil, "osp_g", nil
	if _, err := c.File(t.Context(), 7); err == nil || len(got) != 1 {
		t.Errorf("redirected: %v, sent %q", err, got)
	}
}
