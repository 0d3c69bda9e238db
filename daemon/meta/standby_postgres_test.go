//go:build postgres

package meta

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// A synchronous standby is away: the commit takes place and is not answered, and
// the question what became of it is not answered either. That nothing was changed
// is not said then, however long it took: who believed it would delete what the
// commit refers to.
func TestCommitWaitsForAStandby(t *testing.T) {
	server := durableServer(t)
	db := through(t, server.Dir(), "ospd", url.Values{"pool_max_conns": {"2"}}, func() pgtest.Fate { return pgtest.Passed })
	for _, name := range []string{"test/before", "test/too"} { // each lane is there
		if err := db.update(t.Context(), full, "set", set(name)); err != nil {
			t.Fatal(err)
		}
	}
	e := db.engine.(*pgEngine)
	e.patience, e.resolvePatience = 500*time.Millisecond, time.Second
	standbys(t, server, "nobody")
	err := db.update(t.Context(), full, "set", set("test/a"))
	if protocol.KindOf(err) != protocol.KindInternal {
		t.Errorf("got %v", err)
	}
	standbys(t, server, "")
	e.patience, e.resolvePatience = pgPatience, resolvePatience
	if err := db.update(t.Context(), full, "set", set("test/b")); err != nil {
		t.Error(err)
	}
	if n := count(t, db); n != 4 {
		t.Errorf("%d rows are there, with the one of which nobody knew", n)
	}
}

// standbys has commits wait for a standby of that name, "" for none. It returns once
// they do: what a session reads of the setting is not what its commits go by, which
// the checkpointer writes when it comes to it.
func standbys(t *testing.T, server *pgtest.Server, name string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + name + "'", "SELECT pg_reload_conf()"} {
		if _, err := conn.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for commitWaits(t, server) != (name != "") {
	}
}

// commitWaits reports whether a commit on a connection of its own is not over in half
// a second.
func commitWaits(t *testing.T, server *pgtest.Server) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = conn.Exec(ctx, "SELECT pg_logical_emit_message(true, 'test', '')")
	waits := ctx.Err() != nil
	if err != nil && !waits {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil && !waits {
		t.Fatal(err)
	}
	return waits
}
