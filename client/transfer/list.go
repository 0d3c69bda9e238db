package transfer

import (
	"context"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// maxPage is the most Files a daemon gives at once (WIRE 8).
const maxPage = 1000

// Files calls each with the Files that q selects, newest first, page after
// page: at most limit of them, all for 0. q's own Limit and Cursor are not
// looked at. It ends with the first error, each's own included. Files that
// are put or deleted meanwhile are listed or not.
func (e *Engine) Files(ctx context.Context, q client.FileQuery, limit int, each func(protocol.File) error) error {
	q.Cursor = ""
	for listed := 0; ; {
		q.Limit = maxPage
		if limit > 0 {
			q.Limit = min(maxPage, limit-listed)
		}
		var page protocol.FileList
		err := e.retry(ctx, new(tries), func(ctx context.Context) (err error) {
			page, err = e.cfg.Client.Files(ctx, q)
			return err
		})
		if err != nil {
			return own(ctx, err)
		}
		for _, f := range page.Files {
			if err := each(f); err != nil {
				return err
			}
			if listed++; listed == limit {
				return nil
			}
		}
		switch {
		case page.Next == nil:
			return nil
		case *page.Next == q.Cursor || *page.Next == "":
			return protocol.Errorf(protocol.KindInternal, "the daemon's list of files does not go on after %d", listed)
		}
		q.Cursor = *page.Next
	}
}
