package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// v0Unsigned are requests for routes that have no signature, and what each needs.
var v0Unsigned = map[string]struct {
	method, path, body string
	scopes             []protocol.Scope
	status             int // with all that is needed
}{
	"link/upload":   {"POST", "/link/upload", `{"filePath": ["a.txt"], "expire": 60}`, []protocol.Scope{protocol.ScopeLinkCreate, protocol.ScopeFileWrite}, 200},
	"link/download": {"POST", "/link/download", `{"uid": ["7"], "expire": 60}`, []protocol.Scope{protocol.ScopeLinkCreate, protocol.ScopeFileRead}, 200},
	"resume":        {"POST", "/resume", `{"data": []}`, []protocol.Scope{protocol.ScopeFileWrite}, 200},
	"checkpoint":    {"GET", "/checkpoint?uid=7", "", []protocol.Scope{protocol.ScopeFileWrite}, 200},
	"proxy":         {"GET", "/proxy?uid=7", "", []protocol.Scope{protocol.ScopeFileRead}, 404},
}

// TestV0RoutesAreGuarded: each route of the table is for everybody, by signature,
// or in v0Unsigned.
func TestV0RoutesAreGuarded(t *testing.T) {
	for _, row := range v0Rows() {
		switch name := strings.TrimPrefix(row.path, "/"); row.guard.access {
		case public:
			if name != "ping" && name != "health" {
				t.Errorf("%s is for everybody", name)
			}
		case bySignature:
			if !strings.HasPrefix(name, "upload") && name != "download" || row.guard.link == "" {
				t.Errorf("%s has the guard %+v", name, row.guard)
			}
		case byTokenOrAddress:
			if _, ok := v0Unsigned[name]; !ok {
				t.Errorf("%s is in no test", name)
			}
		default:
			t.Errorf("%s has the guard %+v", name, row.guard)
		}
	}
}

// TestV0Access: who may use the routes without a signature: who has a token with
// every scope that is needed, and who calls from an address that is listed.
func TestV0Access(t *testing.T) {
	local, others := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")
	listed := V0Access{Owner: "apps", From: []netip.Prefix{others, local}}
	for name, c := range map[string]struct {
		access V0Access
		tokens bool
		header []string
		ok     bool
	}{
		"nobody, open":                        {V0Access{}, false, nil, false},
		"nobody, with tokens":                 {V0Access{}, true, nil, false},
		"any token, open":                     {V0Access{}, false, []string{"Authorization", "Bearer osp_x"}, false},
		"listed, open":                        {listed, false, nil, true},
		"listed, with tokens":                 {listed, true, nil, true},
		"listed, a bad token":                 {listed, true, []string{"Authorization", "Bearer osp_x"}, false},
		"listed, any token, open":             {listed, false, []string{"Authorization", "Bearer osp_x"}, false},
		"another address":                     {V0Access{Owner: "apps", From: []netip.Prefix{others}}, true, nil, false},
		"another address, forwarded for":      {V0Access{Owner: "apps", From: []netip.Prefix{others}}, true, []string{"X-Forwarded-For", "192.0.2.7", "Forwarded", "for=192.0.2.7", "X-Real-Ip", "192.0.2.7"}, false},
		"listed, forwarded for":               {listed, true, []string{"X-Forwarded-For", "198.51.100.1"}, true},
		"no owner":                            {V0Access{From: []netip.Prefix{local}}, true, nil, false},
		"listed, a page of its own":           {listed, true, []string{"Origin", "http://HOST", "Sec-Fetch-Site", "same-origin"}, true},
		"listed, a page of another":           {listed, true, []string{"Origin", "https://evil.example"}, false},
		"listed, an image of another":         {listed, true, []string{"Sec-Fetch-Site", "cross-site"}, false},
		"listed, a name that resolves to it":  {listed, true, []string{"Host", "evil.example"}, false},
		"listed, a page of a named one":       {listed, true, []string{"Origin", "https://app.example"}, true},
		"unlisted, a page of a named one":     {V0Access{}, true, []string{"Origin", "https://app.example"}, false},
		"listed by IPv4 in IPv6, not by IPv6": {V0Access{Owner: "apps", From: []netip.Prefix{netip.MustParsePrefix("::/0")}}, true, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := startOspdAs(t, meta.Quota{}, func(cfg *Config) { cfg.V0, cfg.Origins = c.access, []string{"https://app.example"} })
			if c.tokens {
				o.newToken("alice")
			}
			for route, r := range v0Unsigned {
				raw := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: HOST\r\nContent-Length: %d\r\n", r.method, v0Prefix+r.path, len(r.body))
				for i := 0; i < len(c.header); i += 2 {
					if c.header[i] == "Host" {
						raw = strings.Replace(raw, "Host: HOST", "Host: "+c.header[i+1], 1)
						continue
					}
					raw += c.header[i] + ": " + c.header[i+1] + "\r\n"
				}
				want := r.status
				if !c.ok {
					want = http.StatusUnauthorized
				}
				a := o.dial().send(raw + "\r\n" + r.body).read(r.method)
				if a.v0(t, want); t.Failed() {
					t.Fatalf("%s: %s", route, a.body)
				}
			}
		})
	}
}

// TestV0PagesOffLoopback: where the daemon does not know its own names, a page's
// own name may have been made to resolve to it; what such a page asks of its own
// site has no Origin.
func TestV0PagesOffLoopback(t *testing.T) {
	o := startOspdAs(t, meta.Quota{}, func(cfg *Config) {
		cfg.V0, cfg.PublicURL = V0Access{Owner: "apps", From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, "https://Files.example"
	})
	o.cfg.Hosts = nil
	for header, want := range map[string]int{
		"Host: evil.example:80\r\nOrigin: http://evil.example:80":       401,
		"Host: files.example\r\nOrigin: https://files.example":          200,
		"Host: HOST\r\nOrigin: http://HOST":                             200,
		"Host: [::1]:80\r\nOrigin: http://[::1]:80":                     200,
		"Host: HOST\r\nOrigin: http://evil.example":                     401,
		"Host: inside.example":                                          401,
		"Host: evil.example:80\r\nSec-Fetch-Site: same-origin":          401,
		"Host: evil.example:80":                                         401,
		"Host: files.example:8080":                                      200,
		"Host: HOST":                                                    200,
		"Host: localhost:80":                                            200,
		"Host: LocalHost":                                               200,
		"Host: localhost.evil.example":                                  401,
		"Host: evil.example\r\nSec-Fetch-Site: cross-site":              401,
		"Host: files.example.evil\r\nOrigin: http://files.example.evil": 401,
	} {
		body := v0Unsigned["link/upload"].body
		a := o.dial().send(fmt.Sprintf("POST %s/link/upload HTTP/1.1\r\n%s\r\nContent-Length: %d\r\n\r\n%s", v0Prefix, header, len(body), body)).read(http.MethodPost)
		if a.v0(t, want); t.Failed() {
			t.Fatal(header)
		}
	}
}

// TestV0Scopes: a token without one of the scopes is not enough.
func TestV0Scopes(t *testing.T) {
	o := startOspdAs(t, meta.Quota{}, func(cfg *Config) {
		cfg.V0 = V0Access{Owner: "apps", From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	})
	for name, r := range v0Unsigned {
		o.as("alice", r.scopes...).do(r.method, v0Prefix+r.path, r.body).v0(t, r.status)
		for i := range r.scopes {
			var less []protocol.Scope
			for _, s := range protocol.AllScopes() {
				if s != r.scopes[i] {
					less = append(less, s)
				}
			}
			if o.as("alice", less...).do(r.method, v0Prefix+r.path, r.body).v0(t, http.StatusUnauthorized); t.Failed() {
				t.Fatalf("%s without %s", name, r.scopes[i])
			}
		}
	}
}

// TestV0Owner: callers from listed addresses are that owner, and reach nothing of
// others.
func TestV0Owner(t *testing.T) {
	o := startOspdAs(t, meta.Quota{}, func(cfg *Config) {
		cfg.V0 = V0Access{Owner: "apps", From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	})
	alice, apps := o.as("alice"), o.as("apps")
	hers := alice.upload("a.txt", []byte("abc"))
	l := o.v0Links("b.txt")[0]
	o.v0Put(l.URL.Single, []byte("abc")).v0(t, http.StatusOK)
	if f := into[protocol.File](t, apps.do(http.MethodGet, "/v1/files/"+l.UID, ""), http.StatusOK); f.Owner != "apps" {
		t.Errorf("%+v", f)
	}
	if got := o.v0Downloads(60, hers.UID.String(), l.UID); len(got) != 1 || got[0].UID != l.UID {
		t.Errorf("%+v", got)
	}
	o.do(http.MethodGet, v0Prefix+"/proxy?uid="+hers.UID.String(), "").v0(t, http.StatusNotFound)
	if a := o.do(http.MethodGet, "/v1/files/"+l.UID, ""); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("v1 lets in who has no token: %s", a.Status)
	}
	if log := o.log.String(); !strings.Contains(log, "owner=apps") || strings.Contains(log, queryOf(t, l.URL.Single).Get("signature")) {
		t.Error("the log does not say who it was, or has a signature")
	}
}

// TestV0LinksOfAnOpenDaemon: without tokens a signed link, too, is good for the
// daemon's own names alone; and the first token ends those of whom everybody was.
func TestV0LinksOfAnOpenDaemon(t *testing.T) {
	for owner, after := range map[protocol.Owner]int{protocol.OwnerLocal: http.StatusUnauthorized, "apps": http.StatusOK} {
		o := startOspdAs(t, meta.Quota{}, func(cfg *Config) {
			cfg.V0 = V0Access{Owner: owner, From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
		})
		l := o.v0Links("a.txt")[0]
		o.v0Put(l.URL.Single, []byte("abc")).v0(t, http.StatusOK)
		link := o.v0Downloads(60, l.UID)[0].URL
		get := func(host string) answer {
			return o.dial().send("GET " + link + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n").read(http.MethodGet)
		}
		if a := get("HOST"); string(a.body) != "abc" {
			t.Fatalf("%s: %s %s", owner, a.Status, a.body)
		}
		if message, _ := get("files.example").v0(t, http.StatusUnauthorized); !strings.Contains(message, "answers only to its own names") {
			t.Errorf("%s, another name: %q", owner, message)
		}
		o.as("alice")
		if a := get("files.example"); a.StatusCode != after {
			t.Errorf("%s, once there is a token: %s %s", owner, a.Status, a.body)
		}
	}
}

// TestV0Hides: nothing that is answered says where the bytes lie, whatever went
// wrong.
func TestV0Hides(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	l := alice.v0Links("a.txt")[0]
	o.v0Put(l.URL.Single, noise(100_000)).v0(t, http.StatusOK)
	d := alice.v0Downloads(60, l.UID)[0]
	var keys []string
	o.damage(100_000, func(path string) error {
		keys = append(keys, filepath.Base(path))
		return flip(path, 0)
	})
	answers := []answer{
		o.do(http.MethodGet, d.URL, ""), o.do(http.MethodGet, d.URL+"x", ""), o.do(http.MethodGet, d.URL, "", "Range", "bytes=999999-"),
		o.v0Put(l.URL.Single, []byte("other")), alice.do(http.MethodGet, v0Prefix+"/proxy?uid="+l.UID, ""),
		alice.do(http.MethodPost, v0Prefix+"/link/download", `{"uid": ["`+l.UID+`"], "expire": 60}`),
	}
	answers[0].v0(t, http.StatusInternalServerError)
	for _, a := range answers {
		text := fmt.Sprint(a.Header) + string(a.body)
		for _, secret := range append(keys, o.blobs, "blobs", "disk") {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in %s", secret, text)
			}
		}
	}
}
