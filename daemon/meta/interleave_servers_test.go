//go:build servers && !postgres

package meta_test

import (
	"context"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
)

// SQLite has one writer: what another operation is held in, waits.
func TestSQLiteInterleaved(t *testing.T) {
	empty := empties(t)
	metatest.Interleave(t, func(t testing.TB, clock func() time.Time, at func(context.Context)) metatest.Watched {
		db, err := meta.OpenWatched(t.Context(), empty(t, clock), at)
		if err != nil {
			t.Fatal(err)
		}
		return metatest.Watched{DB: db, Waiting: db.Queued, InTurn: true}
	})
}
