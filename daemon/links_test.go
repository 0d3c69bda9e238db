package daemon

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestLinksByConfiguration: links are printed under public_url, for as long as
// links.max_expiry allows and not for longer.
func TestLinksByConfiguration(t *testing.T) {
	path := write(t, "public_url: https://files.example.com\nlinks: {max_expiry: 1h}\n")
	cfg, err := LoadConfig(path, nil, map[string]any{"listen": "127.0.0.1:0", "data": filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := running(t, Located(t, cfg))
	sign := func(seconds string) (status int, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL()+"/v1/links",
			strings.NewReader(`{"links": [{"action": "put", "name": "a.txt", "expires_in": `+seconds+`}]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		return do(t, req)
	}
	status, body := sign("3600")
	var made protocol.LinkList
	if err := json.Unmarshal([]byte(body), &made); err != nil || len(made.Links) != 1 {
		t.Fatalf("an hour: %d %s", status, body)
	}
	if l := made.Links[0]; l.URL != "https://files.example.com/l/"+l.Token {
		t.Errorf("the address is %s", l.URL)
	}
	if status, body := sign("3601"); status != http.StatusBadRequest {
		t.Errorf("a second more: %d %s", status, body)
	}
}
