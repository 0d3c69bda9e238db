package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// target is what ours has to reach: at most so many times a rival, or at most
// so much of a figure.
type target struct {
	// theirs is the name of a rival, or best; "" where the limit stands alone.
	theirs string
	limit  float64
	// figure is what a limit alone, or a ratio of something else than what the
	// table compares, is of, and what its name with its unit, as in "p99" and
	// "server peak MB".
	figure func(sample) float64
	what   string
	// least turns the target round: at least so many times the rival.
	least bool
}

// best stands for the rival with the least figure.
const best = "the best peer"

// peakTarget is what the daemon's memory may be under load.
func peakTarget() target { return target{what: "server peak MB", figure: peak, limit: 96} }

// writeTargets prints a line for each target and each row of ours. A target
// whose rival was not measured has none.
func (t *table) writeTargets(out *strings.Builder) {
	lines := &strings.Builder{}
	for _, goal := range t.targets {
		against, ok := t.against(goal)
		if !ok {
			continue
		}
		for _, r := range t.ours() {
			got := median(figures(r.samples, goal.of(t))) / against
			fmt.Fprintf(lines, "- %s: %s %.2f, %s\n", goal, r.name, got, goal.verdict(got))
		}
	}
	if lines.Len() > 0 {
		fmt.Fprintf(out, "\n%s", lines)
	}
}

// of is the figure that the target is about.
func (g target) of(t *table) func(sample) float64 {
	if g.figure != nil {
		return g.figure
	}
	return t.compare
}

// against is the figure by which ours is divided.
func (t *table) against(g target) (float64, bool) {
	switch {
	case g.theirs == "":
		return 1, true
	case g.figure != nil:
		for _, r := range t.rows {
			if r.name == g.theirs {
				return median(figures(r.samples, g.figure)), true
			}
		}
		return 0, false
	}
	var found []float64
	for _, r := range t.rivals() {
		if r.name == g.theirs || (g.theirs == best && !strings.HasSuffix(r.name, synced)) {
			found = append(found, median(r.values))
		}
	}
	if len(found) == 0 {
		return 0, false
	}
	return slices.Min(found), true
}

func (g target) String() string {
	text := "at most "
	if g.least {
		text = "at least "
	}
	text += fmt.Sprintf("%.2f", g.limit)
	if g.theirs != "" {
		text += " × " + g.theirs
	}
	if g.what != "" {
		text = g.what + " " + text
	}
	return text
}

// verdict is of the figure as it is printed.
func (g target) verdict(got float64) string {
	got = math.Round(got*100) / 100
	if (g.least && got < g.limit) || (!g.least && got > g.limit) {
		return "**missed**"
	}
	return "met"
}
