package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// probeOf is the body that asks for contents.
func probeOf(contents ...string) string {
	var items []string
	for _, c := range contents {
		items = append(items, fmt.Sprintf(`{"size": %d, "fingerprint": %q}`, len(c), fingerprintOf(c)))
	}
	return `{"items": [` + strings.Join(items, ", ") + `]}`
}

// probe asks for contents.
func (o *ospd) probe(contents ...string) (maybe []bool) {
	o.t.Helper()
	for _, it := range into[protocol.Probed](o.t, o.do(http.MethodPost, "/v1/uploads/probe", probeOf(contents...)), http.StatusOK).Items {
		maybe = append(maybe, it.Maybe)
	}
	return maybe
}

// TestProbe: what it answers is what a begin would, and nothing is begun.
func TestProbe(t *testing.T) {
	o := startOspd(t)
	f := into[protocol.File](t, o.oneShot("name=a", []byte("abc")), http.StatusCreated)
	into[protocol.File](t, o.oneShot("name=b", []byte("defg")), http.StatusCreated)
	before := o.stateOf(f.UID)
	if got := o.probe("nothing", "abc", "", "defg", "abc", "abcd"); !slices.Equal(got, []bool{false, true, false, true, true, false}) {
		t.Errorf("answered %v", got)
	}
	if got := o.probe(); len(got) != 0 {
		t.Errorf("of nothing it says %v", got)
	}
	if after := o.stateOf(f.UID); after != before {
		t.Errorf("a probe changed\n%s\nto\n%s", before, after)
	}
	if a := o.do(http.MethodDelete, "/v1/files/"+f.UID.String(), ""); a.StatusCode != http.StatusNoContent {
		t.Fatal(a.Status)
	}
	if got := o.probe("abc", "defg"); !slices.Equal(got, []bool{false, true}) {
		t.Errorf("after a deletion it says %v", got)
	}
}

// TestProbeTellsOwnersApart: what others have does not show, not even where they
// deduplicate with it, nor with which fingerprint or size it is asked for.
func TestProbeTellsOwnersApart(t *testing.T) {
	o := startOspd(t)
	alice, bob := o.as("alice"), o.as("bob")
	into[protocol.File](t, alice.oneShot("name=a", []byte("abc")), http.StatusCreated)
	into[protocol.File](t, alice.oneShot("name=b", []byte("both")), http.StatusCreated)
	into[protocol.File](t, bob.oneShot("name=b", []byte("both")), http.StatusCreated)
	if got := alice.probe("abc", "both", "none"); !slices.Equal(got, []bool{true, true, false}) {
		t.Errorf("alice is told %v", got)
	}
	if got := bob.probe("abc", "both", "none"); !slices.Equal(got, []bool{false, true, false}) {
		t.Errorf("bob is told %v", got)
	}
}

// TestProbeLimits: as many as the wire has, and not one more.
func TestProbeLimits(t *testing.T) {
	o := startOspd(t)
	into[protocol.File](t, o.oneShot("name=a", []byte("abc")), http.StatusCreated)
	many := make([]string, protocol.MaxProbeItems)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	many[len(many)-1] = "abc"
	got := o.probe(many...)
	if len(got) != protocol.MaxProbeItems || slices.Index(got, true) != len(many)-1 {
		t.Errorf("%d answers, the first yes at %d", len(got), slices.Index(got, true))
	}
	o.do(http.MethodPost, "/v1/uploads/probe", probeOf(append(many, "one more")...)).problem(t, protocol.KindTooLarge)
}

func TestMalformedProbes(t *testing.T) {
	o := startOspd(t)
	const fp = `"00000000000000000000000000000000"`
	for body, kind := range map[string]protocol.Kind{
		``:                         protocol.KindBadRequest,
		`{}`:                       protocol.KindBadRequest,
		`[]`:                       protocol.KindBadRequest,
		`null`:                     protocol.KindBadRequest,
		`{"items": null}`:          protocol.KindBadRequest,
		`{"items": {}}`:            protocol.KindBadRequest,
		`{"items": [null]}`:        protocol.KindBadRequest,
		`{"items": [7]}`:           protocol.KindBadRequest,
		`{"items": [{}]}`:          protocol.KindBadRequest,
		`{"items": [{"size": 1}]}`: protocol.KindBadRequest,
		`{"items": [{"fingerprint": ` + fp + `}]}`:                               protocol.KindBadRequest,
		`{"items": [{"size": null, "fingerprint": ` + fp + `}]}`:                 protocol.KindBadRequest,
		`{"items": [{"size": 1, "fingerprint": null}]}`:                          protocol.KindBadRequest,
		`{"items": [{"size": "1", "fingerprint": ` + fp + `}]}`:                  protocol.KindBadRequest,
		`{"items": [{"size": 1.5, "fingerprint": ` + fp + `}]}`:                  protocol.KindBadRequest,
		`{"items": [{"size": 1, "fingerprint": "0"}]}`:                           protocol.KindBadRequest,
		`{"items": [{"size": -1, "fingerprint": ` + fp + `}]}`:                   protocol.KindBadRequest,
		`{"items": [{"size": 1, "size": 2, "fingerprint": ` + fp + `}]}`:         protocol.KindBadRequest,
		`{"items": [{"size": 1, "fingerprint": ` + fp + `, "name": "a"}]}`:       protocol.KindUnknownField,
		`{"items": [], "owner": "bob"}`:                                          protocol.KindUnknownField,
		`{"items": [{"size": 99999999999999, "fingerprint": ` + fp + `}]}`:       protocol.KindTooLarge,
		`{"items": [{"size": 99999999999999999999, "fingerprint": ` + fp + `}]}`: protocol.KindTooLarge,
	} {
		o.do(http.MethodPost, "/v1/uploads/probe", body).problem(t, kind)
	}
	p := o.do(http.MethodPost, "/v1/uploads/probe", `{"items": [{"size": 1, "fingerprint": `+fp+`}, {"size": -1, "fingerprint": `+fp+`}]}`).problem(t, protocol.KindBadRequest)
	if !strings.HasPrefix(p.Detail, "item 2: ") {
		t.Errorf("refused as %q", p.Detail)
	}
	o.do(http.MethodPost, "/v1/uploads/probe?limit=1", probeOf()).problem(t, protocol.KindUnknownField)
	o.do(http.MethodGet, "/v1/uploads/probe", "").problem(t, protocol.KindBadUID)
	o.do(http.MethodPut, "/v1/uploads/probe", "").problem(t, protocol.KindMethodNotAllowed)
}
