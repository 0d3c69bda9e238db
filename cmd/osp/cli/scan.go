package cli

import (
	"context"
	"iter"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/cmd/osp/selection"
)

// scanAhead is how many files are found ahead of those that are being put: of
// that many the total is known at once, and as many paths are held in memory.
const scanAhead = 10_000

// scan finds files while others are put already.
type scan struct {
	ahead chan selection.Entry
}

// startScan begins to find the files, and tells the progress of each. It ends
// when it found all, or with ctx; items must be gone through to the end.
func startScan(ctx context.Context, sel selection.Selection, progress *transfer.Progress) *scan {
	sc := &scan{ahead: make(chan selection.Entry, scanAhead)}
	go func() {
		defer close(sc.ahead)
		for e := range sel.Files(ctx) {
			progress.Expect(1, e.Size)
			sc.ahead <- e
		}
	}()
	return sc
}

// items makes an item of each file. Once ctx has ended, what was found in one
// folder, or by one pattern or list, is not reported file by file: that it was
// not done with is one item.
func (sc *scan) items(ctx context.Context, each func(selection.Entry) item) iter.Seq[item] {
	return func(yield func(item) bool) {
		over := ""
		for e := range sc.ahead {
			if ctx.Err() != nil {
				if e.From == over {
					continue
				}
				over = e.From
				e = selection.Entry{Path: e.From, Err: context.Cause(ctx)}
			}
			yield(each(e))
		}
	}
}
