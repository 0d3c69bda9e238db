package sweep

import (
	"context"
	"errors"

	"github.com/osproxy/osproxy/protocol"
)

// scrub reads a few of the contents through that are suspected. It gives how
// many were read, and how many of them are damaged; a scrub that failed is
// tried again later.
func (l *Loop) scrub(ctx context.Context) (scrubbed, damaged int, err error) {
	if l.cfg.Scrub == nil {
		return 0, 0, nil
	}
	l.scrubs.Lock()
	defer l.scrubs.Unlock()
	jobs, err := l.cfg.Meta.DueJobs(ctx, protocol.JobScrub, scrubsARound)
	if err != nil {
		return 0, 0, err
	}
	var errs []error
	for _, j := range jobs {
		failure := ""
		id, err := j.Content()
		if err == nil {
			err = l.cfg.Scrub(ctx, id)
		}
		switch {
		case ctx.Err() != nil:
			return scrubbed, damaged, context.Cause(ctx)
		case protocol.KindOf(err) == protocol.KindContentCorrupt:
			scrubbed++
			damaged++
		case err != nil:
			failure = err.Error()
		default:
			scrubbed++
		}
		errs = append(errs, l.cfg.Meta.FinishJob(ctx, j.ID, failure))
	}
	return scrubbed, damaged, errors.Join(errs...)
}
