package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// sample is what one run showed.
type sample struct {
	wall time.Duration
	// sync is how long what the server did not sync took to reach the disk.
	sync                 time.Duration
	clientCPU, serverCPU time.Duration
	peak                 int64
	// rate is requests a second, of works that are measured by it.
	rate float64
	p99  time.Duration
}

// row are the samples of one system, or of one way to use it, in the order of
// the rounds.
type row struct {
	name    string
	ours    bool
	samples []sample
}

// column is one figure of the samples; where it is 0 in all, the row has none.
type column struct {
	head  string
	value func(sample) float64
	// format is that of one figure.
	format string
	// spread adds the least and the greatest round.
	spread bool
}

// table is what one work showed.
type table struct {
	title string
	// notes say what is compared, where that is not the same.
	notes   string
	columns []column
	// compare is the figure of which ratios are printed, and withSync the same
	// with the sync included that a peer leaves out; it is nil, and no sync is
	// measured, where nothing is left to sync.
	compare, withSync func(sample) float64
	rows              []*row
	// warming is true while samples do not count.
	warming bool
}

func (t *table) add(name string, ours bool, s sample) {
	i := slices.IndexFunc(t.rows, func(r *row) bool { return r.name == name })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, &row{name: name, ours: ours})
	}
	if !t.warming {
		t.rows[i].samples = append(t.rows[i].samples, s)
	}
}

// wallColumns are the figures of works that are measured by the clock.
func wallColumns() []column {
	return []column{
		{head: "wall s (least – greatest)", value: wall, format: "%.2f", spread: true},
		{head: "then sync s", value: func(s sample) float64 { return s.sync.Seconds() }, format: "%.2f"},
		{head: "client CPU s", value: func(s sample) float64 { return s.clientCPU.Seconds() }, format: "%.2f"},
		{head: "server CPU s", value: func(s sample) float64 { return s.serverCPU.Seconds() }, format: "%.2f"},
		peakColumn(),
	}
}

func peakColumn() column {
	return column{head: "server peak MB", value: func(s sample) float64 { return float64(s.peak) / 1e6 }, format: "%.0f"}
}

func wall(s sample) float64 { return s.wall.Seconds() }

func wallAndSync(s sample) float64 { return (s.wall + s.sync).Seconds() }

// markdown is the table as docs/performance.md has it: the figures of every
// row, then ours divided by theirs.
func (t *table) markdown() string {
	out := &strings.Builder{}
	fmt.Fprintf(out, "### %s\n\n", t.title)
	if t.notes != "" {
		fmt.Fprintf(out, "%s\n\n", t.notes)
	}
	head := []string{""}
	for _, c := range t.columns {
		head = append(head, c.head)
	}
	writeRow(out, head)
	writeRule(out, len(head))
	for _, r := range t.rows {
		cells := []string{r.name}
		for _, c := range t.columns {
			cells = append(cells, c.cell(r))
		}
		writeRow(out, cells)
	}
	t.writeRatios(out)
	fmt.Fprintln(out)
	return out.String()
}

func (c column) cell(r *row) string {
	values := figures(r.samples, c.value)
	if slices.Max(values) == 0 {
		return "–"
	}
	cell := fmt.Sprintf(c.format, median(values))
	if c.spread {
		cell += fmt.Sprintf(" ("+c.format+" – "+c.format+")", slices.Min(values), slices.Max(values))
	}
	return cell
}

// writeRatios prints a line for each row of ours, with a column for each of a
// peer, and another for the peer with its sync where it syncs nothing itself.
func (t *table) writeRatios(out *strings.Builder) {
	type rival struct {
		name   string
		values []float64
	}
	var rivals []rival
	head := []string{"ours / theirs"}
	for _, r := range t.rows {
		if r.ours {
			continue
		}
		rivals = append(rivals, rival{r.name, figures(r.samples, t.compare)})
		head = append(head, r.name)
		if slices.ContainsFunc(r.samples, func(s sample) bool { return s.sync > 0 }) {
			rivals = append(rivals, rival{r.name + " + sync", figures(r.samples, t.withSync)})
			head = append(head, r.name+" + sync")
		}
	}
	if len(rivals) == 0 {
		return
	}
	fmt.Fprintln(out)
	writeRow(out, head)
	writeRule(out, len(head))
	for _, r := range t.rows {
		if !r.ours {
			continue
		}
		cells, ours := []string{r.name}, figures(r.samples, t.compare)
		for _, other := range rivals {
			cells = append(cells, ratio(ours, other.values))
		}
		writeRow(out, cells)
	}
}

// ratio is that of the medians, with the least and the greatest of the rounds.
func ratio(ours, theirs []float64) string {
	var each []float64
	for i := range min(len(ours), len(theirs)) {
		each = append(each, ours[i]/theirs[i])
	}
	return fmt.Sprintf("%.2f (%.2f – %.2f)", median(ours)/median(theirs), slices.Min(each), slices.Max(each))
}

func figures(samples []sample, value func(sample) float64) []float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, value(s))
	}
	return all
}

// median is the middle one, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func writeRow(out *strings.Builder, cells []string) {
	fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
}

func writeRule(out *strings.Builder, columns int) {
	fmt.Fprintf(out, "%s|\n", strings.Repeat("|---", columns))
}
