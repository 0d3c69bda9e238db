package main

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func TestSlowlyReadsEverythingOrFails(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Length", "3000")
		n := 3000
		if r.URL.Path == "/cut" {
			n = 2000
		}
		_, _ = w.Write(make([]byte, n))
	}))
	defer server.Close()
	readers := slowly{urls: []string{server.URL + "/a", server.URL + "/b"}, piece: 1024, pause: time.Millisecond}
	if err := readers.run(t.Context()); err != nil || asked.Load() != 2 {
		t.Errorf("%d downloads, %v", asked.Load(), err)
	}
	readers.urls = append(readers.urls, server.URL+"/cut")
	if err := readers.run(t.Context()); err == nil {
		t.Error("a download that was cut is none that failed")
	}
}
