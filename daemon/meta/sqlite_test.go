//go:build !postgres

package meta_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
)

func TestSQLite(t *testing.T) {
	var texts meta.Texts
	empty := empties(t)
	metatest.Run(t, func(t testing.TB, clock func() time.Time) *meta.DB {
		db, err := meta.OpenRecording(t.Context(), empty(t, clock), &texts)
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
	t.Run("plans", func(t *testing.T) { checkPlans(t, texts.All(), 60) })
}

// empties gives databases with nothing in them, one after the other: copies of
// one file, which spares the tests some thousand migrations.
func empties(t *testing.T) func(t testing.TB, clock func() time.Time) meta.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "meta.db")
	db, err := meta.Open(t.Context(), meta.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return func(t testing.TB, clock func() time.Time) meta.Config {
		path := filepath.Join(t.TempDir(), "meta.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return meta.Config{Path: path, Clock: clock}
	}
}

// fill is for databases that plan by what is in them; SQLite does only after an
// ANALYZE, which nobody runs.
func fill(*testing.T, meta.Config) {}
