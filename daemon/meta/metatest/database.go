//go:build !postgres

package metatest

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
)

// othersTell says that other processes are heard of, and first that this one
// begins to listen.
const othersTell = false

// emptyVar names the file of an empty database for the tests of this process.
const emptyVar = "OSPD_TEST_EMPTY_DB"

// sequences is how many random sequences a model is held to, unless the command
// line says so: each model is one of `make test-model`, which has very many.
const sequences = "10"

// server starts nothing: SQLite needs none. It makes an empty database, of which
// each test's is a copy: to make its schema anew takes longer than most tests.
func server() (stop func(), err error) {
	dir, err := os.MkdirTemp("", "empty")
	if err != nil {
		return nil, err
	}
	stop = func() { os.RemoveAll(dir) }
	path := filepath.Join(dir, "meta.db")
	db, err := meta.Open(context.Background(), meta.Config{Path: path})
	if err == nil {
		err = errors.Join(db.Close(), forgetServer(path), os.Setenv(emptyVar, path))
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// forgetServer has a database that is to be copied lose its server id, which is
// made anew where a copy is opened: two databases are two installations.
func forgetServer(path string) error {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), deleteServer)
	return errors.Join(err, db.Close())
}

// furnished puts an empty database where the test has none yet.
func furnished(t testing.TB, cfg meta.Config) meta.Config {
	t.Helper()
	from := os.Getenv(emptyVar)
	if from == "" {
		return cfg
	}
	empty, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(cfg.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return cfg
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(empty)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Located is cfg with the place of the test's database that cfg.Path names: of
// one path it is one database. With the build tag postgres it is on the server.
func Located(_ testing.TB, cfg meta.Config) meta.Config { return cfg }

// Unused is Located of a database that no ospd has used.
func Unused(_ testing.TB, cfg meta.Config) meta.Config { return cfg }

// Discard removes the test's database at the path, which is closed, before the
// test ends: some tests make very many.
func Discard(_ testing.TB, path string) { os.Remove(path) }
