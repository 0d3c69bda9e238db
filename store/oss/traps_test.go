package oss_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
	"github.com/osproxy/osproxy/store/oss"
)

// calls are all that a backend can be asked.
var calls = map[string]func(context.Context, *oss.Backend) error{
	"put": func(ctx context.Context, b *oss.Backend) error { return b.Put(ctx, key, strings.NewReader("abc"), 3) },
	"get": func(ctx context.Context, b *oss.Backend) error { return closed(b.Get(ctx, key, 0, -1)) },
	"get range": func(ctx context.Context, b *oss.Backend) error {
		return closed(b.Get(ctx, key, 1, 2))
	},
	"get nothing": func(ctx context.Context, b *oss.Backend) error { return closed(b.Get(ctx, key, 1, 0)) },
	"stat": func(ctx context.Context, b *oss.Backend) error {
		_, err := b.Stat(ctx, key)
		return err
	},
	"delete": func(ctx context.Context, b *oss.Backend) error { return b.Delete(ctx, key) },
	"delete many": func(ctx context.Context, b *oss.Backend) error {
		return walked(b.DeleteAll(ctx, []store.Key{key}))
	},
	"list":   func(ctx context.Context, b *oss.Backend) error { return walked(b.List(ctx, "", "")) },
	"browse": func(ctx context.Context, b *oss.Backend) error { return walked(b.Browse(ctx, "", "")) },
	"describe": func(ctx context.Context, b *oss.Backend) error {
		_, err := b.Describe(ctx, "x")
		return err
	},
	"mark": func(ctx context.Context, b *oss.Backend) error {
		_, err := b.Mark(ctx)
		return err
	},
	"set mark": func(ctx context.Context, b *oss.Backend) error { return b.SetMark(ctx, "me") },
	"check":    func(ctx context.Context, b *oss.Backend) error { return b.Check(ctx) },
	"begin to compose": func(ctx context.Context, b *oss.Backend) error {
		_, err := b.BeginCompose(ctx, key)
		return err
	},
	"compose": func(ctx context.Context, b *oss.Backend) error {
		_, err := b.Compose(ctx, key, "id", []store.Piece{{Key: other, Length: 3}})
		return err
	},
	"abandon":    func(ctx context.Context, b *oss.Backend) error { return b.AbandonCompose(ctx, key, "id") },
	"unfinished": func(ctx context.Context, b *oss.Backend) error { return walked(b.Unfinished(ctx)) },
}

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

func TestEveryRequestIsSignedByV4AndUncompressed(t *testing.T) {
	s := serve(t, failing(http.StatusInternalServerError, "InternalError", ""))
	for name, f := range calls {
		before := len(s.requests())
		if err := f(t.Context(), s.Backend); err == nil {
			t.Errorf("%s: no error", name)
		}
		// The SDK does not try again, and neither do we: that is the wrapper's.
		if n := len(s.requests()) - before; n != 1 {
			t.Errorf("%s: %d requests, want 1", name, n)
			continue
		}
		r := s.last()
		day := time.Now().UTC().Format("20060102")
		if a := r.Header.Get("Authorization"); !strings.HasPrefix(a, "OSS4-HMAC-SHA256 Credential=LTAIexample/"+day+"/cn-hangzhou/oss/aliyun_v4_request,") {
			t.Errorf("%s is signed %q", name, a)
		}
		if e := r.Header.Get("Accept-Encoding"); e != "" {
			t.Errorf("%s: accepts %q", name, e)
		}
	}
}

func TestPutHasALength(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, n := range []int{0, 1, 1<<20 + 1} {
		data := bytes.Repeat([]byte("x"), n)
		// A reader of which nobody can tell how long it is.
		if err := s.Put(t.Context(), key, io.MultiReader(bytes.NewReader(data)), int64(n)); err != nil {
			t.Fatal(err)
		}
		r := s.last()
		if r.ContentLength != int64(n) || len(r.TransferEncoding) > 0 || !bytes.Equal(r.body, data) {
			t.Errorf("put of %d bytes: Content-Length %d, Transfer-Encoding %q, %d bytes", n, r.ContentLength, r.TransferEncoding, len(r.body))
		}
		if r.URL.Path != place || r.Header.Get("X-Oss-Forbid-Overwrite") != "true" || r.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("put: %s, %v", r.URL.Path, r.Header)
		}
	}
	before := len(s.requests())
	if err := s.Put(t.Context(), key, strings.NewReader(""), 5<<30+1); !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("put of more than OSS takes: %v", err)
	}
	if len(s.requests()) != before {
		t.Error("it was sent")
	}
}

func TestGetTakesOnlyWhatItAskedFor(t *testing.T) {
	whole := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "0123456789") }
	ranged := func(status int, span, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", span)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	unknown := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		fmt.Fprint(w, "0123456789")
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		off, n int64
		want   error // nil: any error
	}{
		{"the whole object in place of a range", whole, 2, 3, nil},
		{"the whole object in place of the rest", whole, 2, -1, nil},
		{"the whole object in place of a range past its end", whole, 8, 3, nil},
		{"another range", ranged(206, "bytes 0-2/10", "012"), 2, 3, nil},
		{"a range without saying which", ranged(206, "", "234"), 2, 3, nil},
		{"the rest, and another status", ranged(200, "bytes 2-9/10", "23456789"), 2, -1, nil},
		{"a shorter range", ranged(206, "bytes 8-9/10", "89"), 8, 3, store.ErrRange},
		{"a longer range", ranged(206, "bytes 2-6/10", "23456"), 2, 3, store.ErrRange},
		{"no range", failing(416, "InvalidRange", ""), 11, 3, store.ErrRange},
		{"no length", unknown, 0, -1, nil},
		{"a part in place of the whole", ranged(206, "bytes 0-2/10", "012"), 0, -1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.answer)
			r, err := s.Get(t.Context(), key, c.off, c.n)
			if err == nil {
				t.Fatal(closed(r, nil))
			}
			if errors.Is(err, store.ErrNotFound) || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if c.off > 0 && s.last().Header.Get("X-Oss-Range-Behavior") != "standard" {
				t.Error("the range is asked for without x-oss-range-behavior: standard")
			}
		})
	}
	t.Run("a body that ends early", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "0123")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		r, err := s.Get(t.Context(), key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err == nil {
			t.Errorf("%q and a clean end", got)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestADamagedPutDoesNotStay(t *testing.T) {
	for _, c := range []struct {
		name   string
		delete http.HandlerFunc
		more   string
	}{
		{"deleted", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, ""},
		{"cannot be deleted", failing(http.StatusForbidden, "AccessDenied", ""), "access denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					c.delete(w, r)
					return
				}
				w.Header().Set("X-Oss-Hash-Crc64ecma", sum("abd"))
			})
			err := s.Put(t.Context(), key, strings.NewReader("abc"), 3)
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), c.more) {
				t.Errorf("put: %v", err)
			}
			if got := s.requests(); !slices.Equal(got, []string{"PUT " + escaped(place), "DELETE " + escaped(place)}) {
				t.Errorf("requests: %q", got)
			}
		})
	}
	t.Run("a key that was taken", func(t *testing.T) {
		s := serve(t, failing(http.StatusConflict, "FileAlreadyExists", ""))
		if err := s.Put(t.Context(), key, strings.NewReader("abc"), 3); !errors.Is(err, store.ErrExists) {
			t.Errorf("put: %v", err)
		}
		if n := len(s.requests()); n != 1 {
			t.Errorf("%d requests: another's object was touched", n)
		}
	})
}

// escaped is how the SDK writes an object's path.
func escaped(path string) string { return strings.Replace(path, "00000001/", "00000001%2F", 1) }

func TestContextsEndEverything(t *testing.T) {
	asked := make(chan struct{}, 1)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	for name, f := range calls {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		if err := f(ctx, s.Backend); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

func TestContextsEndDialling(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	way := object.NewTransport()
	way.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
		if address != "files.oss-cn-hangzhou.aliyuncs.com:443" {
			t.Errorf("dials %s", address)
		}
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	b := backend(t, oss.Config{Endpoint: "https://oss-cn-hangzhou.aliyuncs.com", Transport: way})
	if err := b.Put(ctx, key, strings.NewReader("abc"), 3); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestRedirectsAreErrors(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
	})
	for name, f := range calls {
		before := len(s.requests())
		if err := f(t.Context(), s.Backend); err == nil || !strings.Contains(err.Error(), "check endpoint") {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(s.requests()) - before; n != 1 {
			t.Errorf("%s: followed", name)
		}
	}
}
