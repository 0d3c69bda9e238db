package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/api/openapi/openapitest"
	"github.com/osproxy/osproxy/protocol"
)

// documented is the document of the API, which is the same for all servers but
// for their version.
var documented = sync.OnceValue(func() *openapitest.Document {
	d, err := openapitest.Read(Document("test"))
	if err != nil {
		panic(err)
	}
	return d
})

// holdTo holds an answer to the document, as all that are given to do.
func (f *fixture) holdTo(method, target string, a answer) openapitest.Pair {
	f.t.Helper()
	if f.replaced || a.err != nil {
		return openapitest.Pair{}
	}
	pair, err := documented().Check(openapitest.Answer{Method: method, Target: target, Status: a.StatusCode, Header: a.Header, Body: a.body})
	if err != nil {
		f.t.Errorf("this answer is not as the OpenAPI document has it: %v", err)
	}
	return pair
}

// seen are the documented answers that were given.
type seen struct {
	t     *testing.T
	mu    sync.Mutex
	pairs map[openapitest.Pair]bool
}

// note holds an answer to the document and remembers it. One that has another
// status than what was made to happen leads to is a mistake of this test.
func (s *seen) note(method, target string, a answer, status int) {
	s.t.Helper()
	if a.StatusCode != status || a.err != nil {
		s.t.Errorf("%s %s is answered %d, %v: %.200s; want %d", method, target, a.StatusCode, a.err, a.body, status)
		return
	}
	s.take(method, target, a)
}

// doing is note of requests to o.
func (s *seen) doing(o *ospd) doing {
	return func(status int, method, target, body string, header ...string) answer {
		s.t.Helper()
		a := o.do(method, target, body, header...)
		s.note(method, target, a, status)
		return a
	}
}

// take is note of an answer that may have any status that is documented.
func (s *seen) take(method, target string, a answer) {
	s.t.Helper()
	pair, err := documented().Check(openapitest.Answer{Method: method, Target: target, Status: a.StatusCode, Header: a.Header, Body: a.body})
	if err != nil {
		s.t.Error(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pairs[pair] = true
}

// TestEveryDocumentedAnswerIsGiven walks all routes and makes each answer happen
// that the OpenAPI document has of them: each status, and each code of it. The
// handlers are the real ones. One that never comes is documented wrongly, and one
// that is not documented fails wherever a test meets it.
func TestEveryDocumentedAnswerIsGiven(t *testing.T) {
	s := &seen{t: t, pairs: map[openapitest.Pair]bool{}}
	t.Run("as asked", func(t *testing.T) { asAsked(t, s) })
	t.Run("refused", func(t *testing.T) { asRefused(t, s) })
	t.Run("from below", func(t *testing.T) { fromBelow(t, s) })
	t.Run("slow", func(t *testing.T) { tooSlow(t, s) })
	t.Run("of its own", func(t *testing.T) { ofItsOwn(t, s) })
	t.Run("v0", func(t *testing.T) { ofV0(t, s) })
	for _, pair := range documented().Pairs() {
		if !s.pairs[pair] {
			t.Errorf("%s is documented, and nothing here leads to it: give it a request, or take it out of daemon/api/openapi", pair)
		}
	}
}

// prepared is the target of a visit, and what was made for it.
func (v visit) prepared(o *ospd, r protocol.Route) string {
	path := r.Path
	if v.prepare != nil {
		uid, id := v.prepare(o)
		path = protocol.Route{Path: r.Expand(uid, 1)}.ExpandID(id)
	}
	return path + v.query
}

// asAsked: every route does what it is for, and refuses who may not use it.
func asAsked(t *testing.T, s *seen) {
	o := startOspd(t)
	alice, visits := o.as("alice"), visits()
	for _, r := range protocol.Routes() {
		v := visits[r.Name]
		nowhere := protocol.Route{Path: r.Expand(7, 1)}.ExpandID("7")
		if v.scope != "" {
			s.note(r.Method, nowhere, o.do(r.Method, nowhere, v.body), http.StatusUnauthorized)
			others := slices.DeleteFunc(slices.Clone(protocol.AllScopes()), func(s protocol.Scope) bool { return s == v.scope || s == v.or })
			s.note(r.Method, nowhere, o.as("alice", others...).do(r.Method, nowhere, v.body), http.StatusForbidden)
		}
		if v.scope != "" && strings.Contains(r.Path, "{") {
			s.note(r.Method, nowhere, alice.do(r.Method, nowhere, v.body), http.StatusNotFound)
		}
		if strings.Contains(r.Path, "{uid}") {
			none := strings.NewReplacer("{uid}", "x", "{number}", "1").Replace(r.Path)
			s.note(r.Method, none, alice.do(r.Method, none, v.body), http.StatusBadRequest)
		}
		target := v.prepared(alice, r)
		s.note(r.Method, target, alice.do(r.Method, target, v.body), v.want)
		unknown := target + map[bool]string{false: "?", true: "&"}[v.query != ""] + "nobody=1"
		s.note(r.Method, unknown, alice.do(r.Method, unknown, v.body), http.StatusBadRequest)
	}
}

// asRefused: what is wrong with a request whatever route it is for.
func asRefused(t *testing.T, s *seen) {
	o, open := startOspd(t), start(t, Config{}, nil)
	alice, visits, endpoints, guards := o.as("alice"), visits(), o.endpoints(), guards()
	stopping := start(t, o.cfg, nil)
	stopping.active.drain()
	for _, r := range protocol.Routes() {
		target := visits[r.Name].prepared(alice, r)
		send := func(f *fixture, header, body string, status int) {
			p := f.dial().send(r.Method + " " + target + " HTTP/1.1\r\n" + header + "\r\n" + body)
			if status == http.StatusUnprocessableEntity { // the body is over
				if err := p.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			s.note(r.Method, target, p.read(r.Method), status)
		}
		from := "Host: HOST\r\nAuthorization: Bearer " + alice.token + "\r\n"
		send(open, "Host: evil.example\r\n", "", http.StatusForbidden)
		if guards[r.Name].access != byLink {
			send(open, "Host: HOST\r\nOrigin: https://evil.example\r\n", "", http.StatusForbidden)
		}
		if !endpoints[r.Name].health {
			send(stopping, from, "", http.StatusServiceUnavailable)
		}
		send(o.fixture, from+"Range: a\r\nRange: b\r\n", "", http.StatusBadRequest)
		send(o.fixture, from+"Transfer-Encoding: chunked\r\n", "0\r\n\r\n", http.StatusLengthRequired)
		send(o.fixture, from+"Content-Encoding: gzip\r\nContent-Length: 0\r\n", "", http.StatusUnsupportedMediaType)
		send(o.fixture, from+"X: "+strings.Repeat("x", headerBuffer)+"\r\n", "", http.StatusRequestHeaderFieldsTooLarge)
		switch endpoints[r.Name].body {
		case bodyNone:
		case bodyJSON:
			send(o.fixture, from+fmt.Sprintf("Content-Length: %d\r\n", maxJSON+1), "a", http.StatusRequestEntityTooLarge)
			fallthrough
		default:
			send(o.fixture, from+"Content-Length: 3\r\n", "a", http.StatusUnprocessableEntity)
		}
	}
}

// tooSlow: a request that stops coming, and a daemon that is stopping.
func tooSlow(t *testing.T, s *seen) {
	f := slowFixture(t)
	for _, r := range protocol.Routes() {
		target := protocol.Route{Path: r.Expand(7, 1)}.ExpandID("7")
		s.note(r.Method, target, f.dial().send(r.Method+" "+target+" HTTP/1.1\r\nHost: HOST\r\n").read(r.Method), http.StatusRequestTimeout)
	}
	f = start(t, Config{}, nil)
	f.active.drain()
	s.note(http.MethodGet, "/readyz", f.do(http.MethodGet, "/readyz", ""), http.StatusServiceUnavailable)
}

// slowFixture has hardly any time for a header.
func slowFixture(t *testing.T) *fixture {
	return start(t, Config{Limits: Limits{HeaderTimeout: time.Millisecond}}, nil)
}
