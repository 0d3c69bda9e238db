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

// TestRawTargets: what is asked of which server. A token goes along, so that
// everything that is not on the server is refused, however it is written.
func TestRawTargets(t *testing.T) {
	for _, c := range []struct{ server, target, want string }{
		{"http://h:1", "/v1/files", "http://h:1/v1/files"},
		{"http://h:1", "v1/files?limit=1&cursor=a%2Fb", "http://h:1/v1/files?limit=1&cursor=a%2Fb"},
		{"http://h:1", "", "http://h:1/"},
		{"http://h:1", "/v1%2ffiles/a%20b", "http://h:1/v1%2ffiles/a%20b"},
		{"http://h:1", "/v1//files", "http://h:1/v1//files"},
		{"http://h:1", "?a=b", "http://h:1/?a=b"},
		{"http://h:1", "http://h:1/l/x", "http://h:1/l/x"},
		{"http://h:1", "HTTP://H:1/l/x", "http://h:1/l/x"},
		{"http://h:1", "//h:1/l/x", ""},
		{"http://h", "http://h:80/l/x", "http://h/l/x"},
		{"https://h", "https://h:443", "https://h/"},
		{"https://h/osp", "/v1/files", "https://h/osp/v1/files"},
		{"https://h/osp", "https://h/osp/v1/files", "https://h/osp/v1/files"},
		{"https://h/osp", "https://h/v1/files", ""},
		{"https://h/osp", "https://h/ospd/v1/files", ""},
		{"http://h:1", "http://h:2/v1/files", ""},
		{"http://h:1", "https://h:1/v1/files", ""},
		{"http://h:1", "http://h:1.evil.example/", ""},
		{"http://h:1", "http://evil.example/", ""},
		{"http://h:1", "//evil.example/v1/files", ""},
		{"http://h:1", "http://h:1@evil.example/", ""},
		{"http://h:1", "http://ann@h:1/", ""},
		{"http://h:1", `C:/Program Files/Git/v1/files`, ""},
		{"http://h:1", "mailto:ann@h", ""},
		{"http://h:1", "/v1/files#x", ""},
		{"http://h:1", "/v1/%zz", ""},
		{"http://h:1", "/v1/\n", ""},
		{"http://h:1", "/v1/..x/.y/z..", "http://h:1/v1/..x/.y/z.."},
		{"http://h:1", "/v1/files?cursor=../x", "http://h:1/v1/files?cursor=../x"},
		{"http://h:1", "/v1/x/../files", ""},
		{"http://h:1", "/v1/./files", ""},
		{"http://h/base", "..", ""},
		{"http://h/base", "../other", ""},
		{"http://h/base", "v1/../../other", ""},
		{"http://h/base", "%2e%2e/other", ""},
		{"http://h/base", ".%2E/other", ""},
		{"http://h/base", "v1%2f..%2f../other", ""},
		{"http://h/base", "..%5cother", ""},
		{"http://h/base", `v1\..\..\other`, ""},
		{"http://h/base", "http://h/base/../other", ""},
		{"http://h/base", "http://h/base/%2e%2e/other", ""},
		{"http://h/base", "http://h/base%2f..%2fother", ""},
	} {
		cl, err := New(Config{Server: c.server})
		if err != nil {
			t.Fatal(err)
		}
		u, err := cl.below(c.target)
		switch {
		case c.want == "" && protocol.KindOf(err) != protocol.KindUsage:
			t.Errorf("%q on %s leads to %v, %v", c.target, c.server, u, err)
		case c.want != "" && (err != nil || u.String() != c.want):
			t.Errorf("%q on %s leads to %v, %v, want %s", c.target, c.server, u, err, c.want)
		}
	}
}

// rawOn is a Client of a handler, with a token.
func rawOn(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	c, err := New(Config{Server: srv.URL, Token: func(context.Context) (string, error) { return "secret", nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); srv.Close() })
	return c
}

// TestRawRequest: what is said goes as it is, and what is not said as always.
func TestRawRequest(t *testing.T) {
	var got *http.Request
	var body string
	c := rawOn(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		w.WriteHeader(http.StatusTeapot)
	})
	do := func(r Raw) {
		t.Helper()
		resp, err := c.Do(t.Context(), r)
		if err != nil || resp.StatusCode != http.StatusTeapot {
			t.Fatalf("%v, %v", resp, err)
		}
		resp.Body.Close()
	}
	do(Raw{Method: "PUT", Target: "/a?b=c", Header: http.Header{"x-y": {"1", "2"}}, Body: io.NopCloser(strings.NewReader("abc")), Length: 3})
	if got.Method != "PUT" || got.RequestURI != "/a?b=c" || body != "abc" || got.ContentLength != 3 || len(got.TransferEncoding) > 0 || len(got.Header["X-Y"]) != 2 ||
		got.Header.Get("Authorization") != "Bearer secret" || got.UserAgent() != "osp" || got.Header.Get("Content-Type") != "" {
		t.Errorf("sent %+v with %q", got, body)
	}
	do(Raw{Method: "POST", Target: "/a", Header: http.Header{"authorization": {"Link x"}, "User-Agent": {"me"}}, Body: io.NopCloser(strings.NewReader("")), Length: 0})
	if got.Header.Get("Authorization") != "Link x" || got.UserAgent() != "me" || got.ContentLength != 0 || len(got.TransferEncoding) > 0 {
		t.Errorf("sent %+v", got)
	}
	if _, err := c.Do(t.Context(), Raw{Method: "A B", Target: "/"}); protocol.KindOf(err) != protocol.KindUsage {
		t.Errorf("a method of two words: %v", err)
	}
}

// TestRawRedirect: the token goes nowhere else, not even where the server says so.
func TestRawRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("another server was asked: %v", r.Header) }))
	defer other.Close()
	c := rawOn(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	resp, err := c.Do(t.Context(), Raw{Method: "GET", Target: "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := AnswerError(t.Context(), resp); resp.StatusCode != http.StatusTemporaryRedirect || protocol.KindOf(err) != protocol.KindInternal || !strings.Contains(err.Error(), "not followed") {
		t.Errorf("%s, %v", resp.Status, err)
	}
}

// TestRawAnswers: what an answer means, and that its body is there all the same.
func TestRawAnswers(t *testing.T) {
	const problem = `{"code": "not_found", "status": 404, "detail": "no file has this uid", "request_id": "r"}`
	long := strings.Repeat("x", maxProblem+1000)
	for name, c := range map[string]struct {
		status          int
		mediaType, body string
		kind            protocol.Kind // "" is none
	}{
		"done":          {200, "application/json", "{}", ""},
		"nothing new":   {304, "", "", ""},
		"a problem":     {404, "application/problem+json", problem, protocol.KindNotFound},
		"a stranger's":  {404, "text/html", "<p>", protocol.KindUnavailable},
		"a long one":    {500, "text/plain", long, protocol.KindInternal},
		"an empty one":  {503, "", "", protocol.KindUnavailable},
		"not a problem": {500, "application/problem+json", "{", protocol.KindInternal},
	} {
		cl := rawOn(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.mediaType)
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		resp, err := cl.Do(t.Context(), Raw{Method: "GET", Target: "/"})
		if err != nil {
			t.Fatal(err)
		}
		err = AnswerError(t.Context(), resp)
		body, rerr := io.ReadAll(resp.Body)
		if rerr = errors.Join(rerr, resp.Body.Close()); (err == nil) != (c.kind == "") || err != nil && protocol.KindOf(err) != c.kind || string(body) != c.body || rerr != nil {
			t.Errorf("%s: %v, and %d bytes of body, %v", name, err, len(body), rerr)
		}
	}
}

// TestRawCut: an answer that ends early is no answer.
func TestRawCut(t *testing.T) {
	c := rawOn(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "abc")
	})
	resp, err := c.Do(t.Context(), Raw{Method: "GET", Target: "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != "abc" || protocol.KindOf(err) != protocol.KindNetwork {
		t.Errorf("read %q, %v", b, err)
	}
	closed := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, Raw{Method: "PUT", Target: "/", Body: closing{closed}, Length: 3}); !errors.Is(err, context.Canceled) {
		t.Errorf("a request that was given up: %v", err)
	}
	<-closed
}

// closing is a body of which only the end counts.
type closing struct{ closed chan struct{} }

func (closing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (c closing) Close() error { close(c.closed); return nil }
