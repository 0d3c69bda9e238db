//go:build postgres

package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestQuotasOfSeveralNodes: a node whose configuration has other quotas than that
// of the one that started before says so, as long as that may live.
func TestQuotasOfSeveralNodes(t *testing.T) {
	first := joining(t, config(t))
	limited := nodeOn(t, first)
	limited.Quotas.Owners = map[string]Quota{"ann": {Files: new(int64(3))}}
	otherwise := nodeOn(t, first)
	otherwise.Quotas.Default = Quota{Bytes: new(int64(1))}
	warned := func(what string, cfg Config, want bool) *Daemon {
		t.Helper()
		var said bytes.Buffer
		d, err := New(t.Context(), cfg, "test", slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(said.String(), "give all nodes the same quotas"); got != want {
			t.Errorf("%s: warned %v\n%s", what, got, said.String())
		}
		return d
	}
	var running []*Daemon
	running = append(running, warned("the first", first, false), warned("one like it", nodeOn(t, first), false),
		warned("other owners", limited, true), warned("another default", otherwise, true))
	for _, d := range running {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := warned("alone again", first, false).Close(); err != nil {
		t.Error(err)
	}
}
