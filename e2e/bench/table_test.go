package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{5, 1, 3}, 3},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

func TestRatioIsOfMediansWithTheRounds(t *testing.T) {
	if got := ratio([]float64{1, 2, 9}, []float64{2, 1, 4}); got != "1.00 (0.50 – 2.25)" {
		t.Error(got)
	}
}

func TestTable(t *testing.T) {
	table := &table{title: "Put", notes: "What is compared.", columns: wallColumns(), ratios: oursByTheirs, compare: wall, withSync: wallAndSync, warming: true}
	table.add("ours", true, sample{wall: time.Hour})
	table.add("theirs", false, sample{wall: time.Hour})
	table.warming = false
	table.add("theirs", false, sample{wall: 2 * time.Second, sync: 2 * time.Second, clientCPU: time.Second, serverCPU: time.Second, peak: 5e6})
	table.add("ours", true, sample{wall: 3 * time.Second, clientCPU: time.Second, serverCPU: 2 * time.Second, peak: 30e6})
	want := `### Put

What is compared.

|  | wall s (least – greatest) | then sync s | client CPU s | server CPU s | server peak MB |
|---|---|---|---|---|---|
| ours | 3.00 (3.00 – 3.00) | – | 1.00 | 2.00 | 30 |
| theirs | 2.00 (2.00 – 2.00) | 2.00 | 1.00 | 1.00 | 5 |

| ours / theirs | ours |
|---|---|
| theirs | 1.50 (1.50 – 1.50) |
| theirs + sync | 0.75 (0.75 – 0.75) |

`
	if got := table.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableWithoutPeersHasNoRatios(t *testing.T) {
	table := &table{title: "Commit", columns: wallColumns(), compare: wall}
	table.add("10 MiB", true, sample{wall: time.Second})
	if got := table.markdown(); strings.Contains(got, "ours / theirs") {
		t.Error(got)
	}
}

func TestTableLeavesOutWhoFailed(t *testing.T) {
	table := &table{title: "Put", columns: wallColumns(), ratios: oursByTheirs, compare: wall}
	table.add("ours", true, sample{wall: time.Second})
	table.add("theirs", false, sample{wall: time.Second})
	table.leaveOut("theirs", errors.New("answered 500"))
	got := table.markdown()
	if strings.Contains(got, "| theirs |") || !strings.HasSuffix(got, "\ntheirs could not do it: answered 500.\n\n") {
		t.Error(got)
	}
}
