package main

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestReadAnswer(t *testing.T) {
	for _, c := range []struct {
		name, text string
		closes, ok bool
	}{
		{"kept open", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, true},
		{"closed", "HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 3\r\n\r\nabc", true, true},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", false, false},
		{"no length", "HTTP/1.1 200 OK\r\n\r\nabc", false, false},
		{"not found", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false, false},
		{"nothing", "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := bufio.NewReader(strings.NewReader(c.text))
			closes, err := readAnswer(in)
			if (err == nil) != c.ok || closes != c.closes {
				t.Errorf("closes %v, %v", closes, err)
			}
			if c.ok && in.Buffered() > 0 {
				t.Errorf("%d bytes of the answer are left", in.Buffered())
			}
		})
	}
}

func TestQuantile(t *testing.T) {
	var all []time.Duration
	for i := range 1000 {
		all = append(all, time.Duration(1000-i))
	}
	if got := quantile(all, 0.99); got != 991 {
		t.Errorf("the 0.99 quantile of 1 to 1000 is %d", got)
	}
	if got := quantile(nil, 0.99); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

// TestLoadCountsAnswers also has the server close connections now and then.
func TestLoadCountsAnswers(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%5 == 0 {
			w.Header().Set("Connection", "close")
		}
		_, _ = w.Write([]byte(r.URL.RequestURI()))
	}))
	defer server.Close()
	got, err := load{urls: []string{server.URL + "/x?y=1", server.URL + "/x?y=2"}, connections: 4, lasts: 50 * time.Millisecond}.run(t.Context())
	if err != nil || got.rate <= 0 || got.p99 <= 0 || asked.Load() == 0 {
		t.Errorf("%+v of %d requests, %v", got, asked.Load(), err)
	}
	server.Config.Handler = http.NotFoundHandler()
	if _, err := (load{urls: []string{server.URL}, connections: 1, lasts: time.Second}).run(t.Context()); err == nil {
		t.Error("404s are counted")
	}
}
