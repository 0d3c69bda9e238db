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

// scan finds files while others are put already, and tells the progress of each.
// It ends when it found all, or with ctx; what it gives must be gone through to
// the end.
func scan(ctx context.Context, sel selection.Selection, progress *transfer.Progress) <-chan selection.Entry {
	ahead := make(chan selection.Entry, scanAhead)
	go func() {
		defer close(ahead)
		for e := range sel.Files(ctx) {
			progress.Expect(1, e.Size)
			ahead <- e
		}
	}()
	return ahead
}

// scanned makes an item of each file. Once ctx has ended, what was found in one
// folder, or by one pattern or list, is not reported file by file: that it was
// not done with is one item.
func scanned(ctx context.Context, found <-chan candidate, each func(candidate) item) iter.Seq[item] {
	return func(yield func(item) bool) {
		over := ""
		for c := range found {
			if ctx.Err() != nil {
				if c.From == over {
					continue
				}
				over = c.From
				c = candidate{Entry: selection.Entry{Path: c.From, Err: context.Cause(ctx)}}
			}
			yield(each(c))
		}
	}
}
