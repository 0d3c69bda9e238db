//go:build !postgres

package metatest

import (
	"os"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
)

// server starts nothing: SQLite needs none.
func server() (stop func(), err error) { return func() {}, nil }

// Located is cfg with the place of the test's database that cfg.Path names: of
// one path it is one database. With the build tag postgres it is on the server.
func Located(_ testing.TB, cfg meta.Config) meta.Config { return cfg }

// Unused is Located of a database that no ospd has used.
func Unused(_ testing.TB, cfg meta.Config) meta.Config { return cfg }

// Discard removes the test's database at the path, which is closed, before the
// test ends: some tests make very many.
func Discard(_ testing.TB, path string) { os.Remove(path) }
