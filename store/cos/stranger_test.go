package cos_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/store"
)

// TestRefusalsOfStrangers: what stands before the storage says nothing of an
// object, whatever its status.
func TestRefusalsOfStrangers(t *testing.T) {
	for _, status := range []int{400, 403, 404, 411, 412, 416, 501, 507} {
		for _, text := range []string{"", "<html><body>default backend</body></html>", "<html><body>a<br>b", `{"code":1}`} {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Del("X-Cos-Request-Id")
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
