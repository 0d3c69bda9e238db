package store

import "context"

// limit bounds how many calls of an object store run at once. Nil bounds
// nothing. A call holds its place only while it runs: the body of a Get holds
// none, so that readers, who may be slow, never keep each other, or a Put that
// reads from them, from going on.
type limit chan struct{}

// hold runs f when there is a place for it.
func (l limit) hold(ctx context.Context, f func() error) error {
	if l != nil {
		select {
		case l <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-l }()
	}
	return f()
}
