//go:build postgres

package meta_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// isRefused expects that nobody opens the copy, which is not complete.
func isRefused(t *testing.T, url string) {
	t.Helper()
	db, err := meta.Open(t.Context(), meta.Config{URL: url})
	if err == nil {
		err = db.Close()
	}
	if protocol.KindOf(err) != protocol.KindConflict || !strings.Contains(err.Error(), "to the end") {
		t.Errorf("the copy opens, or is refused for another reason: %v", err)
	}
}

// What Postgres cannot hold is named, and nothing comes of the copy; with it
// mended one can begin anew.
func TestCopyOfBadText(t *testing.T) {
	s := newSource(t)
	for name, c := range map[string]struct{ spoil, mend, row string }{
		"a NUL":       {`UPDATE files SET name = 'a' || char(0) || 'b' WHERE uid = %d`, `UPDATE files SET name = 'a' WHERE uid = %d`, "name of one row"},
		"not UTF-8":   {`UPDATE files SET meta = CAST(x'7b22ff7d' AS TEXT) WHERE uid = %d`, `UPDATE files SET meta = NULL WHERE uid = %d`, "meta of one row"},
		"in its key":  {`UPDATE consumers SET name = 'reads' || char(0) WHERE name = 'reads' AND %d > 0`, `UPDATE consumers SET name = 'reads' WHERE name LIKE 'reads%%' AND %d > 0`, `consumers, name "reads\x00"`},
		"in a secret": {`UPDATE tokens SET note = 'hidden' || char(0) WHERE id = 'used' AND %d > 0`, `UPDATE tokens SET note = '' WHERE id = 'used' AND %d > 0`, `tokens, id "used"`},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Empty(t, t.Name())
			s.behind(fmt.Sprintf(c.spoil, s.first.UID))
			_, err := s.copy(url, nil)
			if protocol.KindOf(err) != protocol.KindConflict || !strings.Contains(err.Error(), c.row) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("got %v", err)
			}
			isRefused(t, url)
			s.isMoved(false)
			s.behind(fmt.Sprintf(c.mend, s.first.UID))
		})
	}
	url := pgtest.Empty(t, t.Name()+"/a_NUL")
	if _, err := s.copy(url+"&default_query_exec_mode=exec", nil); err != nil { // as behind a pooler
		t.Fatal(err)
	}
	s.same(url)
}

// Whatever is not as it was sent is found when it is read back.
func TestCopyIsVerified(t *testing.T) {
	s := newSource(t)
	rule := func(on, body string) string {
		return `CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ` + body + ` END $$;
			CREATE TRIGGER meddle BEFORE INSERT ON ` + on + ` FOR EACH ROW EXECUTE FUNCTION meddle()`
	}
	for name, c := range map[string]struct{ meddling, says string }{
		"a value":  {rule("tokens", `NEW.note := NEW.note || 'x'; RETURN NEW;`), `the note of tokens, id "ends" is another`},
		"a secret": {rule("settings", `IF NEW.name = 'token_pepper' THEN NEW.value := '00'; END IF; RETURN NEW;`), `the value of settings, name "token_pepper" is another`},
		"a key":    {rule("dirs", `NEW.number := NEW.number + 1; RETURN NEW;`), `where the source has dirs, store "disk", number 0, the copy has dirs, store "disk", number 1`},
		"the last row is missing": {rule("deliveries", `IF EXISTS (SELECT 1 FROM deliveries) THEN RETURN NULL; END IF; RETURN NEW;`),
			`the copy has no row of deliveries`},
		"a row too many":      {rule("webhooks", `IF NEW.id = 1 THEN INSERT INTO quotas (owner) VALUES ('zz'); END IF; RETURN NEW;`), `a row that is not in the source: quotas, owner "zz"`},
		"NULL for no bytes":   {rule("idempotency", `IF NEW.answer = '' THEN NEW.request := sha256(''); END IF; RETURN NEW;`), `the request of idempotency, owner "alice", key "of "`},
		"nothing for NULL":    {rule("jobs", `NEW.checkpoint := COALESCE(NEW.checkpoint, ''); RETURN NEW;`), `the checkpoint of jobs, id `},
		"a bit of one digest": {rule("block_digests", `NEW.triples := set_bit(NEW.triples, 1, 1 - get_bit(NEW.triples, 1)); RETURN NEW;`), `the triples of block_digests, content_id 1, seq 0`},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Empty(t, t.Name())
			// A copy that is given up leaves the schema, in which somebody meddles.
			db := s.open(false)
			ctx, cancel := context.WithCancel(t.Context())
			_, err := db.CopyTo(ctx, meta.CopyConfig{URL: url, Progress: func(meta.CopiedTable, bool) { cancel() }})
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			s.close(db)
			isRefused(t, url)
			pg := rawPostgres(t, url)
			if _, err := pg.ExecContext(t.Context(), c.meddling); err != nil {
				t.Fatal(err)
			}
			if _, err := s.copy(url, nil); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			isRefused(t, url)
			s.isMoved(false)
			if _, err := pg.ExecContext(t.Context(), `DROP FUNCTION meddle CASCADE`); err != nil {
				t.Error(err)
			}
			if err := pg.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Memory is bounded, however much there is: here 100,000 files, and 128 MiB in
// one table.
func TestCopyOfMuch(t *testing.T) {
	s := &source{T: t, path: t.TempDir() + "/meta.db", clock: metatest.NewClock()}
	db, err := meta.Open(t.Context(), meta.Config{Path: s.path})
	if err != nil {
		t.Fatal(err)
	}
	s.close(db)
	const count = `WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %d) `
	many := fmt.Sprintf(count, 100_000)
	s.behind(
		`INSERT INTO contents (id, digest, size, fingerprint, state, created_at) `+many+
			`SELECT i, CAST(printf('%032d', i) AS BLOB), 1, CAST(printf('%016d', i) AS BLOB), 'live', i FROM n`,
		`INSERT INTO files (uid, owner, name, content_id, etag, state, created_at, committed_at) `+many+`SELECT i, 'o', 'file ' || i, i, '"e"', 'committed', i, i FROM n`,
		`INSERT INTO blobs (id, store, key, size, state, created_at) `+many+`SELECT i, 'disk', 'k' || i, 1, 'live', i FROM n`,
		`INSERT INTO extents (content_id, seq, blob_id, blob_offset, length) `+many+`SELECT i, 0, i, 0, 1 FROM n`,
		`INSERT INTO block_digests (content_id, seq, triples) `+fmt.Sprintf(count, 2048)+`SELECT i, 0, randomblob(65536) FROM n`,
	)
	const bound = 64 << 20
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			select {
			case <-time.After(10 * time.Millisecond):
			case <-stop:
				peak <- most
				return
			}
		}
	}()
	url := pgtest.Empty(t, t.Name())
	runtime.GC()
	// Each of its statements takes longer than the others may.
	list, err := s.copy(url+"&statement_timeout=1", nil)
	close(stop)
	if most := <-peak; most > bound {
		t.Errorf("it took %d MiB of memory", most>>20)
	}
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int64{}
	for _, c := range list {
		rows[c.Name] = c.Rows
	}
	if rows["files"] != 100_000 || rows["extents"] != 100_000 || rows["block_digests"] != 2048 {
		t.Errorf("copied %v", rows)
	}
	pg := rawPostgres(t, url)
	var n, last, bytes int64
	if err := pg.QueryRowContext(t.Context(), `SELECT COUNT(*), MAX(uid), (SELECT SUM(octet_length(triples)) FROM block_digests) FROM files`).Scan(&n, &last, &bytes); err != nil ||
		n != 100_000 || last != n || bytes != 128<<20 {
		t.Errorf("there are %d files up to %d, %d bytes of digests: %v", n, last, bytes, err)
	}
	s.closeRaw(pg)
}
