//go:build postgres

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// asked is what one node answers.
func asked(t *testing.T, method, url string, body []byte, header ...string) (int, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Close = true
	r, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, b
}

func decoded(t *testing.T, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
}

// TestPostgresPeers: parts that are sent to all nodes come together at the one that
// has the file, and each reads it; while that one is down the others say so at
// once, and put what is new on their own disks; when it is back it goes on.
func TestPostgresPeers(t *testing.T) {
	first := joining(t, config(t))
	configs := []Config{first, nodeOn(t, first), nodeOn(t, first)}
	var urls []string
	var stops []func() error
	for _, cfg := range configs {
		d, stop := running(t, cfg)
		urls, stops = append(urls, d.URL()), append(stops, stop)
	}
	data := make([]byte, 40<<20)
	rand.NewChaCha8([32]byte{7}).Read(data)
	_, b := asked(t, http.MethodPost, urls[1]+"/v1/uploads", []byte(fmt.Sprintf(`{"name": "a", "size": %d}`, len(data))), "Content-Type", "application/json")
	var u protocol.Upload
	decoded(t, b, &u)
	path := "/v1/uploads/" + u.UID.String()
	for n := 0; n*int(u.PartSize) < len(data); n++ {
		part := data[n*int(u.PartSize) : min(len(data), (n+1)*int(u.PartSize))]
		if status, b := asked(t, http.MethodPut, fmt.Sprintf("%s%s/parts/%d", urls[n%3], path, n+1), part); status != http.StatusOK {
			t.Fatalf("part %d at node %d: %d %s", n+1, n%3, status, b)
		}
	}
	for i, url := range urls {
		var seen protocol.Upload
		_, b := asked(t, http.MethodGet, url+path, nil)
		if decoded(t, b, &seen); len(seen.Parts) != 5 {
			t.Errorf("at node %d it has %d parts", i, len(seen.Parts))
		}
	}
	if status, b := asked(t, http.MethodPost, urls[2]+path+"/commit", nil); status != http.StatusOK {
		t.Fatalf("commit: %d %s", status, b)
	}
	content := "/v1/files/" + u.UID.String() + "/content"
	for i, url := range urls {
		if status, b := asked(t, http.MethodGet, url+content, nil); status != http.StatusOK || !bytes.Equal(b, data) {
			t.Errorf("node %d reads %d, %d bytes", i, status, len(b))
		}
		if status, b := asked(t, http.MethodGet, url+content, nil, "Range", "bytes=4194300-4194309"); status != http.StatusPartialContent || !bytes.Equal(b, data[4194300:4194310]) {
			t.Errorf("node %d reads of a range %d, %d bytes", i, status, len(b))
		}
	}
	if err := stops[1](); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{urls[0], urls[2]} {
		if status, b := asked(t, http.MethodGet, url+content, nil); status != http.StatusServiceUnavailable || !strings.Contains(string(b), `"owner_down"`) {
			t.Errorf("without the node that has it: %d %.200s", status, b)
		}
		if status, b := asked(t, http.MethodPost, url+"/v1/files?name=b", data[:100]); status != http.StatusCreated {
			t.Errorf("a put beside: %d %s", status, b)
		}
	}
	running(t, configs[1])
	for deadline := time.Now().Add(time.Minute); ; {
		status, b := asked(t, http.MethodGet, urls[0]+content, nil)
		if status == http.StatusOK && bytes.Equal(b, data) {
			break
		}
		if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			t.Fatalf("when it is back: %d %.200s", status, b)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
