package api

import (
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestConditionsOfChanges: a change whose condition does not hold changes
// nothing (RFC 9110 section 13.1.1).
func TestConditionsOfChanges(t *testing.T) {
	o := startOspd(t)
	f := into[protocol.File](t, o.oneShot("name=a", []byte("abc")), http.StatusCreated)
	path := "/v1/files/" + f.UID.String()
	for _, condition := range [][2]string{
		{"If-Match", `"x"`}, {"If-Match", "rubbish"}, {"If-None-Match", f.ETag}, {"If-None-Match", "*"},
		{"If-Unmodified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"},
	} {
		o.do(http.MethodDelete, path, "", condition[0], condition[1]).problem(t, protocol.KindPreconditionFailed)
		o.do(http.MethodPatch, path, `{"name": "b"}`, condition[0], condition[1]).problem(t, protocol.KindPreconditionFailed)
	}
	if read := into[protocol.File](t, o.do(http.MethodGet, path, ""), http.StatusOK); read.Name != "a" {
		t.Errorf("the name became %q", read.Name)
	}
	into[protocol.File](t, o.do(http.MethodPatch, path, `{"name": "b"}`, "If-Match", f.ETag), http.StatusOK)
	if a := o.do(http.MethodDelete, path, "", "If-Match", "*"); a.StatusCode != http.StatusNoContent {
		t.Errorf("the deletion got %s", a.Status)
	}
	o.do(http.MethodDelete, path, "", "If-Match", "*").problem(t, protocol.KindNotFound)
}

// TestFieldsThatAreThere: a checksum or a key that is given is looked at, be it
// empty; parameters of a digest are not.
func TestFieldsThatAreThere(t *testing.T) {
	o := startOspd(t)
	for name, value := range map[string]string{
		protocol.HeaderXXH3: "", protocol.HeaderIdempotencyKey: "", "Content-Digest": "sha-256=:AAAA:",
	} {
		o.oneShot("name=a", []byte("abc"), name, value).problem(t, protocol.KindBadRequest)
	}
	const sum = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:;a=1"
	into[protocol.File](t, o.oneShot("name=a", []byte("abc"), "Content-Digest", sum), http.StatusCreated)
	o.oneShot("name=a", []byte("abd"), "Content-Digest", sum).problem(t, protocol.KindChecksumMismatch)
}

// TestValuesOfABegin: what no upload can be is said for what it is.
func TestValuesOfABegin(t *testing.T) {
	o := startOspd(t)
	for body, kind := range map[string]protocol.Kind{
		`{"name": "a", "meta": {"k": null}}`:               protocol.KindBadRequest,
		`{"name": "a", "meta": {"k": 1}}`:                  protocol.KindBadRequest,
		`{"name": "a", "size": 9223372036854775808}`:       protocol.KindTooLarge,
		`{"name": "a", "size": 42949672960001}`:            protocol.KindTooLarge,
		`{"name": "a", "size": -1}`:                        protocol.KindBadRequest,
		`{"name": "a", "size": 1.5}`:                       protocol.KindBadRequest,
		`{"name": "a", "size_hint": 92233720368547758080}`: protocol.KindBadRequest,
	} {
		o.do(http.MethodPost, "/v1/uploads", body, "Content-Type", "application/json").problem(t, kind)
	}
	for _, body := range []string{`{"name": "a", "meta": null}`, `{"name": "a", "meta": {}}`, `{"name": "a", "meta": {"k": ""}}`} {
		into[protocol.Upload](t, o.do(http.MethodPost, "/v1/uploads", body, "Content-Type", "application/json"), http.StatusCreated)
	}
}
