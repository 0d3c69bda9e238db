package api

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

func limit(n int64) *int64 { return &n }

// TestQuotas: each limit is refused as 413 quota_exceeded in words that name
// it, holds for one owner alone, and what is given up can be had again.
func TestQuotas(t *testing.T) {
	const file = "/v1/files?name=a"
	for name, c := range map[string]struct {
		quota    meta.Quota
		word     string
		path     string
		fits     string
		tooMuch  string
		giveBack string
	}{
		"open uploads":       {meta.Quota{Uploads: limit(1)}, "open uploads", "/v1/uploads", `{"name": "a"}`, `{"name": "b"}`, "/v1/uploads/"},
		"files, begun":       {meta.Quota{Files: limit(1)}, "files", "/v1/uploads", `{"name": "a"}`, `{"name": "b"}`, "/v1/uploads/"},
		"files, whole":       {meta.Quota{Files: limit(1)}, "files", file, "", "", "/v1/files/"},
		"bytes, whole":       {meta.Quota{Bytes: limit(10)}, "bytes", file, "1234567890", "1", "/v1/files/"},
		"bytes, of one file": {meta.Quota{Bytes: limit(10)}, "bytes", "/v1/uploads", `{"name": "a", "size": 10}`, `{"name": "b", "size": 1}`, "/v1/uploads/"},
	} {
		t.Run(name, func(t *testing.T) {
			o := startOspdWith(t, c.quota, nil)
			alice, bob := o.as("alice"), o.as("bob")
			made := into[struct{ UID protocol.UID }](t, alice.do(http.MethodPost, c.path, c.fits), http.StatusCreated)
			p := alice.do(http.MethodPost, c.path, c.tooMuch).problem(t, protocol.KindQuotaExceeded)
			if p.Status != http.StatusRequestEntityTooLarge || !strings.Contains(p.Detail, c.word) || p.Hint == nil {
				t.Errorf("refused with %+v", p)
			}
			into[struct{}](t, bob.do(http.MethodPost, c.path, c.fits), http.StatusCreated)
			if a := alice.do(http.MethodDelete, c.giveBack+made.UID.String(), ""); a.StatusCode != http.StatusNoContent {
				t.Fatalf("given back with %s", a.Status)
			}
			into[struct{}](t, alice.do(http.MethodPost, c.path, c.fits), http.StatusCreated)
		})
	}
}

// TestQuotaRace: however many begin at once, no more than the limit get in,
// and with each way of getting in counted together.
func TestQuotaRace(t *testing.T) {
	o := startOspdWith(t, meta.Quota{Files: limit(5)}, nil)
	alice := o.as("alice")
	var made atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			path, body := "/v1/uploads", `{"name": "a", "size": 1}`
			if i%2 == 0 {
				path, body = "/v1/files?name=b", "b"
			}
			switch a := alice.do(http.MethodPost, path, body); a.StatusCode {
			case http.StatusCreated:
				made.Add(1)
			default:
				a.problem(t, protocol.KindQuotaExceeded)
			}
		})
	}
	wg.Wait()
	if made.Load() != 5 {
		t.Errorf("%d were made, want 5", made.Load())
	}
}
