package cli

import (
	"fmt"
	"strings"

	"github.com/schollz/progressbar/v3"

	"github.com/osproxy/osproxy/client/transfer"
)

// totalBar draws one bar for all items. The numbers are transfer.Progress's:
// the library would count bytes found held as speed, so it is only given what
// this run has to move, and prints no rate of its own.
type totalBar struct {
	con *console
	bar *progressbar.ProgressBar
}

func newTotalBar(con *console) *totalBar {
	return &totalBar{con: con, bar: progressbar.NewOptions64(1,
		progressbar.OptionSetWriter(con.err), // the default is standard output
		progressbar.OptionShowBytes(false),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetWidth(30),
		// A maximum of -1 would start a goroutine that nobody can end; the
		// maximum here is never less than 1.
		progressbar.OptionSetSpinnerChangeInterval(0),
	)}
}

// draw brings the bar up to date. Its maximum is one more than there is to
// move: a bar that is full counts as finished and is never drawn again,
// although more may be to come.
func (b *totalBar) draw(s transfer.Snapshot) {
	whole := toMove(s)
	b.con.draw(func() {
		// Each of these may draw, so the text comes first. Errors of drawing
		// have nobody to be told to.
		b.bar.Describe(barText(s))
		b.bar.ChangeMax64(whole + 1)
		_ = b.bar.Set64(s.Moved)
	}, func() { _ = b.bar.Clear() })
}

// toMove is all that this run has to move, as far as that is known.
func toMove(s transfer.Snapshot) int64 { return max(s.Bytes-s.Resumed-s.Instant, s.Moved) }

// barText stands before the bar.
func barText(s transfer.Snapshot) string {
	var parts []string
	if s.Items > 1 {
		parts = append(parts, fmt.Sprintf("%d/%d files", s.ItemsDone, s.Items))
	}
	parts = append(parts, bytesText(s.Moved)+"/"+bytesText(toMove(s)))
	parts = append(parts, speed(s)...)
	return strings.Join(append(parts, besides(s)...), "  ")
}
