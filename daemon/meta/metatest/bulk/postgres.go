package bulk

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/protocol"
)

// Postgres writes files first through last into the database at the address,
// which meta.Open has made, and has the server gather what it plans by.
func (f Files) Postgres(ctx context.Context, address string, first, last int64) (err error) {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	indexes, err := pgIndexes(ctx, conn)
	if err != nil {
		return err
	}
	exec := func(text string) error {
		_, err := conn.Exec(ctx, text)
		return err
	}
	if err := without(indexes, exec, func() error {
		return f.fill(ctx, first, last, func(ctx context.Context) (sink, error) {
			tx, err := conn.Begin(ctx)
			return pgSink{tx}, err
		})
	}); err != nil {
		return err
	}
	for _, table := range []string{"contents", "blobs"} {
		// COPY takes ids as they are given; those that follow have to be others.
		if _, err := conn.Exec(ctx, fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('%[1]s', 'id'), (SELECT MAX(id) FROM %[1]s))`, table)); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, `VACUUM ANALYZE`)
	return err
}

// pgIndexes are those that no constraint needs.
func pgIndexes(ctx context.Context, conn *pgx.Conn) ([]index, error) {
	rows, err := conn.Query(ctx, `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()
		AND tablename IN ('contents', 'block_digests', 'blobs', 'extents', 'files')
		AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname AND connamespace = current_schema()::regnamespace)`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (i index, err error) {
		err = row.Scan(&i.name, &i.made)
		return i, err
	})
}

type pgSink struct{ tx pgx.Tx }

func (s pgSink) rows(ctx context.Context, t table, first, last int64) error {
	n := first - 1
	_, err := s.tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(func() ([]any, error) {
		if n++; n > last {
			return nil, nil
		}
		return t.row(n), nil
	}))
	return err
}

func (s pgSink) charge(ctx context.Context, owner protocol.Owner, files, bytes int64) error {
	_, err := s.tx.Exec(ctx, charged, string(owner), bytes, files)
	return err
}

func (s pgSink) end(ctx context.Context) error { return s.tx.Commit(ctx) }
