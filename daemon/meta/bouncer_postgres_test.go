//go:build postgres

package meta_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// Behind PgBouncer all is as it is without, where the address says how
// statements are to be sent.
func TestPgBouncer(t *testing.T) {
	for _, pooling := range []pgtest.Pooling{pgtest.PerTransaction, pgtest.PerSession} {
		t.Run(string(pooling), func(t *testing.T) {
			b := bouncerOf(t, pooling)
			empty := empties(t)
			metatest.RunCore(t, func(t testing.TB, clock func() time.Time) *meta.DB {
				cfg := empty(t, clock)
				var err error
				if cfg.URL, err = b.Before(cfg.URL, url.Values{"default_query_exec_mode": {"exec"}}); err != nil {
					t.Fatal(err)
				}
				db, err := meta.Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				return db
			})
		})
	}
}

// bouncerOf is a PgBouncer before the server of the test's databases.
func bouncerOf(t *testing.T, mode pgtest.Pooling) *pgtest.Bouncer {
	t.Helper()
	u, err := url.Parse(pgtest.Database(t, t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	b, err := pgtest.StartBouncer(t.Context(), u.Query().Get("host"), mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}
