package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

const (
	// lookEvery is how often a store is asked for what was not finished in it.
	lookEvery = time.Hour
	// unfinishedAge is how old it is then at least, by the storage's clock: nothing
	// of ours takes as long from its beginning to its record, and where a store has
	// no prefix somebody else's may go under a name like ours. Where no daemon runs
	// what is under a key of ours is nobody's, whatever its age.
	unfinishedAge = 24 * time.Hour
	// lookTimeout bounds the look at one store.
	lookTimeout = 10 * time.Minute
)

// compositions ends what was begun in the stores and that nobody will finish:
// what was copied so far is kept, and charged for, by the storage alone. Of most
// of it a blob tells (object); this is for what died before it was written
// down, or is no composition of ours.
func (r *round) compositions(ctx context.Context, now time.Time) error {
	var errs []error
	for name, st := range r.cfg.Stores {
		c, ok := st.Composer()
		if last, looked := r.lookedAt[name]; !ok || looked && !r.cfg.Alone && now.Sub(last) < lookEvery && !now.Before(last) {
			continue
		}
		if err := r.unfinished(ctx, name, c, now); err != nil {
			errs = append(errs, fmt.Errorf("store %q: %w", name, err))
		}
		r.lookedAt[name] = now
	}
	return errors.Join(errs...)
}

func (r *round) unfinished(ctx context.Context, name string, c store.Composer, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var errs []error
	for u, err := range c.Unfinished(ctx) {
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		over, err := r.over(ctx, name, u, now)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if !over {
			continue
		}
		if err := c.AbandonCompose(ctx, u.Key, u.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		r.report.Unfinished++
	}
	return errors.Join(errs...)
}

// over reports whether nobody will finish it.
func (r *round) over(ctx context.Context, name string, u store.Unfinished, now time.Time) (bool, error) {
	if now.Sub(u.Begun) < unfinishedAge {
		if !r.cfg.Alone {
			return false, nil
		}
		if u.Key == store.TrialKey {
			return true, nil
		}
		if ours, err := r.cfg.Meta.NamesObject(ctx, name, string(u.Key)); !ours || err != nil {
			return false, err
		}
	}
	going, err := r.cfg.Meta.Composing(ctx, name, string(u.Key), string(u.ID))
	return !going, err
}

// abandonComposition ends the composition that was to make the blob, where there was one.
func abandonComposition(ctx context.Context, st *store.Store, b meta.Blob) error {
	c, ok := st.Composer()
	if b.ComposeID == "" || !ok {
		return nil
	}
	return c.AbandonCompose(ctx, store.Key(b.Key), store.ComposeID(b.ComposeID))
}
