//go:build postgres

package meta_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// refused opens a database, which must fail with an error of the kind that
// says the words, in its text or in its hint.
func refused(t *testing.T, cfg meta.Config, kind protocol.Kind, words ...string) (said string) {
	t.Helper()
	var log bytes.Buffer
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	db, err := meta.OpenImpatient(t.Context(), cfg)
	if err == nil {
		t.Error(errors.Join(errors.New("it was opened"), db.Close()))
		return ""
	}
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || e.Kind != kind || e.Hint == "" {
		t.Fatalf("got %v", err)
	}
	said = e.Error() + "\n" + e.Hint + "\n" + log.String()
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("it does not say %q: %s", w, said)
		}
	}
	return said
}

// with is the address with a parameter more.
func with(address, name, value string) string {
	return address + "&" + url.Values{name: {value}}.Encode()
}

// as is the address with another user or another database.
func as(t *testing.T, address string, user *url.Userinfo, database string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if user != nil {
		u.User = user
	}
	if database != "" {
		u.Path = "/" + database
	}
	return u.String()
}

// A server that is too old is refused. None is at hand, and so one says of
// itself that it is.
func TestOldServerIsRefused(t *testing.T) {
	address := pgtest.Empty(t, t.Name())
	pgtest.Exec(t, t.Name(), []string{`CREATE SCHEMA old`}, `CREATE FUNCTION old.current_setting(name text) RETURNS text LANGUAGE sql
		AS $$ SELECT CASE WHEN name LIKE 'server_version%' THEN '130099' ELSE pg_catalog.current_setting(name) END $$`)
	_, err := meta.Open(t.Context(), meta.Config{URL: with(address, "search_path", "old,pg_catalog,public")})
	if protocol.KindOf(err) != protocol.KindInternal || !strings.Contains(err.Error(), "needs 14 or newer") {
		t.Errorf("got %v", err)
	}
	checkEmpty(t, address)
}

// checkEmpty expects a database in which nothing was made.
func checkEmpty(t *testing.T, address string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	err = conn.QueryRow(t.Context(), `SELECT COUNT(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`).Scan(&n)
	if err := errors.Join(err, conn.Close(t.Context())); err != nil || n != 0 {
		t.Errorf("%d things were made in it, %v", n, err)
	}
}

// Text in an unknown encoding is refused: names of files come back as they
// went in.
func TestEncodingIsRefused(t *testing.T) {
	address := pgtest.Empty(t, t.Name())
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	create := `CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`
	_, err = conn.Exec(t.Context(), create+` LOCALE_PROVIDER libc`)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42601" { // a server that knows no other
		_, err = conn.Exec(t.Context(), create)
	}
	if err != nil {
		t.Fatal(err)
	}
	ascii := as(t, address, nil, "ascii")
	refused(t, meta.Config{URL: ascii}, protocol.KindInternal, "encoding is SQL_ASCII", "nothing was changed", "ENCODING 'UTF8'")
	checkEmpty(t, ascii)
	_, err = conn.Exec(t.Context(), `DROP DATABASE ascii WITH (FORCE)`)
	if err := errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

// A user without the rights is told which, also where the schema is there and
// is another's.
func TestRightsThatAreMissing(t *testing.T) {
	empty, migrated := pgtest.Empty(t, t.Name()+"/empty"), pgtest.Database(t, t.Name()+"/migrated")
	for _, name := range []string{"/empty", "/migrated"} {
		pgtest.Exec(t, t.Name()+name, nil, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	}
	pgtest.Exec(t, t.Name()+"/empty", nil, `CREATE ROLE guest LOGIN`)
	defer pgtest.Exec(t, t.Name()+"/empty", nil, `DROP ROLE guest`)
	for _, address := range []string{empty, migrated} {
		refused(t, meta.Config{URL: as(t, address, url.User("guest"), "")}, protocol.KindInternal, "may not do in the database", "nothing was changed", "CREATE DATABASE")
	}
	checkEmpty(t, empty)
	pgtest.Exec(t, t.Name()+"/empty", nil, `DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$`)
	refused(t, meta.Config{URL: as(t, empty, url.User("guest"), "")}, protocol.KindInternal, "may not do in the database", "nothing was changed")
}

// A standby is refused, also where it was the primary, and taken as soon as it is
// again.
func TestStandby(t *testing.T) {
	server := serverOf(t)
	address := server.URL("postgres")
	open := func() error {
		db, err := meta.Open(t.Context(), meta.Config{URL: address})
		if err == nil {
			err = db.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	server.Shutdown()
	if err := errors.Join(server.Write("standby.signal", nil), server.Run(t.Context())); err != nil {
		t.Fatal(err)
	}
	refused(t, meta.Config{URL: address}, protocol.KindUnavailable, "is a standby", "nothing was changed", "target_session_attrs=read-write")
	refused(t, meta.Config{URL: with(address, "target_session_attrs", "read-write")}, protocol.KindUnavailable, "read only")
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), `SELECT pg_promote()`)
	if err := errors.Join(err, conn.Close(t.Context()), open()); err != nil {
		t.Errorf("after it became the primary: %v", err)
	}
}

func serverOf(t *testing.T) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Whatever goes wrong on the way to a database, what is said of it names what
// to do and never the password.
func TestErrorsHoldNoPassword(t *testing.T) {
	server := serverOf(t)
	const secret = "hunter2 &%/?#@:x"
	if err := run(t, server.URL("postgres"), `CREATE ROLE app LOGIN PASSWORD '`+secret+`'`, `CREATE DATABASE app OWNER app`); err != nil {
		t.Fatal(err)
	}
	server.Shutdown()
	hba := "local all all trust\nhost all ospd all trust\nhostnossl clear app all scram-sha-256\nhost app app all scram-sha-256\nhost missing app all scram-sha-256\n"
	if err := server.Write("pg_hba.conf", []byte(hba)); err != nil {
		t.Fatal(err)
	}
	port, err := server.Listen(t.Context(), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	at := func(host, database, password string) string {
		return "postgres://" + url.UserPassword("app", password).String() + "@" + host + "/" + database + "?sslmode=disable"
	}
	here := "127.0.0.1:" + port
	db, err := meta.Open(t.Context(), meta.Config{URL: at(here, "app", secret)})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		address string
		kind    protocol.Kind
		words   []string
	}{
		"no such host":      {at("nowhere.invalid", "app", secret), protocol.KindUnavailable, []string{"app at nowhere.invalid:5432", "cannot be reached"}},
		"a closed port":     {at("127.0.0.1:1", "app", secret), protocol.KindUnavailable, []string{"app at 127.0.0.1:1", "cannot be reached"}},
		"another password":  {at(here, "app", secret+"x"), protocol.KindInternal, []string{"refuses the user or the password", "%XX"}},
		"no password":       {at(here, "app", ""), protocol.KindInternal, []string{"refuses the user or the password"}},
		"no such database":  {at(here, "missing", secret), protocol.KindInternal, []string{"no such database", "CREATE DATABASE"}},
		"not let in":        {at(here, "postgres", secret), protocol.KindInternal, []string{"does not let this user in", "pg_hba.conf"}},
		"no TLS there":      {strings.Replace(at(here, "app", secret), "disable", "require", 1), protocol.KindUnavailable, []string{"no encrypted connections", "ssl = on"}},
		"a foreign setting": {with(at(here, "app", secret), "no_such_setting", "1"), protocol.KindInternal, []string{"refuses a setting", "no_such_setting"}},
		"a foreign value":   {with(at(here, "app", secret), "lock_timeout", "soon"), protocol.KindInternal, []string{"refuses a setting", "lock_timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			said := refused(t, meta.Config{URL: c.address}, c.kind, c.words...)
			for _, s := range []string{"hunter2", url.QueryEscape(secret), url.PathEscape(secret)} {
				if strings.Contains(said, s) {
					t.Errorf("the password is in %s", said)
				}
			}
		})
	}
}

// run runs statements, each in its own transaction.
func run(t *testing.T, address string, statements ...string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s, err))
		}
	}
	return errors.Join(append(errs, conn.Close(t.Context()))...)
}
