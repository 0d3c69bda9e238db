package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/osproxy/osproxy/client/transfer"
)

// report collects what became of the items of one verb, prints each, and
// folds them into an exit code. It is safe for concurrent use.
type report struct {
	con  *console
	op   string
	json bool
	// quiet keeps the summary in text mode back.
	quiet bool
	// verbose tells on standard error how each item was done.
	verbose bool
	// dryRun: items were only looked at.
	dryRun bool
	// failIfEmpty: a verb without items ends with exitNothing.
	failIfEmpty bool
	began       time.Time
	// text is the line of standard output for an item that is done, "" for
	// none.
	text func(outcome) string
	// resume is the command that continues a kept transfer, again what is said
	// of an item that a stop ended and that left none.
	resume func(transfer.ID) string
	again  string

	mu sync.Mutex
	// next is the first item whose text is not printed yet; held are the
	// texts of items that ended before it.
	next  int
	held  map[int]string
	codes []int
	sum   summaryLine
	// unverified counts what was done without having been verified.
	unverified int
	// instant counts the files whose bytes did not travel.
	instant int
	// skipped counts what was done or in place before, left the lines of a
	// batch that were not begun.
	skipped, left int
	// known are the bytes that would be claimed.
	known int64
}

// add takes the outcome of the item at index (in argument order, from 0; each
// once). JSON lines are printed as they come, text in argument order, errors
// at once.
func (r *report) add(index int, o outcome) {
	o.err = o.advised(r.resume, r.again)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(o)
	if r.verbose && o.err == nil {
		r.con.note(o.detail())
	}
	if r.json {
		r.con.result(marshal(o.line()))
		return
	}
	text := ""
	if o.err == nil {
		text = r.text(o)
	} else {
		r.con.note(explain(o.task(), o.subject(), o.err))
	}
	r.release(index, text)
}

func (r *report) count(o outcome) {
	r.codes = append(r.codes, exitOf(o.err))
	r.sum.Items++
	r.sum.SentBytes += o.SentBytes
	r.sum.ResumedBytes += o.ResumedBytes
	if o.err != nil {
		r.sum.Failed++
		return
	}
	r.sum.Done++
	r.sum.Bytes += o.Size
	r.sum.InstantBytes += o.InstantBytes
	switch o.Outcome {
	case transfer.Instant:
		r.instant++
	case transfer.Skipped:
		r.skipped++
	}
	if o.Would == transfer.Instant {
		r.known += o.Size
	}
	if !o.Verified {
		r.unverified++
	}
}

// release prints the text of item index and of those after it that waited for
// it, or keeps it until its turn.
func (r *report) release(index int, text string) {
	if r.held == nil {
		r.held = map[int]string{}
	}
	r.held[index] = text
	for {
		text, ok := r.held[r.next]
		if !ok {
			return
		}
		delete(r.held, r.next)
		r.next++
		if text != "" {
			r.con.result([]byte(text))
		}
	}
}

// leave says that lines of a batch were not begun, or that the batch did not end
// well for a reason that is no line's: code is that reason's, or 3. It counts
// where all that was begun is done, and where it is that of a stop.
func (r *report) leave(left, code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = left
	if slices.Contains(stops(), code) || fold(r.codes) == exitDone {
		r.codes = []int{code}
	}
}

// close prints the summary and returns the exit code.
func (r *report) close(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	code := fold(r.codes)
	if r.failIfEmpty && r.sum.Items == 0 {
		code = exitNothing
	}
	if r.con.lost() != nil && code == exitDone {
		code = exitOther
	}
	r.sum.V, r.sum.Type = 1, "summary"
	r.sum.OK, r.sum.Exit = code == exitDone, code
	r.sum.ElapsedMS = now.Sub(r.began).Milliseconds()
	if r.op == opRun {
		r.sum.Skipped, r.sum.NotBegun = &r.skipped, &r.left
	}
	if r.json {
		r.con.result(marshal(r.sum))
	} else if !r.quiet && r.sum.Items+r.left > 0 {
		r.con.note(r.sentence(now.Sub(r.began)))
	}
	return code
}

// sentence is the summary for people.
func (r *report) sentence(took time.Duration) string {
	s := r.sum
	what := counted(s.Items)
	if r.op == opRun {
		what = countedAs("line", s.Items)
	}
	if s.Failed > 0 {
		what = fmt.Sprintf("%d of %s", s.Done, what)
	}
	var moved []string
	for _, m := range []struct {
		n    int64
		text string
	}{{s.SentBytes, r.direction()}, {s.ResumedBytes, r.heldText()}, {s.InstantBytes, r.instantText()}} {
		if m.n > 0 {
			moved = append(moved, bytesText(m.n)+" "+m.text)
		}
	}
	text := fmt.Sprintf("%s, %s in %s", what, bytesText(s.Bytes), elapsedText(took))
	if r.dryRun {
		text = fmt.Sprintf("%s, %s%s: nothing was done (--dry-run)", what, bytesText(s.Bytes), r.knownText())
	} else if r.op == opRemove {
		text = fmt.Sprintf("%s deleted", what)
	}
	if len(moved) > 0 {
		text += " (" + strings.Join(moved, ", ") + ")"
	}
	if s.Failed > 0 {
		text += fmt.Sprintf("; %d failed", s.Failed)
	}
	if r.left > 0 {
		text += fmt.Sprintf("; %d not begun", r.left)
	}
	if s.Failed > 0 || r.left > 0 {
		return text
	}
	if slices.Contains([]string{opPut, opGet, opResume, opVerify}, r.op) && r.unverified == 0 && !r.dryRun {
		text += ", all verified"
	}
	return text
}

// knownText says how much of what was only looked at would travel, where the
// daemon may have some of it.
func (r *report) knownText() string {
	if r.known == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s to send, %s that the daemon seems to have)", bytesText(r.sum.Bytes-r.known), bytesText(r.known))
}

// heldText is the word for the bytes that need not travel.
func (r *report) heldText() string {
	if r.op == opVerify {
		return "compared"
	}
	return "resumed"
}

// direction is the word for the bytes that travelled.
func (r *report) direction() string {
	switch r.op {
	case opGet, opCat, opVerify:
		return "received"
	case opResume, opRun:
		return "moved"
	}
	return "sent"
}

// instantText are the words for the bytes that were claimed: of how many files
// they are, where there are others.
func (r *report) instantText() string {
	if r.instant == r.sum.Items {
		return "instant"
	}
	return "instant: " + counted(r.instant)
}

// counted is a number of files in words.
func counted(n int) string { return countedAs("file", n) }

// countedAs is a number of things in words.
func countedAs(noun string, n int) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
