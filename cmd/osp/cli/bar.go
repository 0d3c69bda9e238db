package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/rivo/uniseg"
	"github.com/schollz/progressbar/v3"

	"github.com/osproxy/osproxy/client/transfer"
)

// totalBar draws one bar for all items, on one line of the terminal. The numbers
// are transfer.Progress's: the library would count bytes found held as speed,
// and knows neither that a total grows nor that a terminal changes its width.
// So it draws each picture anew, and this writes it.
type totalBar struct {
	con *console
	// columns is the width of the terminal now.
	columns func() int
}

func newTotalBar(con *console) *totalBar { return &totalBar{con: con, columns: con.columns} }

// echoRoom is left free at the end of the line: a terminal prints ^C behind the
// bar, and what goes on to the next line cannot be drawn over.
const echoRoom = len("^C") + 1

// draw brings the bar up to date.
func (b *totalBar) draw(s transfer.Snapshot) {
	columns := b.columns()
	clear := "\r" + strings.Repeat(" ", max(columns-1, 0)) + "\r"
	line := barLine(s, columns-echoRoom)
	// Errors of drawing have nobody to be told to.
	b.con.draw(func() { _, _ = io.WriteString(b.con.err, clear+line) }, func() { _, _ = io.WriteString(b.con.err, clear) })
}

const (
	// barWidth is the bar itself where there is room for it, leastBar where
	// there is not.
	barWidth, leastBar = 30, 10
	// barFrame is what the library draws around it: "  99% |", "|".
	barFrame = 8
	// nameRoom is left to the name, as long as there is anything else to leave
	// out.
	nameRoom = 20
)

// barLine is the text and the bar, in at most room columns; nothing where they
// are too few for a bar.
func barLine(s transfer.Snapshot, room int) string {
	if room < barFrame+leastBar {
		return ""
	}
	text := barText(s, room-barFrame-leastBar)
	var line strings.Builder
	// One more than there is to move: a bar that is full counts as finished, and
	// more may be to come.
	bar := progressbar.NewOptions64(toMove(s)+1, progressbar.OptionSetWriter(&line), progressbar.OptionSetDescription(text),
		progressbar.OptionSetWidth(min(barWidth, room-barFrame-width(text))),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionShowBytes(false))
	_ = bar.Set64(s.Moved) // into memory, and never more than the maximum
	_ = bar.RenderBlank()
	drawn := bar.String()
	return strings.TrimRight(strings.TrimPrefix(drawn, "\r"), " ")
}

// toMove is all that this run has to move, as far as that is known.
func toMove(s transfer.Snapshot) int64 { return max(s.Bytes-s.Resumed-s.Instant, s.Moved) }

// barText stands before the bar: what is being moved, how much of how much, how
// fast, and what else there is to say, as far as there is room.
func barText(s transfer.Snapshot, room int) string {
	const between = "  "
	name := clean(s.Name)
	left := room - min(width(name), nameRoom) - len(between)
	var parts []string
	if s.Items > 1 {
		parts = append(parts, fmt.Sprintf("%d/%d files", s.ItemsDone, s.Items))
	}
	parts = append(parts, bytesText(s.Moved)+"/"+bytesText(toMove(s)))
	parts = append(parts, speed(s)...)
	parts = append(parts, besides(s)...)
	text := strings.Join(parts, between)
	for text != "" && width(text) > left {
		parts = parts[:len(parts)-1]
		text = strings.Join(parts, between)
	}
	name = shorten(name, room-width(text)-len(between))
	return strings.Trim(name+between+text, " ")
}

// width is how many columns of a terminal a text takes.
func width(s string) int { return uniseg.StringWidth(s) }

// shorten cuts the front of a text that is wider than most, since names differ
// at their ends. Of one that has no room at all nothing is left.
func shorten(s string, most int) string {
	switch {
	case width(s) <= most:
		return s
	case most < 1:
		return ""
	}
	for width(s) >= most {
		_, s, _, _ = uniseg.FirstGraphemeClusterInString(s, -1)
	}
	return "…" + s
}
