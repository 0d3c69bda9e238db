package main

import (
	"slices"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " S 41 7 7 0 -1 4194560 100 0 0 0 150 50 20 5 20 0 1 0 300 1000 200 18446744073709551615"
	for _, name := range []string{"nginx", "a b", "x) R 9 (y"} {
		parent, cpu, err := parseStat("42 (" + name + ")" + rest)
		if err != nil || parent != 41 || cpu != 2250*time.Millisecond {
			t.Errorf("%q: parent %d, CPU %v, %v", name, parent, cpu, err)
		}
	}
	for _, bad := range []string{"", "42 (nginx) S 41", "42 (nginx) S x 7 7 0 -1 4194560 100 0 0 0 150 50 20 5 20 0"} {
		if _, _, err := parseStat(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestParseKiB(t *testing.T) {
	for text, want := range map[string]int64{
		"Name:\tospd\nVmPeak:\t 9999 kB\nVmHWM:\t   26624 kB\nVmRSS:\t 1 kB\n": 26624 << 10,
		"Name:\tospd\nState:\tZ (zombie)\n":                                    0,
	} {
		if got, err := parseKiB(text, "VmHWM:"); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	if _, err := parseKiB("VmHWM:\tmuch\n", "VmHWM:"); err == nil {
		t.Error("a peak that is no number is read")
	}
}

func TestDescent(t *testing.T) {
	all := []process{{pid: 5, parent: 4}, {pid: 1}, {pid: 3, parent: 2}, {pid: 4, parent: 2}, {pid: 2, parent: 1}, {pid: 9, parent: 1}}
	family, err := descent(all, 2)
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, p := range family {
		pids = append(pids, p.pid)
	}
	if slices.Sort(pids); !slices.Equal(pids, []int{2, 3, 4, 5}) {
		t.Error(pids)
	}
	if _, err := descent(all, 7); err == nil {
		t.Error("a process that is gone has a family")
	}
}
