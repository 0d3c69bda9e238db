package api

import (
	"net/http"
	"testing"
)

// TestPagesMayEmbedLinks: a page of any site may show what a signed link is the
// right to, as <img> and the like do it; what is asked for with a token stays on
// its site.
func TestPagesMayEmbedLinks(t *testing.T) {
	alice := startOspd(t).as("alice")
	uid, _ := aFile(alice)
	_, l := aLinkToGet(alice)
	signed := alice.v0Downloads(60, uid.String())[0].URL
	for name, c := range map[string]struct{ method, target, ranged, want string }{
		"a link":               {http.MethodGet, "/l/" + l, "", "cross-origin"},
		"a part of a link":     {http.MethodGet, "/l/" + l, "bytes=1-", "cross-origin"},
		"a link's header":      {http.MethodHead, "/l/" + l, "", "cross-origin"},
		"a link of v0":         {http.MethodGet, signed, "", "cross-origin"},
		"a part of one of v0":  {http.MethodGet, signed, "bytes=1-", "cross-origin"},
		"a file, with a token": {http.MethodGet, contentPath(uid), "", "same-site"},
		"its header":           {http.MethodHead, contentPath(uid), "", "same-site"},
	} {
		header := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}
		if c.ranged != "" {
			header = append(header, "Range", c.ranged)
		}
		a := alice.do(c.method, c.target, "", header...)
		if got := a.Header.Get("Cross-Origin-Resource-Policy"); a.StatusCode/100 != 2 || got != c.want {
			t.Errorf("%s is answered %s with %q, want %q", name, a.Status, got, c.want)
		}
	}
}
