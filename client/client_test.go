package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// serve gives a Client of a server that is one handler.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	c, err := New(Config{Server: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); srv.Close() })
	return c
}

func TestNewRefusesServers(t *testing.T) {
	for _, s := range []string{"127.0.0.1:8888", "ftp://h", "http://", "http:///x", "https://u:p@h", "http://h/?q", "http://h/#f", "://", "http://h:p"} {
		if _, err := New(Config{Server: s}); protocol.KindOf(err) != protocol.KindUsage {
			t.Errorf("%q: %v", s, err)
		}
	}
	for s, want := range map[string]string{"": DefaultServer, "https://h/": "https://h", "http://h:1/osp//": "http://h:1/osp"} {
		if c, err := New(Config{Server: s}); err != nil || c.Server() != want {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// Each method makes exactly the request of its route.
func TestRequests(t *testing.T) {
	at := protocol.TimeOf(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	sum := protocol.SumXXH3([]byte("abc"))
	for want, call := range map[string]func(c *Client) error{
		"GET /v1/capabilities ": func(c *Client) error { _, err := c.Capabilities(t.Context()); return err },
		"POST /v1/uploads Idempotency-Key=k {\"name\":\"a\",\"size\":null,\"size_hint\":null,\"fingerprint\":null,\"media_type\":null,\"meta\":null,\"expires_at\":null,\"resume\":true}": func(c *Client) error {
			_, _, err := c.BeginUpload(t.Context(), protocol.BeginUpload{Name: "a", Resume: true}, "k")
			return err
		},
		"POST /v1/uploads/probe {\"items\":[]}": func(c *Client) error { _, err := c.Probe(t.Context(), nil); return err },
		"GET /v1/uploads/5 ":                    func(c *Client) error { _, err := c.Upload(t.Context(), 5); return err },
		"GET /v1/uploads?cursor=x&limit=3 ":     func(c *Client) error { _, err := c.Uploads(t.Context(), 3, "x"); return err },
		"DELETE /v1/uploads/5 ":                 func(c *Client) error { return c.AbortUpload(t.Context(), 5) },
		"PUT /v1/uploads/5/parts/2 Osp-Xxh3=" + sum.String() + " abc": func(c *Client) error {
			_, err := c.PutPart(t.Context(), 5, 2, io.NopCloser(strings.NewReader("abc")), 3, sum)
			return err
		},
		"POST /v1/uploads/5/commit {\"size\":null,\"parts_xxh3\":\"" + sum.String() + "\",\"digest\":null}": func(c *Client) error {
			_, _, err := c.Commit(t.Context(), 5, protocol.CommitUpload{PartsXXH3: &sum})
			return err
		},
		"POST /v1/uploads/5/claim {\"digest\":\"" + protocol.Digest{}.String() + "\",\"nonce\":null,\"proof\":null}": func(c *Client) error {
			_, err := c.StartClaim(t.Context(), 5, protocol.Digest{})
			return err
		},
		"POST /v1/uploads/5/claim {\"digest\":null,\"nonce\":\"n\",\"proof\":\"" + protocol.Digest{}.String() + "\"}": func(c *Client) error {
			_, err := c.FinishClaim(t.Context(), 5, "n", [32]byte{})
			return err
		},
		"GET /v1/tokens ":             func(c *Client) error { _, err := c.Tokens(t.Context(), ""); return err },
		"GET /v1/tokens?owner=a%40b ": func(c *Client) error { _, err := c.Tokens(t.Context(), "a@b"); return err },
		"POST /v1/tokens {\"owner\":\"o\",\"scopes\":[\"admin\"],\"note\":null,\"expires_at\":null}": func(c *Client) error {
			_, err := c.CreateToken(t.Context(), protocol.CreateToken{Owner: "o", Scopes: protocol.Scopes{protocol.ScopeAdmin}})
			return err
		},
		"DELETE /v1/tokens/0aZ ": func(c *Client) error { return c.RevokeToken(t.Context(), "0aZ") },
		"POST /v1/files?expires_at=2026-11-22T10%3A00%3A00.000Z&meta.k=v+w&name=a%2Fb Idempotency-Key=k Osp-Xxh3=" + sum.String() + " abc": func(c *Client) error {
			_, err := c.PutFile(t.Context(), NewFile{Name: "a/b", MediaType: "text/plain", Meta: map[string]string{"k": "v w"}, ExpiresAt: &at},
				strings.NewReader("abc"), 3, sum, "k")
			return err
		},
		"GET /v1/files/5 ": func(c *Client) error { _, err := c.File(t.Context(), 5); return err },
		"GET /v1/files?digest=" + protocol.Digest{}.String() + "&limit=9&name=n&prefix=p ": func(c *Client) error {
			_, err := c.Files(t.Context(), FileQuery{Name: "n", Prefix: "p", Digest: &protocol.Digest{}, Limit: 9})
			return err
		},
		"PATCH /v1/files/5 {\"name\":\"x\"}": func(c *Client) error {
			_, err := c.PatchFile(t.Context(), 5, json.RawMessage(`{"name":"x"}`))
			return err
		},
		"DELETE /v1/files/5 ": func(c *Client) error { return c.DeleteFile(t.Context(), 5) },
	} {
		var got string
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = r.Method + " " + r.URL.RequestURI()
			for _, h := range []string{protocol.HeaderIdempotencyKey, protocol.HeaderXXH3} {
				if v := r.Header.Get(h); v != "" {
					got += " " + h + "=" + v
				}
			}
			got += " " + string(body)
			if len(r.TransferEncoding) > 0 || r.ContentLength != int64(len(body)) || r.UserAgent() != "osp" {
				t.Errorf("%s: length %d, encoding %q, agent %q", got, r.ContentLength, r.TransferEncoding, r.UserAgent())
			}
			if want, ct := "application/merge-patch+json", r.Header.Get("Content-Type"); (r.Method == http.MethodPatch) != (ct == want) {
				t.Errorf("%s: Content-Type %q", got, ct)
			}
			if r.Method == http.MethodDelete {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.Write([]byte("{}"))
		})
		if err := call(c); err != nil {
			t.Error(want, err)
		}
		if got != want {
			t.Errorf("\ngot  %s\nwant %s", got, want)
		}
	}
}

func TestFoundAndRepeated(t *testing.T) {
	for _, yes := range []bool{true, false} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if yes {
				w.Header().Set(protocol.HeaderRepeated, "true")
			} else {
				w.WriteHeader(http.StatusCreated)
			}
			w.Write([]byte(`{"uid": "5", "new_in_a_later_version": 1}`))
		})
		if up, found, err := c.BeginUpload(t.Context(), protocol.BeginUpload{}, ""); err != nil || found != yes || up.UID != 5 {
			t.Error(up, found, err)
		}
		if f, repeated, err := c.Commit(t.Context(), 5, protocol.CommitUpload{}); err != nil || repeated != yes || f.UID != 5 {
			t.Error(f, repeated, err)
		}
	}
}

// An answer to fewer or more contents than were asked for is no answer to any.
func TestProbe(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"items": [{"maybe": true, "new_in_a_later_version": 1}, {"maybe": false}]}`))
	})
	items := make([]protocol.ProbeItem, 2)
	if maybe, err := c.Probe(t.Context(), items); err != nil || !maybe[0] || maybe[1] {
		t.Error(maybe, err)
	}
	for _, n := range []int{0, 1, 3} {
		if _, err := c.Probe(t.Context(), make([]protocol.ProbeItem, n)); protocol.KindOf(err) != protocol.KindInternal {
			t.Errorf("%d questions: %v", n, err)
		}
	}
}

func TestErrors(t *testing.T) {
	const problem = "application/problem+json"
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   string
		want   protocol.Error
	}{
		"a problem": {409, nil, `{"code":"parts_missing","detail":"d","hint":"h","request_id":"r","status":409,"missing":[[1,2]]}`,
			protocol.Error{Kind: protocol.KindPartsMissing, Message: "d", Hint: "h", RequestID: "r", Missing: [][2]protocol.PartNumber{{1, 2}}}},
		"the kind is the body's":   {500, nil, `{"code":"digest_pending","detail":"d"}`, protocol.Error{Kind: protocol.KindDigestPending, Message: "d"}},
		"a code of a newer daemon": {409, nil, `{"code":"novel","detail":"d"}`, protocol.Error{Kind: "novel", Message: "d"}},
		"a code of a client's own": {500, nil, `{"code":"interrupted","detail":"d"}`, protocol.Error{Kind: protocol.KindInternal, Message: "d"}},
		"Retry-After": {503, http.Header{"Retry-After": {"7"}, "X-Request-Id": {"h"}}, `{"code":"draining","detail":"d"}`,
			protocol.Error{Kind: protocol.KindDraining, Message: "d", RetryAfter: 7 * time.Second, RequestID: "h"}},
		"a proxy's 502":        {502, nil, `<html>`, protocol.Error{Kind: protocol.KindUnavailable}},
		"another server's 404": {404, nil, `{"error":"no"}`, protocol.Error{Kind: protocol.KindUnavailable}},
		"another server's code": {404, http.Header{"Content-Type": {"application/json"}}, `{"code":"not_found","detail":"d"}`,
			protocol.Error{Kind: protocol.KindUnavailable}},
		"a problem with a charset": {404, http.Header{"Content-Type": {problem + "; charset=utf-8"}}, `{"code":"not_found","detail":"d"}`,
			protocol.Error{Kind: protocol.KindNotFound, Message: "d"}},
		"another server's 409": {409, nil, `<html>`, protocol.Error{Kind: protocol.KindInternal}},
		"another server's 412": {412, nil, `<html>`, protocol.Error{Kind: protocol.KindInternal}},
		"another server's 416": {416, nil, `<html>`, protocol.Error{Kind: protocol.KindInternal}},
		"a 500 of no form":     {500, nil, ``, protocol.Error{Kind: protocol.KindInternal}},
		"a redirect":           {307, http.Header{"Location": {"/other"}}, ``, protocol.Error{Kind: protocol.KindInternal}},
		"a success of no form": {200, nil, `<html>`, protocol.Error{Kind: protocol.KindInternal}},
		"a bad uid":            {200, nil, `{"uid":"007"}`, protocol.Error{Kind: protocol.KindInternal}},
	} {
		var calls atomic.Int64
		cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			w.Header().Set("Content-Type", problem)
			for k, v := range c.header {
				w.Header()[k] = v
			}
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		})
		_, err := cl.File(t.Context(), 5)
		e, ok := err.(*protocol.Error)
		if !ok || e.Kind != c.want.Kind || e.RequestID != c.want.RequestID || e.RetryAfter != c.want.RetryAfter || len(e.Missing) != len(c.want.Missing) ||
			c.want.Message != "" && (e.Message != c.want.Message || e.Hint != c.want.Hint) || e.Op == "" || e.Message == "" {
			t.Errorf("%s: %#v", name, err)
		}
		if calls.Load() != 1 {
			t.Errorf("%s: %d requests", name, calls.Load())
		}
	}
}

// A reader whose requests go astray is told who answered and what to look at,
// in the message itself: package transfer writes its own hint.
func TestStrangersAnswerIsNamed(t *testing.T) {
	c := serve(t, http.NotFound)
	_, err := c.Capabilities(t.Context())
	if protocol.KindOf(err) != protocol.KindUnavailable || !strings.Contains(err.Error(), "not ospd") || !strings.Contains(err.Error(), "--server") {
		t.Error(err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"": 0, "0": 0, "3": 3 * time.Second, "-5": 0, "x": 0, "1.5": 0, "999999999999": 0, "86400": maxRetryAfter,
		"Sun, 22 Nov 2026 10:00:30 GMT": 30 * time.Second, "Sun, 22 Nov 2026 09:00:00 GMT": 0,
	} {
		if got := retryAfter(s, now); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// No request with a body is sent twice, whatever net/http thinks of it.
func TestNothingIsReplayed(t *testing.T) {
	var calls atomic.Int64
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if calls.Add(1) == 1 {
			w.Write([]byte("{}")) // the connection is kept
			return
		}
		panic(http.ErrAbortHandler)
	})
	if _, err := c.Capabilities(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _, err := c.BeginUpload(t.Context(), protocol.BeginUpload{Name: "a"}, "key")
	if protocol.KindOf(err) != protocol.KindNetwork || calls.Load() != 2 {
		t.Errorf("%d requests, %v", calls.Load(), err)
	}
}

func TestNoServer(t *testing.T) {
	srv := httptest.NewServer(nil)
	url := srv.URL
	srv.Close()
	c, _ := New(Config{Server: url})
	if _, err := c.Capabilities(t.Context()); protocol.KindOf(err) != protocol.KindNetwork {
		t.Error(err)
	}
}

func TestContextErrorsStayTheCallers(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := c.Capabilities(ctx); !errors.Is(err, why) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	late, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	if _, err := c.Capabilities(late); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestContent(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 100)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-Match") != `"e"` {
			t.Errorf("If-Match %q", r.Header.Get("If-Match"))
		}
		w.Header().Set("ETag", `"e"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
	for _, r := range [][2]int64{{0, 1000}, {0, -1}, {0, 1}, {999, 1}, {10, 500}, {5, 0}} {
		body, err := c.Content(t.Context(), 5, r[0], r[1], `"e"`)
		if err != nil {
			t.Fatal(r, err)
		}
		got, err := io.ReadAll(body)
		body.Close()
		want := data[r[0]:]
		if r[1] >= 0 {
			want = want[:r[1]]
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %d bytes, %v", r, len(got), err)
		}
	}
}

func TestContentOfAnotherRange(t *testing.T) {
	for name, answer := range map[string]func(h http.Header) int{
		"the whole": func(h http.Header) int { h.Set("Content-Length", "10"); return 200 },
		"a shifted one": func(h http.Header) int {
			h.Set("Content-Range", "bytes 2-6/10")
			h.Set("Content-Length", "5")
			return 206
		},
		"a shorter one": func(h http.Header) int {
			h.Set("Content-Range", "bytes 1-4/10")
			h.Set("Content-Length", "4")
			return 206
		},
		"two of them": func(h http.Header) int { h.Set("Content-Type", "multipart/byteranges; boundary=x"); return 206 },
		"a false length": func(h http.Header) int {
			h.Set("Content-Range", "bytes 1-5/10")
			h.Set("Content-Length", "4")
			return 206
		},
		"no length at all": func(h http.Header) int { h.Set("Content-Range", "bytes 1-5/10"); return 206 },
		"no content":       func(h http.Header) int { return 204 },
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(answer(w.Header()))
			w.(http.Flusher).Flush()
		})
		if _, err := c.Content(t.Context(), 5, 1, 5, ""); protocol.KindOf(err) != protocol.KindInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestContentThatEndsEarly(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "01234")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	body, err := c.Content(t.Context(), 5, 0, -1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if string(got) != "01234" || protocol.KindOf(err) != protocol.KindNetwork || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q %v", got, err)
	}
	if !errors.Is(err, ErrCut) || !strings.Contains(err.Error(), "broke off: 5 of 10 bytes came") {
		t.Errorf("it says %v", err)
	}
}

func TestBlocks(t *testing.T) {
	for body, kind := range map[string]protocol.Kind{strings.Repeat("x", 64): "", "": "", "short": protocol.KindInternal} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		got, err := c.Blocks(t.Context(), 5)
		if protocol.KindOf(err) != kind || err == nil && string(got) != body {
			t.Errorf("%q: %q %v", body, got, err)
		}
	}
}

// TestTraces: requests are part of the trace of their context, each as a caller of
// its own.
func TestTraces(t *testing.T) {
	var got []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Traceparent"))
		_, _ = w.Write([]byte("{}"))
	})
	trace := protocol.NewTrace()
	for _, ctx := range []context.Context{protocol.WithTrace(t.Context(), trace), protocol.WithTrace(t.Context(), trace), t.Context()} {
		if _, err := c.Capabilities(ctx); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := c.Do(protocol.WithTrace(t.Context(), trace), Raw{Method: "GET", Target: "/"})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	a, b, d := protocol.ParseTraceparent(got[0]), protocol.ParseTraceparent(got[1]), protocol.ParseTraceparent(got[3])
	if a.ID != trace.ID || b.ID != trace.ID || d.ID != trace.ID || a.Span == trace.Span || a.Span == b.Span || got[2] != "" {
		t.Errorf("sent %q of %s", got, trace)
	}
}
