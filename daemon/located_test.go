package daemon

import (
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
)

// Located is cfg with the test's database, that of its data folder: one that no
// ospd has used before. With the build tag postgres it is on the server.
func Located(t testing.TB, cfg Config) Config {
	t.Helper()
	if url := metatest.Unused(t, meta.Config{Path: cfg.databasePath()}).URL; url != "" {
		cfg.DB = DatabaseAt(url)
	}
	return cfg
}
