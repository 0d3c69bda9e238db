package meta_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childDatabase); path != "" {
		if err := child(path, os.Args[1]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestSQLite(t *testing.T) {
	var texts meta.Texts
	empty := emptyDatabase(t)
	metatest.Run(t, func(t testing.TB, clock func() time.Time) *meta.DB {
		db, err := meta.OpenRecording(t.Context(), meta.Config{Path: copyOf(t, empty), Clock: clock}, &texts)
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
	t.Run("plans", func(t *testing.T) { checkPlans(t, texts.All()) })
}

// SQLite has one writer: what another operation is held in, waits.
func TestSQLiteInterleaved(t *testing.T) {
	empty := emptyDatabase(t)
	metatest.Interleave(t, func(t testing.TB, clock func() time.Time, at func(context.Context)) metatest.Watched {
		db, err := meta.OpenWatched(t.Context(), meta.Config{Path: copyOf(t, empty), Clock: clock}, at)
		if err != nil {
			t.Fatal(err)
		}
		return metatest.Watched{DB: db, Waiting: db.Queued, InTurn: true}
	})
}

// emptyDatabase is the file of a new database. Copies of it spare the suite
// some hundred migrations.
func emptyDatabase(t *testing.T) []byte {
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
	return b
}

// copyOf is a database file with what is in db.
func copyOf(t testing.TB, db []byte) (path string) {
	path = filepath.Join(t.TempDir(), "meta.db")
	if err := os.WriteFile(path, db, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkPlans holds the indexes: no statement of the suite reads a whole table.
func checkPlans(t *testing.T, texts []string) {
	db, err := meta.Open(t.Context(), meta.Config{Path: filepath.Join(t.TempDir(), "meta.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	explained := 0
	for _, text := range texts {
		switch word, _, _ := strings.Cut(text, " "); word {
		case "SELECT", "INSERT", "UPDATE", "DELETE":
		default:
			continue
		}
		plan, err := db.Explain(t.Context(), text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		explained++
		for _, step := range plan {
			what, scan := strings.CutPrefix(step, "SCAN ")
			inner := slices.Contains(plan, "CO-ROUTINE "+what) || slices.Contains(plan, "MATERIALIZE "+what)
			if scan && what != "CONSTANT ROW" && !inner {
				t.Errorf("%s\nreads a whole table: %s", text, step)
			}
		}
	}
	if explained < 60 {
		t.Errorf("only %d statements were seen", explained)
	}
}
