//go:build postgres

package metatest

import (
	"testing"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// Harm runs a statement on the test's database of the path behind the back of
// the DB that is open, as somebody would who repairs it by hand.
func Harm(t testing.TB, path, statement string) {
	t.Helper()
	pgtest.Exec(t, path, nil, statement)
}

// Fill has the test's database of the path be full from now on: nothing can be
// inserted, changed or deleted.
func Fill(t testing.TB, path string) {
	t.Helper()
	pgtest.Exec(t, path, nil, `CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$`)
	pgtest.Exec(t, path, nil, `DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
			EXECUTE format('CREATE TRIGGER no_room BEFORE INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION no_room()', name);
		END LOOP; END $$`)
}
