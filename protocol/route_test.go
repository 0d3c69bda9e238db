package protocol

import (
	"slices"
	"strings"
	"testing"
)

func TestRoutesAreTotal(t *testing.T) {
	names, paths := map[RouteName]bool{}, map[string]bool{}
	for _, r := range Routes() {
		if names[r.Name] || paths[r.Method+" "+r.Path] {
			t.Errorf("%+v is there twice", r)
		}
		names[r.Name], paths[r.Method+" "+r.Path] = true, true
		if RouteOf(r.Name) != r {
			t.Errorf("RouteOf(%s) = %+v", r.Name, RouteOf(r.Name))
		}
		r.Path = r.Expand(1, 2)
		if got := r.ExpandID("a"); strings.ContainsAny(got, "{}") {
			t.Errorf("%s is expanded to %s", r.Name, got)
		}
		if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, r.Method) {
			t.Errorf("%s has the method %q", r.Name, r.Method)
		}
	}
	for _, c := range constants(t, "RouteName") {
		if !names[RouteName(c)] {
			t.Errorf("the constant %q has no row", c)
		}
	}
	if got := len(constants(t, "RouteName")); got != len(Routes()) {
		t.Errorf("%d constants and %d rows", got, len(Routes()))
	}
}

func TestExpand(t *testing.T) {
	for name, want := range map[RouteName]string{
		RouteCapabilities: "/v1/capabilities",
		RoutePutPart:      "/v1/uploads/12/parts/34",
		RouteGetBlocks:    "/v1/files/12/blocks",
	} {
		if got := RouteOf(name).Expand(12, 34); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestExpandID(t *testing.T) {
	if got := RouteOf(RouteRevokeToken).ExpandID("0aZ"); got != "/v1/tokens/0aZ" {
		t.Errorf("expanded to %s", got)
	}
}

func TestRouteOfUnknownPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	RouteOf("make_coffee")
}
