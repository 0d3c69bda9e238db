//go:build unix && servers

package s3server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/e2e/s3server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestServersComeAndGo: each runs, has buckets, outlives being killed, and
// leaves nothing.
func TestServersComeAndGo(t *testing.T) {
	for _, k := range s3server.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			tmp := t.TempDir()
			if err := os.Chmod(filepath.Dir(tmp), 0o755); err != nil { // the server is another user
				t.Fatal(err)
			}
			if err := os.Chmod(tmp, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("TMPDIR", tmp)
			s, err := s3server.New(t.Context(), k)
			if err != nil {
				t.Fatal(err)
			}
			first := s.Bucket(t)
			s.Kill()
			if err := s.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if second := s.Bucket(t); first == second {
				t.Errorf("two buckets are called %s", first)
			}
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			if resp, err := http.Get(s.Endpoint); err == nil {
				resp.Body.Close()
				t.Error("it answers after it was stopped")
			}
			if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}
