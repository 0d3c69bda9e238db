//go:build unix

package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strconv"
	"strings"
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
	name = nameOf(name)
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

// Remove drops the test's database of that name now.
func Remove(t testing.TB, name string) {
	t.Helper()
	if err := Drop(context.Background(), os.Getenv(serverVar), nameOf(name)); err != nil {
		t.Error(err)
	}
}

// Exec runs statements on the test's database of that name, over one
// connection. The parameters of the last one are question marks.
func Exec(t testing.TB, name string, before []string, text string, args ...any) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), URL(os.Getenv(serverVar), nameOf(name)))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; strings.Contains(text, "?"); n++ {
		text = strings.Replace(text, "?", "$"+strconv.Itoa(n), 1)
	}
	var errs []error
	for _, s := range before {
		_, err := c.Exec(t.Context(), s)
		errs = append(errs, err)
	}
	_, err = c.Exec(t.Context(), text, args...)
	if err := errors.Join(append(errs, err, c.Close(t.Context()))...); err != nil {
		t.Fatal(err)
	}
}

// Rows is what a query of one column gives, on the database at the address.
func Rows(ctx context.Context, address, query string) ([]string, error) {
	c, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close(ctx) }() // what it gave is there
	rows, err := c.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func nameOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "test_" + hex.EncodeToString(sum[:8])
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
