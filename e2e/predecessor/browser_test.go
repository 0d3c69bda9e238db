package predecessor

import (
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// savedAs is the name under which an answer asks to be saved.
func savedAs(t testing.TB, ans harness.Answer) string {
	t.Helper()
	_, params, err := mime.ParseMediaType(ans.Header.Get("Content-Disposition"))
	if err != nil {
		t.Errorf("Content-Disposition %q: %v", ans.Header.Get("Content-Disposition"), err)
	}
	return params["filename"]
}

// names are those that an address or a header may break at.
func names() []string {
	return []string{
		"a&b=c.txt", "a#b.txt", "100%.txt", "%41%2f.txt", "a+b c.txt", "a;b=c.txt", `quote".txt`, "'single'.txt", "a,b.txt", "märz.pdf", "報告書.pdf",
		"name=x&uid=1.txt", "filename*=UTF-8''x.txt", "?.txt", "a=.txt", "emoji 🙂.png", "noextension", ".hidden", "folder/a&b/c#d.txt",
	}
}

// It served what it sniffed, pages among it, inline on its own origin.
func TestA11NothingRunsOnTheOrigin(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	inline := protocol.DispositionInline
	for name, content := range map[string]string{
		"text/html":                `<html><script>alert(1)</script></html>`,
		"image/svg+xml":            `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`,
		"text/xml":                 `<?xml version="1.0"?><a/>`,
		"application/xhtml+xml":    `<html xmlns="http://www.w3.org/1999/xhtml"/>`,
		"text/javascript":          `alert(1)`,
		"image/png; x=\"a\"":       `<html>`,
		"application/octet-stream": `<html><script>alert(1)</script></html>`,
	} {
		f := owner.put("a11", []byte(content), "Content-Type", name)
		l := toGet(f.UID)
		l.Disposition = &inline
		for _, ans := range []harness.Answer{owner.get(contentOf(f.UID) + "?disposition=inline"), owner.get(contentOf(f.UID)), stranger.get("/l/" + owner.link(l).Token)} {
			safe(t, name, owner.want(ans, http.StatusOK))
		}
	}
	// A type that its link says is no more trusted than one that its sender said.
	f := owner.put("a11", []byte("<html>"), "Content-Type", "text/plain")
	l, page := toGet(f.UID), "text/html"
	l.Disposition, l.MediaType = &inline, &page
	safe(t, "a link to a page", stranger.want(stranger.get("/l/"+owner.link(l).Token), http.StatusOK))
}

// safe expects what keeps browsers from running what they got.
func safe(t *testing.T, what string, ans harness.Answer) {
	t.Helper()
	if got := ans.Header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("%s: X-Content-Type-Options %q", what, got)
	}
	if got := ans.Header.Get("Content-Security-Policy"); !strings.Contains(got, "sandbox") || !strings.Contains(got, "default-src 'none'") {
		t.Errorf("%s: Content-Security-Policy %q", what, got)
	}
	if got := ans.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("%s: Referrer-Policy %q", what, got)
	}
	shown := strings.HasPrefix(ans.Header.Get("Content-Disposition"), "inline")
	base, _, _ := strings.Cut(ans.Header.Get("Content-Type"), ";")
	if shown && base != "image/png" && base != "text/plain" { // a text is not sniffed, so it is no script
		t.Errorf("%s: %q is shown", what, base)
	}
}

// File names went into the header unquoted.
func TestA12NamesComeBackFromTheHeader(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	for _, name := range names() {
		f := owner.put(name, []byte("abc"))
		for _, ans := range []harness.Answer{owner.get(contentOf(f.UID)), stranger.get("/l/" + owner.link(toGet(f.UID)).Token)} {
			owner.want(ans, http.StatusOK)
			if got := savedAs(t, ans); got != path.Base(name) {
				t.Errorf("%q is saved as %q, by %q", name, got, ans.Header.Get("Content-Disposition"))
			}
			if values := ans.Header.Values("Content-Disposition"); len(values) != 1 {
				t.Errorf("%q: %q", name, values)
			}
		}
	}
}

// File names went into the link raw, and broke its query.
func TestA13LinksOfAnyNameParseBack(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	for _, name := range names() {
		put := owner.link(toPut(name))
		checkURL(t, put, name)
		f := into[protocol.File](stranger, stranger.do(http.MethodPut, "/l/"+put.Token, []byte("abc")), http.StatusCreated)
		if f.Name != name || f.UID != put.UID {
			t.Errorf("the link for %q put %+v", name, f)
		}
		l, base := toGet(f.UID), path.Base(name)
		l.Name = &base
		get := owner.link(l)
		checkURL(t, get, name)
		if got := savedAs(t, stranger.want(stranger.get("/l/"+get.Token), http.StatusOK)); got != base {
			t.Errorf("the link for %q saves %q", base, got)
		}
	}
}

// checkURL expects nothing in an address that must be escaped.
func checkURL(t *testing.T, l protocol.Link, name string) {
	t.Helper()
	if l.URL != shared.url+"/l/"+l.Token || strings.ContainsAny(l.Token, "?&#%=+/ \"'") {
		t.Errorf("the link for %q is %s", name, l.URL)
	}
}

// It allowed every origin, with credentials.
func TestA16NoOriginIsLetInUnasked(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	f := owner.put("a16", []byte("abc"))
	link := owner.link(toGet(f.UID))
	for _, origin := range []string{"https://evil.example", "null", shared.url} {
		for _, way := range []string{http.MethodGet, http.MethodOptions} {
			for _, p := range []string{contentOf(f.UID), "/l/" + link.Token, "/v1/files", "/v1/capabilities", "/api/storage/v0/ping"} {
				for _, c := range []caller{owner, stranger} {
					ans := c.do(way, p, nil, "Origin", origin, "Access-Control-Request-Method", "PUT")
					for name := range ans.Header {
						if strings.HasPrefix(name, "Access-Control-") {
							t.Errorf("%s %s from %s: %s", way, p, origin, fmt.Sprint(name, ans.Header[name]))
						}
					}
				}
			}
		}
	}
}
