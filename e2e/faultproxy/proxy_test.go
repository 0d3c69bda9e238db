package faultproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/faultproxy"
)

// storage answers a GET with its bytes, and keeps what a PUT brings whole.
type storage struct {
	data []byte
	kept atomic.Value
	puts atomic.Int32
	// told is called when a PUT is kept, before its answer.
	told func()
}

func (s *storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Length", strconv.Itoa(len(s.data)))
		_, _ = w.Write(s.data)
		return
	}
	s.puts.Add(1)
	if b, err := io.ReadAll(r.Body); err == nil {
		s.kept.Store(b)
	}
	if s.told != nil {
		s.told()
	}
	w.Header().Set("Etag", `"x"`)
}

const path = "/bucket/00000001/0123456789abcdef0123456789abcdef"

func TestFaults(t *testing.T) {
	data := []byte(strings.Repeat("0123456789", 100_000))
	for _, c := range []struct {
		fault  faultproxy.Fault
		get    bool
		kept   string // what the storage has of a put: "", "all", "wrong"
		status int    // 0: no answer at all
		whole  bool   // the answer's bytes are all there and right
		reset  bool
	}{
		{"", true, "", 200, true, false},
		{"", false, "all", 200, true, false},
		{faultproxy.ResetMidUpload, false, "", 0, false, true},
		{faultproxy.ResetAfterUpload, false, "", 0, false, true},
		{faultproxy.LostReply, false, "all", 0, false, true},
		{faultproxy.WrongUpload, false, "wrong", 200, true, false},
		{faultproxy.Unavailable, false, "", 503, true, false},
		{faultproxy.TooMany, true, "", 429, true, false},
		{faultproxy.ResetMidDownload, true, "", 200, false, true},
		{faultproxy.EndAfterDownload, true, "", 200, true, false},
		{faultproxy.SlowFirstByte, true, "", 200, true, false},
		{faultproxy.Trickle, true, "", 200, true, false},
		{faultproxy.Truncated, true, "", 200, false, false},
		{faultproxy.WrongDownload, true, "", 200, false, false},
	} {
		name := string(c.fault)
		if name == "" {
			name = "none"
		}
		t.Run(name, func(t *testing.T) {
			s := &storage{data: data}
			server := httptest.NewServer(s)
			defer server.Close()
			p := faultproxy.New(t, server.URL)
			match := faultproxy.Put
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, p.URL+path, bytes.NewReader(data))
			if c.get {
				match = faultproxy.Get
				req, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+path, http.NoBody)
			}
			req.GetBody = nil // the client is not to send it twice by itself
			if c.fault != "" {
				p.Inject(c.fault, 1, match)
			}
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			resp, err := client.Do(req)
			var got []byte
			status := 0
			if err == nil {
				status = resp.StatusCode
				got, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if status != c.status {
				t.Errorf("status %d, %v", status, err)
			}
			whole := err == nil && (!c.get || status != 200 || bytes.Equal(got, data))
			if whole != c.whole {
				t.Errorf("%d bytes, %v, want all and right: %v", len(got), err, c.whole)
			}
			// net/http closes a connection of which it reads the reset while it writes.
			if gone := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed); c.reset && c.status == 0 && !gone {
				t.Errorf("not reset: %v", err)
			}
			kept, _ := s.kept.Load().([]byte)
			if is := bytes.Equal(kept, data); is != (c.kept == "all") || (kept != nil) != (c.kept != "") {
				t.Errorf("the storage has %d bytes, want %q", len(kept), c.kept)
			}
			if c.fault != "" && p.Hits(c.fault) != 1 {
				t.Errorf("%d hits", p.Hits(c.fault))
			}
			if c.status == 0 && c.fault != faultproxy.LostReply && s.puts.Load() > 0 && kept != nil {
				t.Error("the storage has seen the request whole")
			}
		})
	}
}

// TestWithheld: the storage has what was put, and who did it goes in the end.
func TestWithheld(t *testing.T) {
	s := &storage{}
	server := httptest.NewServer(s)
	defer server.Close()
	p := faultproxy.New(t, server.URL)
	p.Inject(faultproxy.Withheld, 1, faultproxy.Put)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPut, p.URL+path, strings.NewReader("x"))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	s.told = func() { time.AfterFunc(50*time.Millisecond, cancel) } // an answer would be there by then
	resp, err := client.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, context.Canceled) || s.puts.Load() != 1 || p.Hits(faultproxy.Withheld) != 1 {
		t.Errorf("%v, %d puts, %d hits", err, s.puts.Load(), p.Hits(faultproxy.Withheld))
	}
}

func TestCutAndClear(t *testing.T) {
	server := httptest.NewServer(&storage{data: []byte("x")})
	defer server.Close()
	p := faultproxy.New(t, server.URL)
	get := func() error {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+path, http.NoBody)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	p.Cut()
	if err := get(); err == nil {
		t.Error("an answer although it is cut")
	}
	p.Clear()
	if err := get(); err != nil {
		t.Errorf("after it: %v", err)
	}
}
