package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/protocol"
)

// newToken makes a token past the API, with every scope unless some are given.
func (o *ospd) newToken(owner protocol.Owner, scopes ...protocol.Scope) protocol.CreatedToken {
	o.t.Helper()
	if scopes == nil {
		scopes = protocol.AllScopes()
	}
	made, err := o.tokens.Create(o.t.Context(), protocol.CreateToken{Owner: owner, Scopes: scopes})
	if err != nil {
		o.t.Fatal(err)
	}
	return made
}

// with is o as a caller with that token sees it.
func (o *ospd) with(secret string) *ospd {
	f := *o.fixture
	f.token = secret
	return &ospd{&f, o.blobs, o.tokens, o.db}
}

// as is o as a new token of the owner sees it.
func (o *ospd) as(owner protocol.Owner, scopes ...protocol.Scope) *ospd {
	o.t.Helper()
	return o.with(o.newToken(owner, scopes...).Secret)
}

// visit is how a route is used: prepare makes, as the owner, what the request
// is about, and gives its uid, or its id.
type visit struct {
	// scope is the one that the route is for, "" where it is for everybody. It
	// is said here again, so that the table of guards is not its own judge.
	scope protocol.Scope
	// or is the other scope with which it works, "" for none.
	or protocol.Scope
	// with are scopes that are needed beside it.
	with    []protocol.Scope
	prepare func(o *ospd) (protocol.UID, string)
	query   string
	body    string
	want    int
}

func anUpload(o *ospd) (protocol.UID, string) {
	return o.begin(`{"name": "made", "size": 3}`).UID, ""
}

func aFullUpload(o *ospd) (protocol.UID, string) {
	uid, _ := anUpload(o)
	into[protocol.Part](o.t, o.put(uid, 1, []byte("abc")), http.StatusOK)
	return uid, ""
}

func aFile(o *ospd) (protocol.UID, string) {
	return into[protocol.File](o.t, o.oneShot("name=made", []byte("abc")), http.StatusCreated).UID, ""
}

func aClaimableUpload(o *ospd) (protocol.UID, string) {
	aFile(o)
	u := o.begin(fmt.Sprintf(`{"name": "again", "size": 3, "fingerprint": %q}`, fingerprintOf("abc")))
	if !u.Maybe {
		o.t.Fatal("the owner's own content is not offered for a claim")
	}
	return u.UID, ""
}

func aLinkToGet(o *ospd) (protocol.UID, string) {
	uid, _ := aFile(o)
	return uid, o.link(fmt.Sprintf(`{"action": "get", "uid": "%s"}`, uid)).Token
}

func aLinkToPut(o *ospd) (protocol.UID, string) {
	l := o.link(`{"action": "put", "name": "a"}`)
	return l.UID, l.Token
}

// link signs one link.
func (o *ospd) link(l string) protocol.Link {
	o.t.Helper()
	return into[protocol.LinkList](o.t, o.do(http.MethodPost, "/v1/links", `{"links": [`+l+`]}`), http.StatusOK).Links[0]
}

func fingerprintOf(content string) protocol.Fingerprint {
	fp, err := protocol.FingerprintReader(strings.NewReader(content), int64(len(content)))
	if err != nil {
		panic(err) // no reader of a string fails
	}
	return fp
}

func digestOf(content string) protocol.Digest {
	d, _, err := protocol.HashContent(strings.NewReader(content))
	if err != nil {
		panic(err) // no reader of a string fails
	}
	return d
}

func aToken(o *ospd) (protocol.UID, string) { return 0, o.newToken("somebody").ID }

func aJob(o *ospd) (protocol.UID, string) {
	return 0, into[protocol.Job](o.t, o.do(http.MethodPost, "/v1/jobs", `{"kind": "nap"}`), http.StatusCreated).ID.String()
}

func anImport(o *ospd) (protocol.UID, string) {
	return 0, into[protocol.Job](o.t, o.do(http.MethodPost, "/v1/jobs", `{"kind": "import"}`), http.StatusCreated).ID.String()
}

func aNode(*ospd) (protocol.UID, string) { return 0, "aaaa" }

// aWebhook leads to where nobody listens.
func aWebhook(o *ospd) (protocol.UID, string) {
	return 0, into[protocol.CreatedWebhook](o.t, o.do(http.MethodPost, "/v1/webhooks", newWebhook), http.StatusCreated).Webhook.ID.String()
}

const newWebhook = `{"url": "https://127.0.0.1:1/", "events": ["file.committed"]}`

// visits says of each route how to use it.
func visits() map[protocol.RouteName]visit {
	return map[protocol.RouteName]visit{
		protocol.RouteCapabilities: {want: http.StatusOK},
		protocol.RouteHealthz:      {want: http.StatusOK},
		protocol.RouteReadyz:       {want: http.StatusOK},
		protocol.RouteOpenAPI:      {want: http.StatusOK},
		protocol.RouteBeginUpload:  {scope: "file:write", body: `{"name": "new"}`, want: http.StatusCreated},
		protocol.RouteProbe:        {scope: "file:write", body: `{"items": []}`, want: http.StatusOK},
		protocol.RouteListUploads:  {scope: "file:write", want: http.StatusOK},
		protocol.RouteGetUpload:    {scope: "file:write", prepare: anUpload, want: http.StatusOK},
		protocol.RouteAbortUpload:  {scope: "file:write", prepare: anUpload, want: http.StatusNoContent},
		protocol.RoutePutPart:      {scope: "file:write", prepare: anUpload, body: "abc", want: http.StatusOK},
		protocol.RouteCommit:       {scope: "file:write", prepare: aFullUpload, want: http.StatusOK},
		protocol.RouteClaim:        {scope: "file:write", prepare: aClaimableUpload, body: `{"digest": "` + digestOf("abc").String() + `"}`, want: http.StatusOK},
		protocol.RoutePutFile:      {scope: "file:write", query: "?name=new", body: "abc", want: http.StatusCreated},
		protocol.RouteListFiles:    {scope: "file:read", want: http.StatusOK},
		protocol.RouteGetFile:      {scope: "file:read", prepare: aFile, want: http.StatusOK},
		protocol.RoutePatchFile:    {scope: "file:write", prepare: aFile, body: `{"name": "renamed"}`, want: http.StatusOK},
		protocol.RouteDeleteFile:   {scope: "file:delete", prepare: aFile, want: http.StatusNoContent},
		protocol.RouteGetContent:   {scope: "file:read", prepare: aFile, want: http.StatusOK},
		protocol.RouteHeadContent:  {scope: "file:read", prepare: aFile, want: http.StatusOK},
		protocol.RouteGetBlocks:    {scope: "file:read", prepare: aFile, want: http.StatusOK},
		protocol.RouteListTokens:   {scope: "admin", want: http.StatusOK},
		protocol.RouteCreateToken:  {scope: "admin", body: `{"owner": "new", "scopes": ["admin"]}`, want: http.StatusCreated},
		protocol.RouteRevokeToken:  {scope: "admin", prepare: aToken, want: http.StatusNoContent},
		protocol.RouteListJobs:     {scope: "file:read", or: "admin", want: http.StatusOK},
		protocol.RouteGetJob:       {scope: "file:read", or: "admin", prepare: aJob, want: http.StatusOK},
		protocol.RouteCreateJob:    {scope: "file:write", or: "admin", body: `{"kind": "nap"}`, want: http.StatusCreated},
		protocol.RouteRetryJob:     {scope: "file:write", or: "admin", prepare: aJob, want: http.StatusOK},
		protocol.RouteCancelJob:    {scope: "file:write", or: "admin", prepare: aJob, want: http.StatusOK},

		protocol.RouteListWebhooks:  {scope: "webhook:manage", or: "admin", want: http.StatusOK},
		protocol.RouteCreateWebhook: {scope: "webhook:manage", or: "admin", body: newWebhook, want: http.StatusCreated},
		protocol.RouteGetWebhook:    {scope: "webhook:manage", or: "admin", prepare: aWebhook, want: http.StatusOK},
		protocol.RouteRemoveWebhook: {scope: "webhook:manage", or: "admin", prepare: aWebhook, want: http.StatusNoContent},
		protocol.RouteTestWebhook:   {scope: "webhook:manage", or: "admin", prepare: aWebhook, want: http.StatusOK},
		protocol.RouteReplayWebhook: {scope: "webhook:manage", or: "admin", prepare: aWebhook, want: http.StatusOK},

		protocol.RouteGetManifest: {scope: "file:read", or: "admin", prepare: anImport, want: http.StatusOK},

		protocol.RouteListStores: {scope: "admin", want: http.StatusOK},
		protocol.RouteListNodes:  {scope: "admin", want: http.StatusOK},
		protocol.RoutePatchNode:  {scope: "admin", prepare: aNode, body: `{"draining": false}`, want: http.StatusOK},

		protocol.RouteCreateLinks: {scope: "link:create", with: []protocol.Scope{"file:write"}, body: `{"links": [{"action": "put", "name": "a"}]}`, want: http.StatusOK},
		protocol.RouteRevokeLinks: {scope: "link:create", query: "?all=true", want: http.StatusNoContent},
		protocol.RouteGetLink:     {prepare: aLinkToGet, want: http.StatusOK},
		protocol.RoutePutLink:     {prepare: aLinkToPut, body: "abc", want: http.StatusCreated},
	}
}

// TestEveryRouteHasAGuard: no route is forgotten, and what has no row is
// nobody's.
func TestEveryRouteHasAGuard(t *testing.T) {
	guards, endpoints := guards(), new(Server).endpoints()
	for _, r := range protocol.Routes() {
		g, ok := guards[r.Name]
		if _, served := endpoints[r.Name]; !ok || !served {
			t.Errorf("%s has a guard: %v, an endpoint: %v", r.Name, ok, served)
		}
		if (g.access == byToken) != (g.scope != "") || (g.access == byLink) && g.link == "" || g.or != "" && (g.scope == "" || !protocol.AllScopes().Has(g.or)) || g.access == byToken && !protocol.AllScopes().Has(g.scope) || g.access == nobody {
			t.Errorf("%s has the guard %+v", r.Name, g)
		}
	}
	if len(guards) != len(protocol.Routes()) || len(endpoints) != len(protocol.Routes()) {
		t.Errorf("%d guards and %d endpoints for %d routes", len(guards), len(endpoints), len(protocol.Routes()))
	}
	c := &call{srv: &Server{cfg: Config{Tokens: startOspd(t).tokens}}, http: &fasthttp.RequestCtx{}, ctx: t.Context()}
	if err := c.authenticate(); protocol.KindOf(err) != protocol.KindForbidden {
		t.Errorf("a route without a guard lets everybody in: %v", err)
	}
}

// TestGuards walks the table of routes. Without a token, and with one that
// lacks the scope or is another owner's, nothing is given and nothing changes;
// with the one scope the route is for, it works.
func TestGuards(t *testing.T) {
	o := startOspd(t)
	alice, bob := o.as("alice"), o.as("bob")
	visits := visits()
	for _, r := range protocol.Routes() {
		t.Run(string(r.Name), func(t *testing.T) {
			v, ok := visits[r.Name]
			if !ok {
				t.Fatal("nothing says how to use this route")
			}
			scope := v.scope
			path, state := r.Path, func() string { return "" }
			if v.prepare != nil {
				uid, id := v.prepare(alice)
				path = protocol.Route{Path: r.Expand(uid, 1)}.ExpandID(id)
				state = func() string { return alice.stateOf(uid) }
			}
			path += v.query
			before := state()
			if scope != "" {
				o.do(r.Method, path, v.body).mustRefuse(t, r.Method, protocol.KindUnauthenticated)
				if r.Method == http.MethodGet {
					o.do(http.MethodHead, path, "").mustRefuse(t, http.MethodHead, protocol.KindUnauthenticated)
				}
				o.with("osp_000000000000_000000000000000000000000000000000000000000030kiwq").do(r.Method, path, v.body).
					mustRefuse(t, r.Method, protocol.KindUnauthenticated)
				others := slices.DeleteFunc(slices.Clone(protocol.AllScopes()), func(s protocol.Scope) bool { return s == scope || s == v.or })
				o.as("alice", others...).do(r.Method, path, v.body).mustRefuse(t, r.Method, protocol.KindForbidden)
			}
			if strings.Contains(r.Path, "{uid}") || strings.Contains(r.Path, "/jobs/{id}") || strings.Contains(r.Path, "/webhooks/{id}") {
				o.as("bob", protocol.ScopeFileRead, protocol.ScopeFileWrite, protocol.ScopeFileDelete, protocol.ScopeWebhookManage).do(r.Method, path, v.body).mustRefuse(t, r.Method, protocol.KindNotFound)
			}
			if strings.Contains(r.Path, "{uid}") {
				bob.do(r.Method, path, v.body).mustRefuse(t, r.Method, protocol.KindNotFound)
			}
			if after := state(); after != before {
				t.Errorf("what was refused changed\n%s\nto\n%s", before, after)
			}
			if scope == "" {
				if a := o.do(r.Method, path, v.body); a.StatusCode != v.want {
					t.Errorf("without a token: %s %s", a.Status, a.body)
				}
				return
			}
			for i, does := range slices.Compact([]protocol.Scope{scope, cmp.Or(v.or, scope)}) {
				if i > 0 && v.prepare != nil { // what it was about may be gone
					uid, id := v.prepare(alice)
					path = protocol.Route{Path: r.Expand(uid, 1)}.ExpandID(id) + v.query
				}
				if a := o.as("alice", append(v.with, does)...).do(r.Method, path, v.body); a.StatusCode != v.want {
					t.Errorf("with the scope %s: %s %s", does, a.Status, a.body)
				}
			}
		})
	}
}

// stateOf is all that the owner sees of a uid.
func (o *ospd) stateOf(uid protocol.UID) string {
	var b strings.Builder
	for _, path := range []string{"/v1/uploads/" + uid.String(), "/v1/files/" + uid.String(), contentPath(uid), "/v1/files", "/v1/uploads"} {
		a := o.do(http.MethodGet, path, "", "X-Request-Id", "state")
		fmt.Fprintln(&b, path, a.StatusCode, string(a.body))
	}
	return b.String()
}

// mustRefuse checks a refusal; that of a HEAD has no body to look into.
func (a answer) mustRefuse(t *testing.T, method string, kind protocol.Kind) {
	t.Helper()
	if method == http.MethodHead {
		if a.StatusCode != kind.Row().Status {
			t.Errorf("answered %s, want %s", a.Status, kind)
		}
	} else {
		a.problem(t, kind)
	}
	if want := map[bool]string{true: "Bearer"}[kind == protocol.KindUnauthenticated]; a.Header.Get("WWW-Authenticate") != want {
		t.Errorf("%s comes with WWW-Authenticate %q", kind, a.Header.Get("WWW-Authenticate"))
	}
}

// TestOwnersDoNotMeet: nothing of one owner shows in what another sees, not
// even where names, contents and keys are the same.
func TestOwnersDoNotMeet(t *testing.T) {
	o := startOspd(t)
	alice, bob := o.as("alice"), o.as("bob")
	content := []byte("the same bytes")
	f := into[protocol.File](t, alice.oneShot("name=same", content, "Idempotency-Key", "k"), http.StatusCreated)
	begin := fmt.Sprintf(`{"name": "same", "size": %d, "fingerprint": %q, "resume": true}`, len(content), fingerprintOf(string(content)))
	u := alice.begin(begin)
	if f.Owner != "alice" || !u.Maybe {
		t.Errorf("alice has %+v and %+v", f, u)
	}
	for _, path := range []string{"/v1/files", "/v1/files?name=same", "/v1/files?prefix=s", "/v1/files?digest=" + f.Digest.String()} {
		if got := into[protocol.FileList](t, bob.do(http.MethodGet, path, ""), http.StatusOK); len(got.Files) != 0 {
			t.Errorf("bob sees %+v at %s", got, path)
		}
		if got := into[protocol.FileList](t, alice.do(http.MethodGet, path, ""), http.StatusOK); len(got.Files) != 1 {
			t.Errorf("alice sees %+v at %s", got, path)
		}
	}
	if got := into[protocol.UploadList](t, bob.do(http.MethodGet, "/v1/uploads", ""), http.StatusOK); len(got.Uploads) != 0 {
		t.Errorf("bob sees %+v", got)
	}
	if v := bob.begin(begin); v.UID == u.UID || v.Maybe {
		t.Errorf("bob resumes alice's upload, or learns of her content: %+v", v)
	}
	g := into[protocol.File](t, bob.oneShot("name=same", content, "Idempotency-Key", "k"), http.StatusCreated)
	if g.UID == f.UID || g.Owner != "bob" {
		t.Errorf("under the same key bob got %+v", g)
	}
	if a := alice.do(http.MethodDelete, "/v1/files/"+f.UID.String(), ""); a.StatusCode != http.StatusNoContent {
		t.Fatalf("delete: %s", a.Status)
	}
	if a := bob.do(http.MethodGet, contentPath(g.UID), ""); !bytes.Equal(a.body, content) {
		t.Errorf("bob's file went with alice's: %s", a.Status)
	}
}

// TestTokenHeader: the forms of the field on the wire. What HTTP leaves
// ambiguous is refused before any token is looked at.
func TestTokenHeader(t *testing.T) {
	o := startOspd(t)
	good := o.newToken("alice").Secret
	for header, kind := range map[string]protocol.Kind{
		"Authorization: Bearer " + good:                                         "",
		"authorization: bearer " + good:                                         "",
		"Authorization:Bearer " + good + "  ":                                   "",
		"Authorization: Bearer":                                                 protocol.KindUnauthenticated,
		"Authorization:":                                                        protocol.KindUnauthenticated,
		"Authorization: " + good:                                                protocol.KindUnauthenticated,
		"Authorization: Basic YTpi":                                             protocol.KindUnauthenticated,
		"Authorization: Bearer " + good + ", Bearer " + good:                    protocol.KindUnauthenticated,
		"Authorization: Bearer " + good + "\r\nAuthorization: Bearer " + good:   protocol.KindBadRequest,
		"Authorization: Bearer " + good + "\r\nauthorization: Basic YTpi":       protocol.KindBadRequest,
		"Authorization: Bearer\r\n " + good:                                     protocol.KindBadRequest,
		"Proxy-Authorization: Bearer " + good:                                   protocol.KindUnauthenticated,
		"X-Authorization: Bearer " + good + "\r\nCookie: Authorization=" + good: protocol.KindUnauthenticated,
		"Authorization: Bearer " + strings.Repeat("a", 10_000):                  protocol.KindUnauthenticated,
	} {
		a := o.dial().send("GET /v1/files HTTP/1.1\r\nHost: HOST\r\n" + header + "\r\n\r\n").read(http.MethodGet)
		if kind == "" {
			into[protocol.FileList](t, a, http.StatusOK)
			continue
		}
		a.problem(t, kind)
		if strings.Contains(string(a.body), good) {
			t.Errorf("%q is answered with the token", header)
		}
	}
	if strings.Contains(o.log.String(), good[17:]) {
		t.Error("the log has the token")
	}
}

// TestExpectWithoutToken: who waits with the body until told to go on is
// refused before sending any of it.
func TestExpectWithoutToken(t *testing.T) {
	o := startOspd(t)
	o.newToken("alice")
	p := o.dial().send("PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	p.read(http.MethodPut).problem(t, protocol.KindUnauthenticated)
}

// TestTokensCloseTheDaemon: Host and Origin are asked for only while there are
// no tokens, and capabilities say which it is.
func TestTokensCloseTheDaemon(t *testing.T) {
	o := startOspd(t)
	foreign := "GET /v1/files HTTP/1.1\r\nHost: files.example.com\r\nOrigin: https://files.example.com\r\n"
	features := func() []string {
		return into[protocol.Capabilities](t, o.do(http.MethodGet, "/v1/capabilities", ""), http.StatusOK).Features
	}
	o.dial().send(foreign+"\r\n").read(http.MethodGet).problem(t, protocol.KindBadHost)
	if got := features(); slices.Contains(got, protocol.FeatureTokens) {
		t.Errorf("an open daemon has the features %v", got)
	}
	f := into[protocol.File](t, o.oneShot("name=a", []byte("a")), http.StatusCreated)
	made := into[protocol.CreatedToken](t, o.do(http.MethodPost, "/v1/tokens", `{"owner": "local", "scopes": ["file:read"]}`), http.StatusCreated)
	if got := features(); !slices.Contains(got, protocol.FeatureTokens) {
		t.Errorf("a daemon with tokens has the features %v", got)
	}
	o.do(http.MethodGet, "/v1/files", "").problem(t, protocol.KindUnauthenticated)
	o.do(http.MethodPost, "/v1/tokens", `{"owner": "local", "scopes": ["admin"]}`).problem(t, protocol.KindUnauthenticated)
	o.dial().send(foreign+"\r\n").read(http.MethodGet).problem(t, protocol.KindUnauthenticated)
	into[protocol.FileList](t, o.dial().send(foreign+"Authorization: Bearer "+made.Secret+"\r\n\r\n").read(http.MethodGet), http.StatusOK)
	if a := o.with(made.Secret).do(http.MethodGet, contentPath(f.UID), ""); string(a.body) != "a" {
		t.Errorf("what was stored while it was open: %s", a.Status)
	}
}

// TestTokenRoutes: a token's life over HTTP.
func TestTokenRoutes(t *testing.T) {
	o := startOspd(t)
	admin := o.as("root", protocol.ScopeAdmin)
	for body, kind := range map[string]protocol.Kind{
		`{}`:                                    protocol.KindBadRequest,
		``:                                      protocol.KindBadRequest,
		`{"owner": "a"}`:                        protocol.KindBadRequest,
		`{"owner": "a", "scopes": []}`:          protocol.KindBadRequest,
		`{"owner": "a", "scopes": ["all"]}`:     protocol.KindBadRequest,
		`{"owner": "a", "scopes": "admin"}`:     protocol.KindBadRequest,
		`{"owner": "a b", "scopes": ["admin"]}`: protocol.KindBadRequest,
		`{"owner": "a", "scope": ["admin"]}`:    protocol.KindUnknownField,
		`{"owner": "a", "scopes": ["admin"], "expires_at": "2001-01-01T00:00:00Z"}`: protocol.KindBadRequest,
		`{"owner": "a", "scopes": ["admin"], "expires_at": "soon"}`:                 protocol.KindBadRequest,
		`{"owner": "a", "scopes": ["admin"], "note": "a\nb"}`:                       protocol.KindBadRequest,
	} {
		admin.do(http.MethodPost, "/v1/tokens", body).problem(t, kind)
	}
	made := into[protocol.CreatedToken](t, admin.do(http.MethodPost, "/v1/tokens",
		`{"owner": "carol", "scopes": ["file:write", "file:read"], "note": "CI", "expires_at": "2999-01-01T00:00:00Z"}`), http.StatusCreated)
	into[protocol.FileList](t, o.with(made.Secret).do(http.MethodGet, "/v1/files", ""), http.StatusOK)
	list := admin.do(http.MethodGet, "/v1/tokens?owner=carol", "")
	if got := into[protocol.TokenList](t, list, http.StatusOK).Tokens; len(got) != 1 || got[0].ID != made.ID || got[0].UsedAt == nil || *got[0].Note != "CI" {
		t.Errorf("listed %+v", got)
	}
	if strings.Contains(string(list.body), made.Secret[17:60]) {
		t.Error("the list has the secret")
	}
	if got := into[protocol.TokenList](t, admin.do(http.MethodGet, "/v1/tokens", ""), http.StatusOK).Tokens; len(got) != 2 {
		t.Errorf("all are %+v", got)
	}
	for range 2 {
		if a := admin.do(http.MethodDelete, "/v1/tokens/"+made.ID, ""); a.StatusCode != http.StatusNoContent {
			t.Errorf("revoked with %s", a.Status)
		}
		o.with(made.Secret).do(http.MethodGet, "/v1/files", "").problem(t, protocol.KindUnauthenticated)
	}
	for _, id := range []string{"000000000000", "x", made.Secret} {
		admin.do(http.MethodDelete, "/v1/tokens/"+id, "").problem(t, protocol.KindNotFound)
	}
}

// TestLogSaysWho: each line has the owner and the id of the token, and neither
// a line nor an answer has the token, whatever is done with it.
func TestLogSaysWho(t *testing.T) {
	var l labels
	o := startOspdWith(t, meta.Quota{}, &l)
	made := o.newToken("alice", protocol.ScopeFileRead, protocol.ScopeAdmin)
	secret := made.Secret[17:]
	alice := o.with(made.Secret)
	var answers bytes.Buffer
	note := func(a answer) {
		answers.Write(a.body)
		if err := a.Header.Write(&answers); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range protocol.Routes() {
		if r.Name != protocol.RouteCreateToken {
			note(alice.do(r.Method, protocol.Route{Path: r.Expand(7, 1)}.ExpandID(made.Secret), `{"nonce": "x", "name": 7}`))
		}
	}
	for _, wrong := range []string{made.Secret + "0", made.Secret[:65], "x" + made.Secret, made.Secret[:65] + "!"} {
		note(o.with(wrong).do(http.MethodGet, "/v1/files", ""))
	}
	note(o.do(http.MethodGet, "/v1/files", ""))
	for _, raw := range []string{
		"GET /v1/files HTTP/9\r\n", "GET /v1//files HTTP/1.1\r\n", "GET /v1/files HTTP/1.1\r\nAuthorization: x\r\n",
		"GET /nowhere HTTP/1.1\r\n", "BREW /v1/files HTTP/1.1\r\n", "\x16\x03\x01 \r\n", "GET /v1/files HTTP/1.1\r\nno field\r\n",
		"GET /v1/files HTTP/1.1\r\nX: " + strings.Repeat("x", headerBuffer-200) + "\r\n", "GET /v1/files HTTP/1.1\r\nContent-Length: -1\r\n",
	} {
		note(o.dial().send(raw + "Host: HOST\r\nAuthorization: Bearer " + made.Secret + "\r\n\r\n").read(http.MethodGet))
	}
	if strings.Contains(answers.String(), secret) || strings.Contains(o.log.String(), secret) {
		t.Errorf("the token is in an answer or in the log:\n%s\n%s", answers.String(), o.log.String())
	}
	if want := "owner=alice token=" + made.ID; !strings.Contains(o.log.String(), want) {
		t.Errorf("no line of the log has %q:\n%s", want, o.log.String())
	}
	// The token is no link either, to get or to put.
	for label, want := range map[string]int{"auth missing": 1, "auth refused": 6} {
		if got := l.count(label); got != want {
			t.Errorf("%s was counted %d times, want %d", label, got, want)
		}
	}
	if l.count("auth scope") == 0 {
		t.Error("missing scopes are not counted")
	}
}

// awayTokens are the records of a database that does not answer.
type awayTokens struct{ token.Records }

func (awayTokens) HasTokens(context.Context) (bool, error) {
	return false, errors.New("the database is away")
}

// TestTokensUnavailable: where the database does not say, nobody is let in and
// the process still says that it lives.
func TestTokensUnavailable(t *testing.T) {
	f := start(t, Config{Tokens: token.NewService(token.Config{Records: awayTokens{}})}, nil)
	f.do(http.MethodGet, "/v1/files", "").problem(t, protocol.KindInternal)
	f.do(http.MethodGet, "/v1/files", "", "Authorization", "Bearer x").problem(t, protocol.KindInternal)
	if a := f.do(http.MethodGet, "/healthz", ""); a.StatusCode != http.StatusOK {
		t.Errorf("/healthz: %s", a.Status)
	}
	f.dial().send("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n").read(http.MethodGet).problem(t, protocol.KindBadHost)
}
