package meta_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	if what := os.Getenv(childCopy); what != "" {
		if err := copyAndDie(what); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(metatest.OnServer(m))
}

// checkPlans holds the indexes: none of the statements, of which there must be
// some, reads a whole table.
func checkPlans(t *testing.T, texts []string, some int) {
	cfg := metatest.Located(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db")})
	fill(t, cfg)
	db, err := meta.Open(t.Context(), cfg)
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
		case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		default:
			continue
		}
		if strings.HasPrefix(text, `SELECT COUNT(CAST(t AS TEXT))`) || strings.Contains(text, `IS NOT NULL AND NOT EXISTS`) {
			continue // the check of the whole database
		}
		if strings.Contains(text, `FROM nodes`) {
			continue // of which there are no more than worker numbers
		}
		whole, err := db.Explain(t.Context(), text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		explained++
		for _, step := range whole {
			t.Errorf("%s\nreads all of something: %s", text, step)
		}
	}
	if explained < some {
		t.Errorf("only %d statements were seen", explained)
	}
}
