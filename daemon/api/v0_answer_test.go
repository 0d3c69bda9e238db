package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// v0 reads an answer of v0 and checks what all of them have.
func (a answer) v0(t testing.TB, status int) (message string, data json.RawMessage) {
	t.Helper()
	var e struct {
		Code    *int            `json:"code"`
		Message *string         `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(a.body, &e); err != nil || e.Code == nil || e.Message == nil || e.Data == nil {
		t.Fatalf("answer %s %q is not v0's: %v", a.Status, a.body, err)
	}
	if a.StatusCode != status || *e.Code != 0 {
		t.Errorf("answered %s, code %d, %s; want %d", a.Status, *e.Code, *e.Message, status)
	}
	if got := a.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("an answer of v0 has type %q", got)
	}
	switch bad := a.StatusCode != http.StatusOK; {
	case bad && (string(e.Data) != `""` || *e.Message == "" || *e.Message == v0OK):
		t.Errorf("an error says %q with data %s", *e.Message, e.Data)
	case !bad && *e.Message != v0OK:
		t.Errorf("an answer says %q", *e.Message)
	}
	return *e.Message, e.Data
}

// v0Into decodes the data of an answer.
func v0Into[T any](t testing.TB, a answer) (v T) {
	t.Helper()
	_, data := a.v0(t, http.StatusOK)
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("data %s: %v", data, err)
	}
	return v
}

// TestV0Says: what needs no rights, whoever asks, and whatever is in the query.
func TestV0Says(t *testing.T) {
	o := startOspd(t)
	o.newToken("alice")
	for path, want := range map[string]string{"/ping": "Test Router...", "/health": "Health..."} {
		for _, query := range []string{"", "?a=b&a=c&%zz"} {
			if got := v0Into[string](t, o.do(http.MethodGet, v0Prefix+path+query, "")); got != want {
				t.Errorf("%s says %q", path, got)
			}
		}
	}
	if a := o.do(http.MethodHead, v0Prefix+"/ping", ""); a.StatusCode != http.StatusOK || len(a.body) != 0 {
		t.Errorf("HEAD: %s %q", a.Status, a.body)
	}
}

// v0Statuses are what clients of v0 see of each kind of error: four statuses.
func v0Statuses() map[protocol.Kind]int {
	return map[protocol.Kind]int{
		protocol.KindBadRequest:           422,
		protocol.KindBadUID:               422,
		protocol.KindBadName:              422,
		protocol.KindBadPart:              422,
		protocol.KindSizeRequired:         422,
		protocol.KindUnknownField:         422,
		protocol.KindPartsMissing:         422,
		protocol.KindPartsDiffer:          422,
		protocol.KindDigestDiffers:        422,
		protocol.KindCommitted:            422,
		protocol.KindDigestPending:        422,
		protocol.KindConflict:             422,
		protocol.KindClaimRefused:         422,
		protocol.KindLengthRequired:       422,
		protocol.KindPreconditionFailed:   422,
		protocol.KindTooLarge:             422,
		protocol.KindTooManyParts:         422,
		protocol.KindQuotaExceeded:        422,
		protocol.KindUnsupportedMediaType: 422,
		protocol.KindRange:                422,
		protocol.KindChecksumMismatch:     422,
		protocol.KindBadLength:            422,
		protocol.KindIdempotencyMismatch:  422,
		protocol.KindHeadersTooLarge:      422,

		protocol.KindUnauthenticated: 401,
		protocol.KindForbidden:       401,
		protocol.KindBadHost:         401,
		protocol.KindBadOrigin:       401,

		protocol.KindNotFound:         404,
		protocol.KindMethodNotAllowed: 404,

		protocol.KindInternal:         500,
		protocol.KindContentCorrupt:   500,
		protocol.KindStoreFull:        500,
		protocol.KindRateLimited:      500,
		protocol.KindUnavailable:      500,
		protocol.KindDraining:         500,
		protocol.KindOwnerDown:        500,
		protocol.KindStoreUnavailable: 500,
	}
}

// TestV0Statuses: of all kinds of error clients of v0 see four statuses; what
// arises in clients alone is the daemon's failure where it answers with it.
func TestV0Statuses(t *testing.T) {
	passes := []protocol.Kind{protocol.KindRateLimited, protocol.KindUnavailable, protocol.KindDraining, protocol.KindOwnerDown, protocol.KindStoreUnavailable}
	storage := []protocol.Kind{protocol.KindStoreUnavailable, protocol.KindStoreFull, protocol.KindOwnerDown, protocol.KindContentCorrupt}
	statuses := v0Statuses()
	for _, row := range protocol.Kinds() {
		want, listed := statuses[row.Kind]
		if crosses := row.Status != 0; crosses != listed {
			t.Fatalf("%s is listed: %t", row.Kind, listed)
		}
		if !listed {
			want = http.StatusInternalServerError
		}
		if got := v0Status(row.Kind); got != want {
			t.Errorf("%s is %d, want %d", row.Kind, got, want)
		}
		f := start(t, Config{}, nil)
		f.replaced = true
		f.v0.routes[0].endpoint.serve = func(*call) error {
			return &protocol.Error{Kind: row.Kind, Message: "store disk, bucket files", Err: fmt.Errorf("key abc")}
		}
		a := f.do(http.MethodGet, v0Prefix+"/ping", "")
		message, _ := a.v0(t, want)
		if strings.Contains(message, "abc") {
			t.Errorf("%s says %q", row.Kind, message)
		}
		if slices.Contains(storage, row.Kind) && (strings.Contains(message, "disk") || strings.Contains(message, "bucket")) {
			t.Errorf("%s says %q", row.Kind, message)
		}
		if again := a.Header.Get("Retry-After") != ""; again != slices.Contains(passes, row.Kind) {
			t.Errorf("%s: Retry-After is %q", row.Kind, a.Header.Get("Retry-After"))
		}
		if got := a.Header.Get("WWW-Authenticate"); (got != "") != (want == http.StatusUnauthorized) {
			t.Errorf("%s: WWW-Authenticate is %q", row.Kind, got)
		}
	}
}

// TestV0AnswersInItsForm: whatever is wrong with a request for v0, from where its
// header can be read.
func TestV0AnswersInItsForm(t *testing.T) {
	f := start(t, Config{}, nil)
	f.v0.routes[1].endpoint.serve = func(*call) error { panic("secret") }
	for name, c := range map[string]struct {
		raw    string
		status int
	}{
		"no such path":       {"GET /api/storage/v0/nothing HTTP/1.1\r\nHost: HOST\r\n\r\n", 404},
		"no path":            {"GET /api/storage/v0 HTTP/1.1\r\nHost: HOST\r\n\r\n", 404},
		"no path, a query":   {"GET /api/storage/v0?uid=1 HTTP/1.1\r\nHost: HOST\r\n\r\n", 404},
		"a slash behind":     {"GET /api/storage/v0/ping/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 404},
		"another method":     {"POST /api/storage/v0/ping HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n", 404},
		"an absolute target": {"GET http://HOST/api/storage/v0/nothing HTTP/1.1\r\nHost: HOST\r\n\r\n", 404},
		"of another host":    {"GET http://other/api/storage/v0/ping HTTP/1.1\r\nHost: HOST\r\n\r\n", 422},
		"a doubled slash":    {"GET /api/storage/v0//ping HTTP/1.1\r\nHost: HOST\r\n\r\n", 422},
		"dots":               {"GET /api/storage/v0/../../../v1/files HTTP/1.1\r\nHost: HOST\r\n\r\n", 422},
		"an escape":          {"GET /api/storage/v0/%70ing HTTP/1.1\r\nHost: HOST\r\n\r\n", 422},
		"a panic":            {"GET /api/storage/v0/health HTTP/1.1\r\nHost: HOST\r\n\r\n", 500},
		"a foreign host":     {"GET /api/storage/v0/ping HTTP/1.1\r\nHost: evil.example\r\n\r\n", 401},
		"a page":             {"GET /api/storage/v0/ping HTTP/1.1\r\nHost: HOST\r\nOrigin: https://evil.example\r\n\r\n", 401},
		"two framings":       {"GET /api/storage/v0/ping HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 422},
		"a field twice":      {"GET /api/storage/v0/ping HTTP/1.1\r\nHost: HOST\r\nRange: a\r\nRange: b\r\n\r\n", 422},
	} {
		t.Run(name, func(t *testing.T) {
			a := f.dial().send(c.raw).read(http.MethodGet)
			if message, _ := a.v0(t, c.status); strings.Contains(message, "secret") {
				t.Errorf("says %s", message)
			}
			if a.Header.Get("X-Request-Id") == "" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("header %v", a.Header)
			}
		})
	}
	for _, target := range []string{"/api/storage/v01/ping", "/api/storage/v", "/v1/api/storage/v0/ping", "/api/storage/V0/ping"} {
		f.do(http.MethodGet, target, "").problem(t, protocol.KindNotFound)
	}
	if !strings.Contains(f.log.String(), "secret") {
		t.Error("the panic is not logged")
	}
}

// TestV0Drains: a daemon that is stopping says so to v0's clients in their form.
func TestV0Drains(t *testing.T) {
	f := start(t, Config{}, nil)
	p := f.dial().send("GET /api/storage/v0/ping HTTP/1.1\r\nHost: HOST\r\n\r\n")
	p.read(http.MethodGet).v0(t, http.StatusOK)
	f.active.drain()
	a := p.send("GET /api/storage/v0/health HTTP/1.1\r\nHost: HOST\r\n\r\n").read(http.MethodGet)
	a.v0(t, http.StatusInternalServerError)
	if a.Header.Get("Retry-After") == "" || !a.Close {
		t.Errorf("header %v", a.Header)
	}
}

// TestV0Query: a value counts once, and what is not known not at all.
func TestV0Query(t *testing.T) {
	known := []string{"uid", "md5"}
	for _, c := range []struct {
		raw  string
		want map[string]string // nil is an error
	}{
		{"", map[string]string{}},
		{"uid=1&md5=a", map[string]string{"uid": "1", "md5": "a"}},
		{"uid=1&uid=1&uid=%31", map[string]string{"uid": "1"}},
		{"%75id=1&uid=1", map[string]string{"uid": "1"}},
		{"uid=1&uid=2", nil},
		{"uid=1&uid=", nil},
		{"uid=&uid=", map[string]string{"uid": ""}},
		{"uid", map[string]string{"uid": ""}},
		{"uid=a+b&uid=a%20b", map[string]string{"uid": "a b"}},
		{"uid=100%", nil},
		{"name=100%&uid=1&name=2&&x;y=z&%zz=1", map[string]string{"uid": "1"}},
		{"uid=1;md5=a", map[string]string{"uid": "1;md5=a"}},
		{"UID=1", map[string]string{}},
	} {
		got, err := parseV0Query(c.raw, known)
		if (err != nil) != (c.want == nil) || err == nil && fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, %v", c.raw, got, err)
		}
	}
}
