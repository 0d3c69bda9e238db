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
	// sync is how long a sync took after that.
	sync                 time.Duration
	clientCPU, serverCPU time.Duration
	peak                 int64
	// requests, and how many a second, of works that are measured by them.
	requests int
	rate     float64
	p50, p99 time.Duration
	// at is a time for each size of what was asked.
	at []time.Duration
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
	// ratios says above the ratios what is divided by what.
	ratios string
	// compare is the figure of which ratios are printed, and withSync the same
	// with a sync after it; it is nil, and no sync is measured, where nothing is
	// written.
	compare, withSync func(sample) float64
	// targets are what ours has to reach.
	targets []target
	rows    []*row
	// failures say which peers could not do the work, and why.
	failures []string
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

// leaveOut drops the rows of a peer that could not do the work.
func (t *table) leaveOut(name string, err error) {
	t.rows = slices.DeleteFunc(t.rows, func(r *row) bool { return r.name == name })
	t.failures = append(t.failures, fmt.Sprintf("%s could not do it: %v", name, err))
}

// wallColumns are the figures of works that are measured by the clock.
func wallColumns() []column {
	return []column{
		wallColumn(),
		secondsColumn("then sync s", func(s sample) float64 { return s.sync.Seconds() }),
		secondsColumn("client CPU s", clientCPU),
		secondsColumn("server CPU s", serverCPU),
		peakColumn(),
	}
}

func wallColumn() column {
	return column{head: "wall s (least – greatest)", value: wall, format: "%.2f", spread: true}
}

func secondsColumn(head string, seconds func(sample) float64) column {
	return column{head: head, value: seconds, format: "%.2f"}
}

func millisecondsColumn(head string, seconds func(sample) float64) column {
	return column{head: head + " (least – greatest)", value: func(s sample) float64 { return seconds(s) * 1000 }, format: "%.1f", spread: true}
}

func microsecondsColumn(head string, seconds func(sample) float64) column {
	return column{head: head + " (least – greatest)", value: func(s sample) float64 { return seconds(s) * 1e6 }, format: "%.0f", spread: true}
}

func peakColumn() column { return column{head: "server peak MB", value: peak, format: "%.0f"} }

func wall(s sample) float64 { return s.wall.Seconds() }

func wallAndSync(s sample) float64 { return (s.wall + s.sync).Seconds() }

func clientCPU(s sample) float64 { return s.clientCPU.Seconds() }

func serverCPU(s sample) float64 { return s.serverCPU.Seconds() }

func p50(s sample) float64 { return s.p50.Seconds() }

func p99(s sample) float64 { return s.p99.Seconds() }

func rate(s sample) float64 { return s.rate }

// peak is in MB.
func peak(s sample) float64 { return float64(s.peak) / 1e6 }

// markdown is the table as docs/performance.md has it: the figures of every
// row, then ours divided by theirs, then which targets are met.
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
	t.writeTargets(out)
	if len(t.failures) > 0 {
		fmt.Fprintf(out, "\n%s.\n", strings.Join(t.failures, ". "))
	}
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

// writeRatios prints a line for each rival, with a column for each row of ours.
func (t *table) writeRatios(out *strings.Builder) {
	rivals, ours := t.rivals(), t.ours()
	if len(rivals) == 0 {
		return
	}
	head := []string{t.ratios}
	for _, r := range ours {
		head = append(head, r.name)
	}
	fmt.Fprintln(out)
	writeRow(out, head)
	writeRule(out, len(head))
	for _, other := range rivals {
		cells := []string{other.name}
		for _, r := range ours {
			cells = append(cells, ratio(figures(r.samples, t.compare), other.values))
		}
		writeRow(out, cells)
	}
}

func (t *table) ours() []*row {
	return slices.DeleteFunc(slices.Clone(t.rows), func(r *row) bool { return !r.ours })
}

// rival is what ours is compared with.
type rival struct {
	name   string
	values []float64
}

// rivals are the rows of peers, and where syncs are measured each once more
// with its sync: most peers sync nothing themselves.
func (t *table) rivals() []rival {
	var all []rival
	for _, r := range t.rows {
		if r.ours {
			continue
		}
		all = append(all, rival{r.name, figures(r.samples, t.compare)})
		if t.withSync != nil {
			all = append(all, rival{r.name + synced, figures(r.samples, t.withSync)})
		}
	}
	return all
}

// oursByTheirs is said above most ratios.
const oursByTheirs = "ours / theirs"

// synced is added to the name of a peer whose sync is counted.
const synced = " + sync"

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
