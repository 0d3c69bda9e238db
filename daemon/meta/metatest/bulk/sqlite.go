package bulk

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	_ "modernc.org/sqlite" // the driver

	"github.com/osproxy/osproxy/protocol"
)

// SQLite writes files first through last into the database at the path, which
// meta.Open has made and nobody has open.
func (f Files) SQLite(ctx context.Context, path string, first, last int64) (err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(OFF)&_pragma=cache_size(-400000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	indexes, err := sqliteIndexes(ctx, db)
	if err != nil {
		return err
	}
	exec := func(text string) error {
		_, err := db.ExecContext(ctx, text)
		return err
	}
	return without(indexes, exec, func() error {
		return f.fill(ctx, first, last, func(ctx context.Context) (sink, error) {
			tx, err := db.BeginTx(ctx, nil)
			return sqliteSink{tx}, err
		})
	})
}

// sqliteIndexes are those that no constraint needs.
func sqliteIndexes(ctx context.Context, db *sql.DB) (list []index, err error) {
	rows, err := db.QueryContext(ctx, `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
		AND tbl_name IN ('contents', 'block_digests', 'blobs', 'extents', 'files')`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	for rows.Next() {
		var i index
		if err := rows.Scan(&i.name, &i.made); err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	return list, nil
}

type sqliteSink struct{ tx *sql.Tx }

func (s sqliteSink) rows(ctx context.Context, t table, first, last int64) (err error) {
	insert, err := s.tx.PrepareContext(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)",
		t.name, strings.Join(t.columns, ", "), strings.Repeat(", ?", len(t.columns)-1)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, insert.Close()) }()
	for n := first; n <= last; n++ {
		if _, err := insert.ExecContext(ctx, t.row(n)...); err != nil {
			return err
		}
	}
	return nil
}

func (s sqliteSink) charge(ctx context.Context, owner protocol.Owner, files, bytes int64) error {
	_, err := s.tx.ExecContext(ctx, charged, string(owner), bytes, files)
	return err
}

func (s sqliteSink) end(context.Context) error { return s.tx.Commit() }
