//go:build servers

package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// otherSite is a page of another site than the daemon's, with links of its.
var otherSite = template.Must(template.New("page").Parse(`<!doctype html><title>Another site</title>
<body data-put="{{.Put}}" data-get="{{.Get}}"><img id="linked" src="{{.Get}}"><img id="named" src="{{.Named}}"></body>`))

// TestPagesUseLinks: a page of any site shows a picture by its signed link, and
// not by the address that needs a token. One whose origin is named puts a file
// by a link and reads by one; another's requests change nothing.
func TestPagesUseLinks(t *testing.T) {
	var links struct{ Put, Get, Named string }
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := otherSite.Execute(w, links); err != nil {
			t.Error(err)
		}
	})
	// To a browser localhost is another site than 127.0.0.1, where the daemon is.
	site := func() string {
		srv := httptest.NewServer(pages)
		t.Cleanup(srv.Close)
		return strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	}
	known, unknown := site(), site()
	config := filepath.Join(t.TempDir(), "ospd.yaml")
	if err := os.WriteFile(config, []byte("cors: {origins: ["+known+"]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := harness.StartDaemon(t, bin, t.TempDir(), "--config", config)
	token := strings.TrimSpace(run(t, exec.Command(bin.OSPD, "token", "create", "--data", d.Data, "--owner", "ann", "--scopes", "file:read,file:write,link:create")))
	api, authorization := d.API(), []string{"Authorization", "Bearer " + token}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 31, 17))); err != nil {
		t.Fatal(err)
	}
	f := api.MustFile(api.Do(http.MethodPost, "/v1/files?name=a.png", bytes.NewReader(picture.Bytes()), int64(picture.Len()), append(authorization, "Content-Type", "image/png")...), http.StatusCreated)
	sign := func(l map[string]any) protocol.Link {
		t.Helper()
		var made protocol.LinkList
		ans := api.JSON(http.MethodPost, "/v1/links", map[string]any{"links": []any{l}}, authorization...)
		if err := json.Unmarshal(ans.Body, &made); err != nil || len(made.Links) != 1 {
			t.Fatalf("%d %s", ans.Status, ans.Body)
		}
		return made.Links[0]
	}
	links.Get = sign(map[string]any{"action": "get", "uid": f.UID, "disposition": "inline"}).URL
	links.Named = fmt.Sprintf("%s/v1/files/%s/content", d.URL, f.UID)
	for _, c := range []struct {
		site     string
		put, get int
		text     string
	}{
		{unknown, 0, 0, ""},
		{known, http.StatusCreated, http.StatusPartialContent, picture.String()[1:4]},
	} {
		put := sign(map[string]any{"action": "put", "name": "page.txt"})
		links.Put = put.URL
		got := visitLinks(t, c.site)
		if got.Widths["linked"] != 31 || got.Widths["named"] != 0 {
			t.Errorf("%s: pictures as wide as %v", c.site, got.Widths)
		}
		if got.Put.Status != c.put || got.Get.Status != c.get || c.get != 0 && got.Get.Text != c.text {
			t.Errorf("%s: put %+v, got %+v", c.site, got.Put, got.Get)
		}
		ans := api.Do(http.MethodGet, fmt.Sprintf("/v1/files/%s/content", put.UID), nil, 0, authorization...)
		if c.put == 0 && ans.Status != http.StatusNotFound || c.put != 0 && string(ans.Body) != "put by a page" {
			t.Errorf("%s: the file is %d %q", c.site, ans.Status, ans.Body)
		}
	}
}

// linksVisit is what links.js saw.
type linksVisit struct {
	Widths   map[string]int
	Put, Get answer
}

func visitLinks(t *testing.T, page string) (v linksVisit) {
	t.Helper()
	if err := json.Unmarshal(inBrowser(t, "links.js", page), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
