//go:build postgres

package meta_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta"
)

// filled are statements that make 20,000 rows of all that there is much of:
// Postgres plans by what is in the tables.
var filled = [...]string{
	`INSERT INTO settings (name, value) SELECT 'n/' || i, '1' FROM generate_series(1, 20000) i`,
	`INSERT INTO contents (digest, size, fingerprint, state, created_at, doomed_at)
		SELECT sha256(i::text::bytea), i, substr(sha256(i::text::bytea), 1, 16), CASE WHEN i % 10 = 0 THEN 'doomed' ELSE 'live' END, i,
			CASE WHEN i % 10 = 0 THEN i END FROM generate_series(1, 20000) i`,
	`INSERT INTO files (uid, owner, name, content_id, etag, state, created_at, committed_at, expires_at)
		SELECT i, 'o' || i % 7, 'name ' || i, i, '"e"', 'committed', i, i, CASE WHEN i % 2 = 0 THEN i END FROM generate_series(1, 20000) i`,
	`INSERT INTO files (uid, owner, name, state, created_at) SELECT i, 'o' || i % 7, 'name ' || i, 'open', i FROM generate_series(20001, 40000) i`,
	`INSERT INTO files (uid, owner, name, state, created_at, deleted_at) SELECT i, 'o' || i % 7, 'n', 'deleted', i, i FROM generate_series(40001, 60000) i`,
	`INSERT INTO files (uid, owner, name, state, created_at, aborted_at) SELECT i, 'o' || i % 7, 'n', 'aborted', i, i FROM generate_series(60001, 80000) i`,
	`INSERT INTO block_digests (content_id, seq, triples) SELECT i, 0, decode(repeat('00', 64), 'hex') FROM generate_series(1, 20000) i`,
	`INSERT INTO blobs (store, key, size, state, owner_kind, owner_id, created_at, doomed_at, gone_at, overlong)
		SELECT 'disk', 'key ' || i, i, (ARRAY['live', 'writing', 'doomed', 'gone'])[i % 4 + 1], 'upload', 20000 + i % 20000, i,
			CASE WHEN i % 4 > 1 THEN i END, CASE WHEN i % 4 = 3 THEN i END, i % 2 FROM generate_series(1, 80000) i`,
	`INSERT INTO extents (content_id, seq, blob_id, blob_offset, length) SELECT i, 0, i, 0, 1 FROM generate_series(1, 20000) i`,
	`INSERT INTO uploads (uid, size, part_size, blob_id, touched_at) SELECT i, i, 1, i, i FROM generate_series(20001, 40000) i`,
	`INSERT INTO uploads (uid, size, part_size, touched_at, open) SELECT i, i, 1, i, 0 FROM generate_series(1, 20000) i`,
	`INSERT INTO parts (uid, number, part_offset, length, xxh3, blocks, blob_id, blob_offset, boot_id, gen)
		SELECT i, 1, 0, 1, decode(repeat('00', 16), 'hex'), ''::bytea, i, 0, 'b', 1 FROM generate_series(20001, 40000) i`,
	`INSERT INTO idempotency (owner, key, request, answer, created, uid, created_at)
		SELECT 'o' || i % 7, 'k' || i, sha256(''), ''::bytea, 1, i, i FROM generate_series(1, 20000) i`,
	`INSERT INTO dirs (store, number, reserved_at) SELECT 's' || i % 7, i, i FROM generate_series(1, 20000) i`,
	`INSERT INTO sweep_candidates (blob_id, offered_at) SELECT i, i FROM generate_series(1, 20000) i`,
	`INSERT INTO tokens (id, owner, hash, scopes, created_at) SELECT 't' || i, 'o' || i % 7, sha256(''), '', i FROM generate_series(1, 20000) i`,
	`INSERT INTO quotas (owner, own) SELECT 'o' || i, i % 2 FROM generate_series(1, 20000) i`,
	`INSERT INTO jobs (kind, owner, subject, state, run_at, max_attempts, created_at, finished_at)
		SELECT 'k', 'o', 's' || i, 'ready', i, 1, i, NULL FROM generate_series(1, 20000) i`,
	`INSERT INTO jobs (kind, owner, subject, state, run_at, max_attempts, created_at, finished_at)
		SELECT 'k', 'o', 's' || i, 'done', i, 1, i, i FROM generate_series(1, 20000) i`,
	`UPDATE files SET digest_due = uid WHERE state = 'committed' AND uid % 3 = 0`,
	`INSERT INTO outbox (kind, owner, created_at, content_id, after_owner, after_uid) SELECT 'k', 'o', i,
		CASE WHEN i % 1000 = 0 THEN i END, CASE WHEN i % 1000 = 0 THEN '' END, CASE WHEN i % 1000 = 0 THEN 0 END FROM generate_series(1, 20000) i`,
	`INSERT INTO events (number, outbox_id, kind, owner, created_at) SELECT i, i, 'k', 'o', i FROM generate_series(1, 20000) i`,
	`INSERT INTO consumers (name, cursor, seen_at) SELECT 'c' || i, i, i FROM generate_series(1, 100) i`,
	`INSERT INTO webhooks (owner, url, secret, kinds, state, since, created_at)
		SELECT 'o' || i % 7, 'u', sha256(''), 'k', (ARRAY['active', 'removed'])[i % 2 + 1], i, i FROM generate_series(1, 20000) i`,
	`INSERT INTO deliveries (webhook_id, number, uid, kind, body, state, due_at, created_at, dead_at)
		SELECT i, i, i, 'k', '', CASE WHEN i % 2 = 0 THEN 'dead' ELSE 'pending' END, i, i, CASE WHEN i % 2 = 0 THEN i END FROM generate_series(1, 20000) i`,
	`ANALYZE`,
}

func fill(t *testing.T, cfg meta.Config) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	var errs []error
	for _, text := range filled {
		_, err := conn.Exec(t.Context(), text)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
