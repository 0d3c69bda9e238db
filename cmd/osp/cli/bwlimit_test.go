package cli

import (
	"strings"
	"testing"
)

func TestRates(t *testing.T) {
	for s, want := range map[string][2]int64{
		"off": {0, 0}, "20M": {20e6, 20e6}, "20MB/s": {20e6, 20e6}, "1.5MiB/s": {3 << 19, 3 << 19}, "1.5MiB": {3 << 19, 3 << 19},
		"64k": {64e3, 64e3}, "64Ki:1G": {64 << 10, 1e9}, "off:1m": {0, 1e6}, "10M:off": {10e6, 0}, "8192": {8192, 8192}, "off:off": {0, 0},
	} {
		up, down, err := rates(s)
		if err != nil || up != want[0] || down != want[1] {
			t.Errorf("%s: %d up, %d down, %v; want %v", s, up, down, err, want)
		}
	}
	for _, s := range []string{"", "0", "20", "8191", "-1M", "fast", "1M:", ":1M", "1M:2M:3M", "20Mbit", "20mbps", "1e400", "99999999999999999999", "NaN", "Inf", "1Mi/", "2PiB"} {
		if up, down, err := rates(s); err == nil || !strings.Contains(err.Error(), "--bwlimit") {
			t.Errorf("%q: %d up, %d down, %v; want a refusal", s, up, down, err)
		}
	}
}

func TestConnectionsShareTheBandwidth(t *testing.T) {
	for _, tt := range []struct {
		bwlimit     string
		connections int
		want        int
	}{
		{"off", 16, 16}, {"100M", 16, 16}, {"512Ki", 16, 16}, {"500K", 16, 15}, {"64Ki:100M", 16, 2}, {"off:8Ki", 16, 1}, {"100M", 3, 3},
	} {
		g := &globals{connections: tt.connections}
		var err error
		if g.up, g.down, err = rates(tt.bwlimit); err != nil {
			t.Fatal(err)
		}
		if got := g.atOnce(); got != tt.want {
			t.Errorf("%s, --connections %d: %d at once, want %d", tt.bwlimit, tt.connections, got, tt.want)
		}
	}
}
