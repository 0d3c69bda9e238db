//go:build !postgres

package metatest

import (
	"database/sql"
	"errors"
	"testing"
)

// Behind runs a statement on the test's database at the path, behind its back
// and unchecked: what no verb does. Its parameters are question marks.
func Behind(t testing.TB, path, text string, args ...any) {
	t.Helper()
	behind(t, path, []string{"PRAGMA foreign_keys=OFF", "PRAGMA ignore_check_constraints=ON"}, text, args...)
}

// Refuse has the database at the path refuse to INSERT into a table, or to
// DELETE from it, until allow is called.
func Refuse(t testing.TB, path, what, table string) (allow func()) {
	t.Helper()
	behind(t, path, nil, `CREATE TRIGGER refuse BEFORE `+what+` ON `+table+` BEGIN SELECT RAISE(ABORT, 'refused'); END`)
	return func() { behind(t, path, nil, `DROP TRIGGER refuse`) }
}

func behind(t testing.TB, path string, before []string, text string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	var errs []error
	for _, s := range before {
		_, err := db.ExecContext(t.Context(), s)
		errs = append(errs, err)
	}
	_, err = db.ExecContext(t.Context(), text, args...)
	if err := errors.Join(append(errs, err, db.Close())...); err != nil {
		t.Fatal(err)
	}
}
