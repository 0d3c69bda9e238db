package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

// round is one round.
type round struct {
	*Sweeper
	report Report
	scope  scope

	mu sync.Mutex
	// elsewhere is what Elsewhere said of stores. Guarded by mu.
	elsewhere map[string]bool
	// deleted and failures count objects by store. Guarded by mu.
	deleted, failures map[string]int
	// useless counts, by store, the objects of requests of which it did nothing.
	// Guarded by mu.
	useless map[string]int
}

func newRound(s *Sweeper) *round {
	return &round{Sweeper: s, deleted: map[string]int{}, failures: map[string]int{}, useless: map[string]int{}, elsewhere: map[string]bool{}}
}

func (r *round) expiring() []step {
	return []step{
		{"keep the time", r.cfg.Meta.KeepClock},
		{"start timers anew", r.restartTimers},
		{"expire files", r.expire},
		{"abandon uploads", r.abandon},
	}
}

func (r *round) sweeping() []step {
	return []step{
		{"keep the time", r.cfg.Meta.KeepClock},
		{"doom blobs", r.doom},
		{"delete objects", r.delete},
		{"remove tombstones", r.bury},
		{"end compositions", r.compositions},
		{"prune", r.prune},
	}
}

// run does the steps, unless the clock may be wrong.
func (r *round) run(ctx context.Context, steps []step) error {
	if err := r.JudgeClock(ctx); err != nil {
		return err
	}
	var errs []error
	for _, step := range steps {
		// Each step looks at the clock, which may be set at any time.
		now, held := r.look()
		if held != "" {
			r.report.Held = held
			break
		}
		if err := step.do(ctx, now); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return errors.Join(errs...)
}

// repeat calls do until it does less than a whole batch, and adds up.
func repeat(ctx context.Context, total *int, do func(limit int) (int, error)) error {
	for ctx.Err() == nil {
		n, err := do(batch)
		*total += n
		if err != nil || n < batch {
			return err
		}
	}
	return context.Cause(ctx)
}

// restartTimers begins anew what seems to have begun in a time to come: the
// clock was set back since, and nobody would live to see it end.
func (r *round) restartTimers(ctx context.Context, _ time.Time) error {
	var n int
	return repeat(ctx, &n, func(limit int) (int, error) { return r.cfg.Meta.RestartTimers(ctx, limit) })
}

func (r *round) expire(ctx context.Context, now time.Time) error {
	return repeat(ctx, &r.report.Expired, func(limit int) (int, error) { return r.cfg.Meta.ExpireFiles(ctx, now, limit) })
}

func (r *round) abandon(ctx context.Context, now time.Time) error {
	before := now.Add(-r.cfg.AbandonAfter)
	return repeat(ctx, &r.report.Abandoned, func(limit int) (int, error) { return r.cfg.Meta.AbandonUploads(ctx, before, limit) })
}

// doom ends the blobs that transactions stopped using, and those whose writer
// is gone.
func (r *round) doom(ctx context.Context, _ time.Time) error {
	err := errors.Join(
		repeat(ctx, &r.report.Looked, func(limit int) (int, error) { return r.cfg.Meta.DoomOffered(ctx, limit) }),
		repeat(ctx, &r.report.Orphans, func(limit int) (int, error) { return r.cfg.Meta.DoomOrphans(ctx, limit) }),
	)
	if !r.cfg.Alone {
		return err
	}
	return errors.Join(err, repeat(ctx, &r.report.Orphans, func(limit int) (int, error) { return r.cfg.Meta.DoomRequests(ctx, limit) }))
}

// delete removes the objects of blobs that were doomed a grace period ago.
func (r *round) delete(ctx context.Context, now time.Time) error {
	return r.pages(ctx, now.Add(-r.cfg.Grace), r.cfg.Meta.Doomed, func(page []meta.Blob) error {
		deleted := r.objects(ctx, page)
		if err := r.cfg.Meta.MarkGone(ctx, idsOf(deleted)); err != nil {
			return err
		}
		for _, b := range deleted {
			if b.Origin != meta.OriginForeign {
				r.report.Deleted++
				r.report.Bytes += b.Size
			}
		}
		return nil
	})
}

// bury deletes once more what is gone since a day, since a writer that was cut
// off may have made it again, and then forgets it.
func (r *round) bury(ctx context.Context, now time.Time) error {
	over := now.Add(-keepRows)
	until := over
	if r.cfg.Alone {
		until = now
	}
	return r.pages(ctx, until, r.cfg.Meta.Tombstones, func(page []meta.Blob) error {
		deleted := r.objects(ctx, page)
		var old []meta.Blob
		for _, b := range deleted {
			if !b.GoneAt.After(over) {
				old = append(old, b)
			}
		}
		r.report.Forgotten += len(old)
		return r.cfg.Meta.RemoveTombstones(ctx, idsOf(old))
	})
}

// pages calls do with each page that list gives of the stores that are for this round.
func (r *round) pages(ctx context.Context, before time.Time, list lister, do func([]meta.Blob) error) error {
	stores, err := r.sweeps(ctx)
	for _, in := range stores {
		if err == nil {
			err = r.pagesOf(ctx, in, before, list, do)
		}
	}
	return err
}

// lister is Records' Doomed or Tombstones.
type lister = func(ctx context.Context, in string, before time.Time, after *meta.Blob, limit int) ([]meta.Blob, error)

func (r *round) pagesOf(ctx context.Context, in string, before time.Time, list lister, do func([]meta.Blob) error) error {
	var last *meta.Blob
	for ctx.Err() == nil {
		page, err := list(ctx, in, before, last, batch)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := do(page); err != nil {
			return err
		}
		last = &page[len(page)-1]
	}
	return context.Cause(ctx)
}

func idsOf(blobs []meta.Blob) []meta.BlobID {
	ids := make([]meta.BlobID, len(blobs))
	for i, b := range blobs {
		ids[i] = b.ID
	}
	return ids
}

func (r *round) prune(ctx context.Context, now time.Time) error {
	before := now.Add(-keepRows)
	return errors.Join(
		repeat(ctx, &r.report.Pruned, func(limit int) (int, error) { return r.cfg.Meta.Prune(ctx, before, limit) }),
		repeat(ctx, &r.report.Pruned, func(limit int) (int, error) {
			return r.cfg.Meta.PruneEvents(ctx, now, r.cfg.KeepEvents, limit)
		}),
		repeat(ctx, &r.report.Pruned, func(limit int) (int, error) {
			return r.cfg.Meta.PruneWebhooks(ctx, now.Add(-r.cfg.GiveUpAfter-giveUpSlack), now.Add(-keepDead), limit)
		}),
		repeat(ctx, &r.report.Pruned, func(limit int) (int, error) {
			return r.cfg.Meta.PruneLinks(ctx, before, now.Add(-keepRevoked), limit)
		}),
		r.pruneNodes(ctx),
		r.cfg.Meta.NotifyWaiting(ctx))
}

func (r *round) pruneNodes(ctx context.Context) error {
	n, err := r.cfg.Meta.PruneNodes(ctx)
	r.report.Pruned += n
	return err
}
