package api

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

const aTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// TestTraceparent: a trace that comes is gone on with, by another caller; what is
// none begins one. It is in the line of the log and the handler's context, and no
// answer tells of it.
func TestTraceparent(t *testing.T) {
	var inside protocol.Trace
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteListFiles: {serve: func(c *call) error {
		inside = protocol.TraceOf(c.ctx)
		return protocol.Errorf(protocol.KindNotFound, "nothing")
	}}})
	seen := map[string]bool{}
	for name, c := range map[string]struct {
		header string
		goesOn bool
	}{
		"one":           {"traceparent: 00-" + aTrace + "-00f067aa0ba902b7-01\r\n", true},
		"a later one":   {"Traceparent: 9f-" + aTrace + "-00f067aa0ba902b7-01-x\r\n", true},
		"none":          {"", false},
		"an empty one":  {"traceparent:\r\n", false},
		"in capitals":   {"traceparent: 00-" + strings.ToUpper(aTrace) + "-00f067aa0ba902b7-01\r\n", false},
		"a text":        {"traceparent: " + strings.Repeat("a", 8000) + "\r\n", false},
		"two":           {"traceparent: 00-" + aTrace + "-00f067aa0ba902b7-01\r\ntraceparent: 00-" + aTrace + "-00f067aa0ba902b7-01\r\n", false},
		"two in one":    {"traceparent: 00-" + aTrace + "-00f067aa0ba902b7-01, 00-" + aTrace + "-00f067aa0ba902b7-01\r\n", false},
		"another field": {"tracestate: a=00-" + aTrace + "-00f067aa0ba902b7-01\r\n", false},
	} {
		before := len(f.log.String())
		a := f.dial().send("GET /v1/files HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n" + c.header + "\r\n").read(http.MethodGet)
		a.problem(t, protocol.KindNotFound)
		if a.Header.Get("Traceparent") != "" || strings.Contains(string(a.body), inside.TraceID()) {
			t.Errorf("%s: the answer tells: %v %s", name, a.Header, a.body)
		}
		if got := inside.TraceID() == aTrace; got != c.goesOn || inside.IsZero() || inside.SpanID() == "00f067aa0ba902b7" || seen[inside.SpanID()] || !c.goesOn && seen[inside.TraceID()] {
			t.Errorf("%s: is part of %s", name, inside)
		}
		seen[inside.SpanID()], seen[inside.TraceID()] = true, true
		line := regexp.MustCompile(`msg=request .*request_id=(\S+).* trace_id=(\S+) span_id=(\S+)`).FindStringSubmatch(f.log.String()[before:])
		if line == nil || line[1] != a.Header.Get("X-Request-Id") || line[2] != inside.TraceID() || line[3] != inside.SpanID() {
			t.Errorf("%s: the log has %q of %s", name, line, inside)
		}
	}
}
