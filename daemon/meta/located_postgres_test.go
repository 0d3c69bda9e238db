//go:build postgres

package meta

import (
	"testing"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// located is metatest.Located.
func located(t testing.TB, cfg Config) Config {
	t.Helper()
	cfg.URL, cfg.Path = pgtest.Database(t, cfg.Path), ""
	return cfg
}
