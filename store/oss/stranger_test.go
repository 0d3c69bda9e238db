package oss_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/store"
)

// TestRefusalsOfStrangers: what stands before the storage says nothing of an
// object, whatever its status.
func TestRefusalsOfStrangers(t *testing.T) {
	for _, status := range []int{400, 403, 404, 411, 412, 416, 501, 507} {
		for _, text := range []string{"", "<html><body>default backend</body></html>", "<html><body>a<br>b", `{"code":1}`} {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Del("X-Oss-Request-Id")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, text)
			})
			for name, call := range calls {
				if err := call(t.Context(), s.Backend); !store.MayPass(err) {
					t.Errorf("%s: a stranger's %d %q is believed: %v", name, status, text, err)
				}
			}
		}
	}
}

// TestABareNotFoundIsLookedInto: the answer to a HEAD need not say whether it is
// the object or the bucket that is not there.
func TestABareNotFoundIsLookedInto(t *testing.T) {
	for _, c := range []struct {
		what   string
		bucket http.HandlerFunc
		want   error
	}{
		{"no object", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<ListBucketResult></ListBucketResult>")
		}, store.ErrNotFound},
		{"no bucket", failing(404, "NoSuchBucket", ""), store.ErrNoBucket},
		{"may not be listed", failing(403, "AccessDenied", ""), store.ErrNotFound},
		{"nothing is known", failing(500, "InternalError", ""), nil},
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			c.bucket(w, r)
		})
		_, err := s.Stat(t.Context(), key)
		for _, e := range []error{store.ErrNotFound, store.ErrNoBucket} {
			if errors.Is(err, e) != errors.Is(c.want, e) {
				t.Errorf("%s: %v", c.what, err)
			}
		}
		if got := s.requests(); err == nil || len(got) != 2 || !slices.Contains(got, "HEAD "+place) && !slices.Contains(got, "HEAD "+escaped(place)) {
			t.Errorf("%s: %v after %q", c.what, err, got)
		}
	}
}
