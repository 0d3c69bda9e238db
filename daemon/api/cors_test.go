package api

import (
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/protocol"
)

const aPage, anotherPage = "https://app.example.com", "http://localhost:3000"

// corsWorld is a server whose routes only count, open or with one token.
type corsWorld struct {
	*fixture
	routes counting
	secret string
	// named and any are what is configured.
	named []string
	any   bool
}

func startCORS(t *testing.T, closed, anyOrigin bool, named ...string) *corsWorld {
	t.Helper()
	db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), Logger: slog.New(slog.DiscardHandler)})
	closeLater(t, db)
	minter, err := meta.NewMinter(db, 0, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w := &corsWorld{named: named, any: anyOrigin}
	tokens := token.NewService(token.Config{Records: db})
	if closed {
		made, err := tokens.Create(t.Context(), protocol.CreateToken{Owner: "ann", Scopes: protocol.AllScopes()})
		if err != nil {
			t.Fatal(err)
		}
		w.secret = made.Secret
	}
	cfg := Config{Tokens: tokens, Links: link.New(link.Config{Records: db, Minter: minter}), Origins: slices.Clone(named)}
	if anyOrigin {
		cfg.Origins = append(cfg.Origins, AnyOrigin)
	}
	all := map[protocol.RouteName]endpoint{}
	for _, r := range protocol.Routes() {
		all[r.Name] = endpoint{serve: w.routes.serve}
	}
	w.fixture = start(t, cfg, all)
	return w
}

// wants is the specification: whose pages an answer is for.
func (w *corsWorld) wants(origin string, isLink bool) string {
	switch {
	case slices.Contains(w.named, origin):
		return origin
	case w.any && isLink && origin != "":
		return "*"
	}
	return ""
}

// check is what holds of every answer, whatever was asked.
func (w *corsWorld) check(t *testing.T, a answer, origin string, isLink bool) {
	t.Helper()
	want := w.wants(origin, isLink)
	if got := a.Header.Get("Access-Control-Allow-Origin"); got != want {
		t.Errorf("is for %q, want %q: %s %s", got, want, a.Status, a.body)
	}
	if a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("comes with %v", a.Header)
	}
	if got := a.Header.Get("Access-Control-Expose-Headers") != ""; got != (want != "") {
		t.Errorf("has headers for pages: %v", got)
	}
	if varies := strings.HasPrefix(a.Header.Get("Vary"), "Origin"); varies != (w.any || len(w.named) > 0) {
		t.Errorf("Vary is %q", a.Header.Get("Vary"))
	}
}

// TestCORS is the matrix: what is configured, with and without tokens, over all
// routes, origins, with what a browser adds by itself and with what a page adds,
// and the preflights of all that.
func TestCORS(t *testing.T) {
	for name, c := range map[string]struct {
		named []string
		any   bool
	}{
		"off":                  {},
		"two origins":          {[]string{aPage, anotherPage}, false},
		"links for all":        {nil, true},
		"one, and links alone": {[]string{aPage}, true},
	} {
		for _, closed := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", with tokens"}[closed], func(t *testing.T) {
				w := startCORS(t, closed, c.any, c.named...)
				own := "http://" + w.addr
				for _, r := range protocol.Routes() {
					path := protocol.Route{Path: r.Expand(7, 1)}.ExpandID("x")
					isLink := strings.HasPrefix(path, "/l/")
					for _, origin := range []string{"", own, "null", aPage, anotherPage, aPage + ".evil.example", "http://app.example.com", aPage + ":8443", "https://APP.example.com"} {
						t.Run(string(r.Name)+" from "+origin, func(t *testing.T) {
							// Of an open daemon it may follow links, and nothing else.
							refused := !closed && origin != "" && origin != own && w.wants(origin, isLink) == ""
							w.visit(t, r, path, origin, isLink, refused && !isLink)
							w.ask(t, r, path, origin, isLink, refused)
						})
					}
				}
			})
		}
	}
}

// visit sends the request itself, with credentials and without.
func (w *corsWorld) visit(t *testing.T, r protocol.Route, path, origin string, isLink, refused bool) {
	for _, token := range []string{"", w.secret} {
		header := []string{"Cookie", "session=1", "Origin", origin}
		if origin == "" {
			header = header[:2]
		}
		if token != "" {
			header = append(header, "Authorization", "Bearer "+token)
		}
		before := len(w.routes.seen())
		a := w.do(r.Method, path, "", header...)
		w.check(t, a, origin, isLink)
		ran := len(w.routes.seen()) - before
		public := guards()[r.Name].access == public
		switch want := !refused && !isLink && (public || w.secret == "" || token != ""); {
		case want && (ran != 1 || a.StatusCode != http.StatusOK):
			t.Errorf("ran %d times: %s %s", ran, a.Status, a.body)
		case !want && ran != 0:
			t.Errorf("ran: %s", a.Status)
		case refused && a.StatusCode != http.StatusForbidden, !want && !refused && !isLink && a.StatusCode != http.StatusUnauthorized:
			t.Errorf("is answered %s %s", a.Status, a.body)
		}
	}
}

// ask sends the preflight.
func (w *corsWorld) ask(t *testing.T, r protocol.Route, path, origin string, isLink, refused bool) {
	before := len(w.routes.seen())
	header := []string{"Access-Control-Request-Method", r.Method, "Access-Control-Request-Headers", "authorization,content-type", "Origin", origin}
	if origin == "" {
		header = header[:4]
	}
	a := w.do(http.MethodOptions, path+"?name=a", "", header...)
	w.check(t, a, origin, isLink)
	if len(w.routes.seen()) != before {
		t.Error("a preflight ran the route")
	}
	if w.wants(origin, isLink) == "" {
		want := http.StatusMethodNotAllowed
		if refused {
			want = http.StatusForbidden
		}
		if a.StatusCode != want || a.Header.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("a preflight is answered %s %v, want %d", a.Status, a.Header, want)
		}
		return
	}
	allowed := strings.Split(strings.ToLower(a.Header.Get("Access-Control-Allow-Headers")), ", ")
	if a.StatusCode != http.StatusNoContent || len(a.body) > 0 || a.Header.Get("Access-Control-Allow-Methods") != r.Method ||
		!slices.Contains(allowed, "authorization") || !slices.Contains(allowed, "content-type") || slices.Contains(allowed, "*") ||
		a.Header.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("a preflight is answered %s %v", a.Status, a.Header)
	}
}

// TestCORSPreflights: only for what there is.
func TestCORSPreflights(t *testing.T) {
	w := startCORS(t, true, true, aPage)
	for name, c := range map[string]struct {
		method, path string
		header       []string
		status       int
	}{
		"no such path":          {"OPTIONS", "/v2/files", []string{"Access-Control-Request-Method", "GET"}, 404},
		"no such method":        {"OPTIONS", "/v1/files", []string{"Access-Control-Request-Method", "DELETE"}, 405},
		"a method in lowercase": {"OPTIONS", "/v1/files/7", []string{"Access-Control-Request-Method", "patch"}, 405},
		"an invented method":    {"OPTIONS", "/v1/files", []string{"Access-Control-Request-Method", "GET, HEAD"}, 405},
		"no method":             {"OPTIONS", "/v1/files", nil, 405},
		"a path trick":          {"OPTIONS", "/v1//files", []string{"Access-Control-Request-Method", "GET"}, 400},
		"not an OPTIONS":        {"GET", "/v1/files", []string{"Access-Control-Request-Method", "GET"}, 401},
		"of a uid that is none": {"OPTIONS", "/v1/files/x", []string{"Access-Control-Request-Method", "GET"}, 204},
		"of HEAD":               {"OPTIONS", "/v1/files/7", []string{"Access-Control-Request-Method", "HEAD"}, 204},
	} {
		a := w.do(c.method, c.path, "", append(c.header, "Origin", aPage)...)
		if w.check(t, a, aPage, false); a.StatusCode != c.status {
			t.Errorf("%s: answered %s %s, want %d", name, a.Status, a.body, c.status)
		}
	}
	if seen := w.routes.seen(); len(seen) > 0 {
		t.Errorf("ran %q", seen)
	}
}

// TestCORSOnRefusals: a page can read why it is refused, however early that is.
func TestCORSOnRefusals(t *testing.T) {
	w := startCORS(t, true, false, aPage)
	const to = " HTTP/1.1\r\nHost: HOST\r\nOrigin: " + aPage + "\r\n"
	bearer := "Authorization: Bearer " + w.secret + "\r\n"
	for raw, status := range map[string]int{
		"PUT /v1/uploads/7/parts/1" + to + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n": 400,
		"GET /v1/%66iles" + to + "\r\n": 400,
		"GET /v1/files" + to + "\r\n":   401,
		"PUT /v1/uploads/7/parts/1" + to + "Content-Length: 9\r\nExpect: 100-continue\r\n\r\n": 401,
		"GET /l/x" + to + "\r\n":      403,
		"GET /nowhere" + to + "\r\n":  404,
		"PUT /v1/files" + to + "\r\n": 405,
		"PUT /v1/uploads/7/parts/1" + to + bearer + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 411,
		"POST /v1/files?name=a" + to + bearer + "Content-Length: 9999999\r\n\r\na":                413,
		"POST /v1/uploads" + to + bearer + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na": 415,
	} {
		a := w.dial().send(raw).read(http.MethodGet)
		if w.check(t, a, aPage, false); a.StatusCode != status {
			t.Errorf("%q is answered %s %s, want %d", raw, a.Status, a.body, status)
		}
	}
	f := start(t, Config{Origins: []string{aPage}}, map[protocol.RouteName]endpoint{protocol.RouteListFiles: {serve: func(*call) error { panic("a test") }}})
	if a := f.do(http.MethodGet, "/v1/files", "", "Origin", aPage); a.StatusCode != http.StatusInternalServerError || a.Header.Get("Access-Control-Allow-Origin") != aPage || a.Header.Get("Vary") != "Origin" {
		t.Errorf("a panic is answered %s %v", a.Status, a.Header)
	}
}

// TestCORSOfLinks: a page of any origin gets a file with a link, and puts one, and
// does nothing else.
func TestCORSOfLinks(t *testing.T) {
	o := startOspdWith(t, meta.Quota{}, nil, AnyOrigin)
	_, get := aLinkToGet(o)
	_, put := aLinkToPut(o)
	a := o.do(http.MethodGet, "/l/"+get, "", "Origin", aPage, "Range", "bytes=1-", "Sec-Fetch-Site", "cross-site")
	if string(a.body) != "bc" || a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a link is answered %s %q %v", a.Status, a.body, a.Header)
	}
	a = o.do(http.MethodPut, "/l/"+put, "abc", "Origin", aPage, "Sec-Fetch-Site", "cross-site")
	if f := into[protocol.File](t, a, http.StatusCreated); a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%+v is answered %v", f, a.Header)
	}
	o.do(http.MethodGet, "/v1/files", "", "Origin", aPage).problem(t, protocol.KindBadOrigin)
}

// TestCORSShowsHeaders: what an answer says in its header is for pages to read,
// but for what is the browser's alone.
func TestCORSShowsHeaders(t *testing.T) {
	open := startOspdWith(t, meta.Quota{}, nil, aPage)
	o := open.as("ann")
	got := map[string]bool{}
	note := func(a answer) {
		for name := range maps.Keys(a.Header) {
			got[http.CanonicalHeaderKey(name)] = true
		}
	}
	for _, r := range protocol.Routes() {
		v := visits()[r.Name]
		path := r.Path
		if v.prepare != nil {
			uid, id := v.prepare(o)
			path = protocol.Route{Path: r.Expand(uid, 1)}.ExpandID(id)
		}
		a := o.do(r.Method, path+v.query, v.body, "Origin", aPage)
		if note(a); a.StatusCode != v.want {
			t.Errorf("%s: %s", r.Name, a.Status)
		}
	}
	uid, _ := aFile(o)
	note(o.do(http.MethodGet, contentPath(uid), "", "Origin", aPage, "Range", "bytes=1-"))
	note(o.do(http.MethodPut, "/v1/files", "", "Origin", aPage))
	note(open.do(http.MethodGet, "/v1/files", "", "Origin", aPage))

	safelisted := []string{"Cache-Control", "Content-Language", "Content-Length", "Content-Type", "Expires", "Last-Modified", "Pragma"}
	browsers := []string{"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Connection", "Content-Security-Policy", "Cross-Origin-Resource-Policy",
		"Date", "Referrer-Policy", "Vary", "X-Content-Type-Options"}
	for name := range got {
		shown := slices.ContainsFunc(strings.Split(answerHeaders, ", "), func(s string) bool { return strings.EqualFold(s, name) })
		if shown == (slices.Contains(safelisted, name) || slices.Contains(browsers, name)) {
			t.Errorf("%s is shown: %v", name, shown)
		}
	}
	for _, name := range []string{"Location", "Etag", "Content-Range", "Content-Disposition", "Allow", "Www-Authenticate", "X-Request-Id", "Repr-Digest"} {
		if !got[name] {
			t.Errorf("no answer had %s", name)
		}
	}
}
