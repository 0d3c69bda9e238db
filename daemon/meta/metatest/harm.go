//go:build !postgres

package metatest

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"
)

// Harm runs a statement on the test's database at the path behind the back of
// the DB that is open, as somebody would who repairs it by hand.
func Harm(t testing.TB, path, statement string) {
	t.Helper()
	if err := harm(t, path, func(*sql.DB) ([]string, error) { return []string{statement}, nil }); err != nil {
		t.Fatal(err)
	}
}

// Fill has the test's database at the path be full from now on: nothing can be
// inserted, changed or deleted. What SQLite says of a disk that is full it says
// of a table without room for a row, too.
func Fill(t testing.TB, path string) {
	t.Helper()
	err := harm(t, path, func(db *sql.DB) ([]string, error) {
		tables, err := tablesOf(t, db)
		all := []string{`CREATE TABLE no_room (n INTEGER PRIMARY KEY AUTOINCREMENT)`, `INSERT INTO no_room VALUES (9223372036854775807)`}
		for _, table := range tables {
			for _, on := range []string{"INSERT", "UPDATE", "DELETE"} {
				all = append(all, fmt.Sprintf(`CREATE TRIGGER %s_%s BEFORE %[2]s ON %[1]s BEGIN INSERT INTO no_room VALUES (NULL); END`, table, on))
			}
		}
		return all, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func tablesOf(t testing.TB, db *sql.DB) (tables []string, err error) {
	rows, err := db.QueryContext(t.Context(), `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		tables = append(tables, name)
	}
	return tables, rows.Err()
}

// harm runs the statements that a look at the database gives.
func harm(t testing.TB, path string, statements func(db *sql.DB) ([]string, error)) (err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	all, err := statements(db)
	if err != nil {
		return err
	}
	for _, s := range all {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}
