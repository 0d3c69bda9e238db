package meta_test

import (
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openAt(t testing.TB, path string, clock func() time.Time) *meta.DB {
	t.Helper()
	db, err := meta.Open(t.Context(), meta.Config{Path: path, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestSQLite(t *testing.T) {
	metatest.Run(t, func(t testing.TB, clock func() time.Time) *meta.DB {
		return openAt(t, filepath.Join(t.TempDir(), "meta.db"), clock)
	})
}
