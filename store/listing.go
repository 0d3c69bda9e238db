package store

import (
	"context"
	"iter"
	"time"
)

// listing yields what list yields after the given place. Where it breaks with
// an error that may pass, it goes on after the last one that was yielded; as
// long as it gets on, it is not given up.
func listing[T any, K ~string](ctx context.Context, s *Store, op string, after K, list func(after K) iter.Seq2[T, error], place func(T) K) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := s.admitted(); err != nil {
			var none T
			yield(none, s.named(op, err))
			return
		}
		var failed error
		start := time.Now()
		defer func() { s.observe(op, failed, time.Since(start)) }()
		for n := 1; ; n++ {
			var broke error
			for entry, err := range list(after) {
				if broke = err; err != nil {
					break
				}
				after, n = place(entry), 1
				if !yield(entry, nil) {
					return
				}
			}
			if broke == nil {
				s.patience.answered(n)
				return
			}
			if err := s.patience.again(ctx, op, n, broke); err != nil {
				failed = s.named(op, err)
				var none T
				yield(none, failed)
				return
			}
		}
	}
}
