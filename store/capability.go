package store

import (
	"context"
	"iter"
	"time"
)

// composer is a store's Composer. That a composition is begun once more when
// an answer was lost leaves one that is not finished, which the sweep finds.
type composer struct{ s *Store }

func (c composer) BeginCompose(ctx context.Context, key Key) (id ComposeID, err error) {
	err = c.do(ctx, "begin_compose", key, c.s.calls, func() error {
		id, err = c.s.composer.BeginCompose(ctx, key)
		return err
	})
	return id, err
}

func (c composer) Compose(ctx context.Context, key Key, id ComposeID, pieces []Piece) (verified bool, err error) {
	err = c.do(ctx, "compose", key, c.s.joins, func() error {
		verified, err = c.s.composer.Compose(ctx, key, id, pieces)
		return err
	})
	return verified, err
}

func (c composer) AbandonCompose(ctx context.Context, key Key, id ComposeID) error {
	return c.do(ctx, "abandon_compose", key, c.s.calls, func() error { return c.s.composer.AbandonCompose(ctx, key, id) })
}

// do checks the key, which is one of ours, and runs f in a place of l as often
// as it takes.
func (c composer) do(ctx context.Context, op string, key Key, l limit, f func() error) error {
	if err := key.Check(); err != nil {
		return c.s.named(op, err)
	}
	return c.s.observed(op, func() error {
		return c.s.patience.try(ctx, op, func() error { return l.hold(ctx, f) })
	})
}

// Unfinished is tried again only as long as it has yielded nothing: nothing says
// where in it one is.
func (c composer) Unfinished(ctx context.Context) iter.Seq2[Unfinished, error] {
	return func(yield func(Unfinished, error) bool) {
		const op = "unfinished"
		if err := c.s.admitted(); err != nil {
			yield(Unfinished{}, c.s.named(op, err))
			return
		}
		var failed error
		start := time.Now()
		defer func() { c.s.observe(op, failed, time.Since(start)) }()
		yielded := false
		// What comes after something was yielded is not an error to try.
		err := c.s.patience.try(ctx, op, func() error {
			for u, err := range c.s.composer.Unfinished(ctx) {
				if err != nil && !yielded {
					return err
				}
				yielded = true
				if err != nil {
					failed = c.s.named(op, err)
					err = failed
				}
				if !yield(u, err) || err != nil {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			failed = c.s.named(op, err)
			yield(Unfinished{}, failed)
		}
	}
}

// browser is a store's Browser.
type browser struct{ s *Store }

func (b browser) Browse(ctx context.Context, prefix, after string) iter.Seq2[Found, error] {
	return listing(ctx, b.s, "browse", after,
		func(after string) iter.Seq2[Found, error] { return b.s.browser.Browse(ctx, prefix, after) },
		func(f Found) string { return f.Name })
}

func (b browser) Marked(ctx context.Context, dir string) (marked bool, err error) {
	err = b.s.observed("marked", func() error {
		return b.s.call(ctx, "marked", func() error {
			marked, err = b.s.browser.Marked(ctx, dir)
			return err
		})
	})
	return marked, err
}

func (b browser) Describe(ctx context.Context, name string) (f Found, err error) {
	err = b.s.do("describe", ForeignKey(name), func() error {
		return b.s.call(ctx, "describe", func() error {
			f, err = b.s.browser.Describe(ctx, name)
			return err
		})
	})
	return f, err
}
