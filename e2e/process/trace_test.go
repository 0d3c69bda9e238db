package process

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// TestOneCommandIsOneTrace: all that one run of osp asks of the daemon is found
// in its log by one trace, each request with a span of its own; a second run is
// another, and where the environment names one it is that.
func TestOneCommandIsOneTrace(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	osp := harness.NewOSP(t, bin, d.URL)
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, []byte(strings.Repeat("0123456789abcdef", 2<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	first := osp.Put(big)
	put := traces(t, d, 0)
	osp.Get(first.UID, filepath.Join(t.TempDir(), "got"))
	get := traces(t, d, len(put))
	t.Setenv("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	osp.Put(big, "--name", "again")
	named := traces(t, d, len(put)+len(get))

	spans := map[string]bool{"00f067aa0ba902b7": true}
	for verb, lines := range map[string][]traced{"put": put, "get": get, "put with TRACEPARENT": named} {
		for _, l := range lines {
			if l.Trace != lines[0].Trace || len(l.Trace) != 32 || spans[l.Span] {
				t.Errorf("%s: %+v is not part of %s", verb, l, lines[0].Trace)
			}
			spans[l.Span] = true
		}
	}
	// begin, 4 parts, commit; the last is instant, by a claim of two requests.
	if len(put) < 6 || len(get) < 2 || len(named) < 3 {
		t.Errorf("%d, %d and %d requests: this test does not see all of them", len(put), len(get), len(named))
	}
	if put[0].Trace == get[0].Trace || named[0].Trace != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("the traces are %s, %s and %s", put[0].Trace, get[0].Trace, named[0].Trace)
	}
}

type traced struct {
	Msg, Route string
	Trace      string `json:"trace_id"`
	Span       string `json:"span_id"`
}

// traces are the lines of the daemon's log that tell of a request, but for the
// first.
func traces(t *testing.T, d *harness.Daemon, after int) (lines []traced) {
	t.Helper()
	for line := range strings.Lines(d.Stderr()) {
		var l traced
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "request" {
			lines = append(lines, l)
		}
	}
	return lines[after:]
}
