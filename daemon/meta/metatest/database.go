//go:build !postgres

package metatest

import (
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
)

// Server starts what the databases of a test binary need, and gives what ends
// it: nothing for SQLite. With the build tag postgres it is a Postgres server.
func Server() (stop func(), err error) { return func() {}, nil }

// Located is cfg with the place of the test's database that cfg.Path names: of
// one path it is one database. With the build tag postgres it is on the server.
func Located(_ testing.TB, cfg meta.Config) meta.Config { return cfg }
