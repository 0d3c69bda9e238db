package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/cmd/osp/batch"
	"github.com/osproxy/osproxy/protocol"
)

// inBatch is an outcome of a line of a batch.
func inBatch(number int, o outcome) outcome {
	o.place = place{number: number}
	return o
}

func TestABatchEndsWithZeroOnlyIfAllIsDone(t *testing.T) {
	good := put(1, "a", 1)
	missing := failed("b", protocol.Errorf(protocol.KindLocalMissing, "there is no such file"))
	refused := failed("c", protocol.Errorf(protocol.KindForbidden, "not allowed"))
	tests := []struct {
		name       string
		items      []outcome
		left, code int // of leave; 0 without one
		want       int
	}{
		{"nothing at all", nil, 0, 0, exitDone},
		{"all done", []outcome{good, good}, 0, 0, exitDone},
		{"some failed", []outcome{good, missing}, 0, 0, exitPartial},
		{"all failed alike", []outcome{missing, missing}, 0, 0, exitNotFound},
		{"all failed, not alike", []outcome{missing, refused}, 0, 0, exitPartial},
		{"some not begun", []outcome{good}, 1, exitPartial, exitPartial},
		{"none begun", nil, 2, exitPartial, exitPartial},
		{"the first failed, the rest was not begun", []outcome{missing}, 1, exitPartial, exitNotFound},
		{"interrupted between two", []outcome{good}, 1, exitInterrupted, exitInterrupted},
		{"interrupted after a failure", []outcome{missing}, 1, exitInterrupted, exitInterrupted},
		{"timed out before the first", nil, 1, exitTimeout, exitTimeout},
		{"all done, and the journal failed", []outcome{good}, 0, exitOther, exitOther},
		{"some failed, and the journal too", []outcome{good, missing}, 0, exitOther, exitPartial},
	}
	for _, tt := range tests {
		for _, asJSON := range []bool{false, true} {
			p := newPrinted(opRun, asJSON)
			for i, o := range tt.items {
				p.add(i, inBatch(i+1, o))
			}
			if tt.code != 0 {
				p.leave(tt.left, tt.code)
			}
			if code := p.end(); code != tt.want || p.sum.OK != (code == exitDone) || *p.sum.NotBegun != tt.left {
				t.Errorf("%s: exit %d, summary %+v, want %d", tt.name, code, p.sum, tt.want)
			}
		}
	}
}

func TestLinesAreNamedInText(t *testing.T) {
	p := newPrinted(opRun, false)
	p.add(0, inBatch(3, put(1, "a", 1)))
	p.add(1, inBatch(12, failed("b\r", protocol.Errorf(protocol.KindLocalMissing, "there is no such file"))))
	p.leave(2, exitPartial)
	p.end()
	const want = "osp: line 12: put b\\r: there is no such file\n1 of 2 lines, 1 B in 16.8s (1 B moved); 1 failed; 2 not begun\n"
	if got := p.err.String(); got != want || p.out.String() != "1\ta\n" {
		t.Errorf("printed %q and %q, want %q", p.out.String(), got, want)
	}
}

// TestAPutWhoseEndIsTooLongAgoIsAConflict: the daemon would make another file of
// it, and nobody would know.
func TestAPutWhoseEndIsTooLongAgoIsAConflict(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	r := &batchRun{s: newPrintedSession(now), o: &runOptions{}}
	past := batch.Past{Failed: true, Open: true, Since: protocol.TimeOf(now.Add(-keyKnown - time.Minute))}
	_, err := r.put(t.Context(), batch.Line{Op: batch.Put, Path: "dir/a b"}, past, protocol.TimeOf(now))
	const want = "an earlier run began this at 2026-11-21T10:59:00.000Z and saw no end of it, so it may be stored; nothing was sent"
	if protocol.KindOf(err) != protocol.KindConflict || err.Error() != want || !strings.Contains(errorHint(err), "osp ls 'a b'") {
		t.Errorf("ended with %v (%s), want %s", err, errorHint(err), want)
	}
}

func newPrintedSession(now time.Time) *session {
	s := newSession(strings.NewReader(""), nil, nil, nil)
	s.now = func() time.Time { return now }
	return s
}

func errorHint(err error) string {
	if l := errorOf(err); l.Hint != nil {
		return *l.Hint
	}
	return ""
}

func TestBatchHelpExplains(t *testing.T) {
	text := strings.Join(strings.Fields(batchText()), " ")
	for _, word := range []string{"media_type", "if_exists", "not_begun", "--retry-failed", "64 KiB", "--journal FILE is made if it is not there"} {
		if !strings.Contains(text, word) {
			t.Errorf("%s is not explained", word)
		}
	}
}
