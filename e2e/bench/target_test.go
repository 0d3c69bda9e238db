package main

import (
	"strings"
	"testing"
	"time"
)

func TestTargets(t *testing.T) {
	table := &table{compare: wall, withSync: wallAndSync, targets: []target{
		{theirs: "a", limit: 1},
		{theirs: "a" + synced, limit: 1},
		{theirs: best, limit: 2},
		{theirs: "c", limit: 1},
		{what: "p99", figure: p99, theirs: "a", limit: 1},
		{what: "server peak MB", figure: peak, limit: 96},
	}}
	table.add("ours", true, sample{wall: 3 * time.Second, peak: 97e6, p99: time.Second})
	table.add("a", false, sample{wall: 2 * time.Second, sync: time.Second, p99: 2 * time.Second})
	table.add("b", false, sample{wall: 4 * time.Second, sync: time.Second})
	want := `
- at most 1.00 × a: ours 1.50, **missed**
- at most 1.00 × a + sync: ours 1.00, met
- at most 2.00 × the best peer: ours 1.50, met
- p99 at most 1.00 × a: ours 0.50, met
- server peak MB at most 96.00: ours 97.00, **missed**
`
	out := &strings.Builder{}
	table.writeTargets(out)
	if out.String() != want {
		t.Errorf("got%s\nwant%s", out, want)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		goal target
		got  float64
		met  bool
	}{
		{target{limit: 1.2}, 1.2, true},
		{target{limit: 1.2}, 1.204, true},
		{target{limit: 1.2}, 1.206, false},
		{target{limit: 0.5, least: true}, 0.5, true},
		{target{limit: 0.5, least: true}, 0.6, true},
		{target{limit: 0.5, least: true}, 0.49, false},
	} {
		if got := c.goal.verdict(c.got) == "met"; got != c.met {
			t.Errorf("%s: %v is met: %v", c.goal, c.got, got)
		}
	}
}
