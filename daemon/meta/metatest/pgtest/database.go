package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// serverVar names the folder of the server that a test binary runs to its
	// tests, and to processes that they start.
	serverVar = "OSPD_TEST_POSTGRES"
	// Migrated is the database that Database copies.
	Migrated = "migrated"
)

// Share makes the server the one on which Database finds databases.
func (s *Server) Share() error { return os.Setenv(serverVar, s.dir) }

// Database gives the address of the test's database of that name, any text,
// on the shared server: a copy of Migrated, which is there from the first time
// it is asked for to the end of that test.
func Database(t testing.TB, name string) (url string) {
	t.Helper()
	return database(t, name, Migrated)
}

// Empty is Database, without anything in it.
func Empty(t testing.TB, name string) (url string) {
	t.Helper()
	return database(t, name, "template0")
}

func database(t testing.TB, name, template string) (url string) {
	t.Helper()
	dir := os.Getenv(serverVar)
	sum := sha256.Sum256([]byte(name))
	name = "test_" + hex.EncodeToString(sum[:8])
	made, err := Create(t.Context(), dir, name, template)
	if err != nil {
		t.Fatal(err)
	}
	if made {
		t.Cleanup(func() {
			if err := Drop(context.Background(), dir, name); err != nil {
				t.Error(err)
			}
		})
	}
	return URL(dir, name)
}

// Create makes a database on the server in the folder, a copy of the template,
// which nobody may use meanwhile. made is false where it exists.
func Create(ctx context.Context, dir, name, template string) (made bool, err error) {
	err = admin(ctx, dir, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" TEMPLATE "+pgx.Identifier{template}.Sanitize())
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42P04" {
		return false, nil
	}
	return err == nil, err
}

// Drop removes a database, whoever uses it.
func Drop(ctx context.Context, dir, name string) error {
	return admin(ctx, dir, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

func admin(ctx context.Context, dir, text string) error {
	c, err := pgx.Connect(ctx, URL(dir, "postgres"))
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, text)
	return errors.Join(err, c.Close(ctx))
}
