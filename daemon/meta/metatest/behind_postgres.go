//go:build postgres

package metatest

import (
	"testing"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// Behind runs a statement on the test's database at the path, behind its back
// and with no reference checked: what no verb does. Its parameters are question
// marks.
func Behind(t testing.TB, path, text string, args ...any) {
	t.Helper()
	pgtest.Exec(t, path, []string{"SET session_replication_role = replica"}, text, args...)
}

// Refuse has the database at the path refuse to INSERT into a table, or to
// DELETE from it, until allow is called.
func Refuse(t testing.TB, path, what, table string) (allow func()) {
	t.Helper()
	pgtest.Exec(t, path, []string{`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`},
		`CREATE TRIGGER refuse BEFORE `+what+` ON `+table+` FOR EACH ROW EXECUTE FUNCTION refuse()`)
	return func() { pgtest.Exec(t, path, nil, `DROP FUNCTION refuse CASCADE`) }
}
