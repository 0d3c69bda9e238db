//go:build postgres

package metatest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// othersTell says that other processes are heard of, and first that this one
// begins to listen.
const othersTell = true

// sequences is how many random sequences a model is held to, unless the command
// line says so: more than on SQLite, for which `make test-model` has very many.
const sequences = "30"

// server starts a Postgres server that syncs nothing, and gives what ends it.
func server() (stop func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s, err := pgtest.Start(ctx, false)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.Share(), makeMigrated(ctx, s)); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return func() { _ = s.Stop() }, nil
}

func makeMigrated(ctx context.Context, s *pgtest.Server) error {
	if _, err := pgtest.Create(ctx, s.Dir(), pgtest.Migrated, "template0"); err != nil {
		return err
	}
	db, err := meta.Open(ctx, meta.Config{URL: s.URL(pgtest.Migrated)})
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	// It is made anew where a copy is opened: two databases are two installations.
	_, err = pgtest.Rows(ctx, s.URL(pgtest.Migrated), deleteServer+` RETURNING name`)
	return err
}

// Located is cfg with the place of the test's database that cfg.Path names: of
// one path it is one database, which is there from the first time to the end
// of that test.
func Located(t testing.TB, cfg meta.Config) meta.Config {
	t.Helper()
	cfg.URL, cfg.Path = pgtest.Database(t, cfg.Path), ""
	return cfg
}

// Unused is Located of a database that no ospd has used.
func Unused(t testing.TB, cfg meta.Config) meta.Config {
	t.Helper()
	cfg.URL, cfg.Path = pgtest.Empty(t, cfg.Path), ""
	return cfg
}

// Discard removes the test's database of the path, which is closed, before the
// test ends: some tests make very many.
func Discard(t testing.TB, path string) {
	t.Helper()
	pgtest.Remove(t, path)
}

// furnished is for SQLite: a database of the server is a copy of an empty one.
func furnished(_ testing.TB, cfg meta.Config) meta.Config { return cfg }
