package meta

import (
	"log/slog"
	"testing"
)

// openClosed opens and closes, and gives the error of opening.
func openClosed(t *testing.T, path string, use func(*DB)) error {
	t.Helper()
	db, err := Open(t.Context(), located(t, Config{Path: path, Logger: slog.New(slog.DiscardHandler)}))
	if err != nil {
		return err
	}
	if use != nil {
		use(db)
	}
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	return nil
}
