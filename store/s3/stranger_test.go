package s3_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/s3"
)

// calls are all that a backend can be asked.
var calls = map[string]func(context.Context, *s3.Backend) error{
	"put":       func(ctx context.Context, b *s3.Backend) error { return b.Put(ctx, key, body("abc"), 3) },
	"get":       func(ctx context.Context, b *s3.Backend) error { return closed(b.Get(ctx, key, 0, -1)) },
	"get range": func(ctx context.Context, b *s3.Backend) error { return closed(b.Get(ctx, key, 1, 2)) },
	"get rest":  func(ctx context.Context, b *s3.Backend) error { return closed(b.Get(ctx, key, 1, -1)) },
	"get none":  func(ctx context.Context, b *s3.Backend) error { return closed(b.Get(ctx, key, 1, 0)) },
	"stat":      func(ctx context.Context, b *s3.Backend) error { return errOf(b.Stat(ctx, key)) },
	"delete":    func(ctx context.Context, b *s3.Backend) error { return b.Delete(ctx, key) },
	"delete many": func(ctx context.Context, b *s3.Backend) (failed error) {
		for _, failed = range b.DeleteAll(ctx, []store.Key{key}) {
		}
		return failed
	},
	"list":     func(ctx context.Context, b *s3.Backend) error { return walked(b.List(ctx, "", "")) },
	"browse":   func(ctx context.Context, b *s3.Backend) error { return walked(b.Browse(ctx, "", "")) },
	"describe": func(ctx context.Context, b *s3.Backend) error { return errOf(b.Describe(ctx, "x")) },
	"mark":     func(ctx context.Context, b *s3.Backend) error { return errOf(b.Mark(ctx)) },
	"set mark": func(ctx context.Context, b *s3.Backend) error { return b.SetMark(ctx, "me") },
	"check":    func(ctx context.Context, b *s3.Backend) error { return b.Check(ctx) },
	"begin":    func(ctx context.Context, b *s3.Backend) error { return errOf(b.BeginCompose(ctx, key)) },
	"compose": func(ctx context.Context, b *s3.Backend) error {
		return errOf(b.Compose(ctx, key, "id", []store.Piece{{Key: key, Length: 3}}))
	},
	"abandon":    func(ctx context.Context, b *s3.Backend) error { return b.AbandonCompose(ctx, key, "id") },
	"unfinished": func(ctx context.Context, b *s3.Backend) error { return walked(b.Unfinished(ctx)) },
}

func errOf[T any](_ T, err error) error { return err }

func closed(r io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	return r.Close()
}

func walked[T any](seq func(func(T, error) bool)) (failed error) {
	for _, err := range seq {
		failed = err
	}
	return failed
}

// TestRefusalsOfStrangers: what stands before the storage says nothing of an
// object, whatever its status. The SDK waits a little after each.
func TestRefusalsOfStrangers(t *testing.T) {
	const page = "<html><body>default backend<br>"
	var all sync.WaitGroup
	for _, c := range []struct {
		status int
		text   string
	}{{404, page}, {404, ""}, {404, `{"code":1}`}, {400, page}, {403, page}, {411, page}, {412, page}, {416, page}, {501, page}, {507, page}} {
		b, _ := serve(t, func(w http.ResponseWriter, _ request) {
			w.Header().Del("X-Amz-Request-Id")
			w.WriteHeader(c.status)
			io.WriteString(w, c.text)
		})
		for name, call := range calls {
			all.Go(func() {
				if err := call(t.Context(), b); !store.MayPass(err) {
					t.Errorf("%s: a stranger's %d %q is believed: %v", name, c.status, c.text, err)
				}
			})
		}
	}
	all.Wait()
}
