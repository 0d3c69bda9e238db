package metatest

import (
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
)

// OpenDB opens the test's database at cfg.Path, as Located has it. The test
// closes it.
func OpenDB(t testing.TB, cfg meta.Config) *meta.DB {
	t.Helper()
	db, err := meta.Open(t.Context(), Located(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	return db
}
