package meta

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/osproxy/osproxy/protocol"
)

// copyBatch is how many rows one COPY has: the server keeps a note of each row
// that refers to another until its end.
const copyBatch = 20_000

// sourceRows reads a table row by row.
type sourceRows struct {
	table copiedTable
	rows  *sql.Rows
	row   []any
	dest  []any
	err   error
	// left is how many rows of the batch are still to come, count how many came.
	left, count int64
}

// open reads the table in the order of its key.
func (q query) open(table copiedTable) (*sourceRows, error) {
	rows, err := q.run.QueryContext(q.ctx, table.selected())
	if err != nil {
		return nil, err
	}
	s := &sourceRows{table: table, rows: rows, row: make([]any, len(table.columns))}
	for i := range s.row {
		s.dest = append(s.dest, &s.row[i])
	}
	return s, nil
}

// next reads a row, which is good until the next. more is false at the end.
func (s *sourceRows) next() (more bool, err error) {
	if !s.rows.Next() {
		return false, s.rows.Err()
	}
	if err := s.rows.Scan(s.dest...); err != nil {
		return false, err
	}
	for i, v := range s.row {
		if text, isText := v.(string); isText && (!utf8.ValidString(text) || strings.Contains(text, "\x00")) {
			return false, &protocol.Error{Kind: protocol.KindConflict,
				Message: fmt.Sprintf("Postgres cannot hold the %s of one row, which is not UTF-8 or has a NUL in it: %s; the copy is none", s.table.columns[i], s.table.keyText(s.row)),
				Hint:    "Change or delete what the row is of, with the daemon on SQLite, and copy again."}
		}
		if b, isBytes := v.([]byte); isBytes && b == nil {
			s.row[i] = []byte{} // nothing, which is not NULL
		}
	}
	return true, nil
}

// Next, Values and Err give the rows of one batch to a COPY.
func (s *sourceRows) Next() bool {
	if s.left == 0 || s.err != nil {
		return false
	}
	var more bool
	if more, s.err = s.next(); !more {
		return false
	}
	s.left--
	s.count++
	return true
}

// Values is the row.
func (s *sourceRows) Values() ([]any, error) { return s.row, nil }

// Err is why there are no more.
func (s *sourceRows) Err() error { return s.err }

// copyTable gives how many rows it copied.
func (t *tx) copyTable(ctx context.Context, to *copyTarget, table copiedTable) (n int64, err error) {
	rows, err := t.open(table)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.rows.Close()) }()
	for rows.left == 0 { // the batch before was full
		rows.left = copyBatch
		if err := to.receive(ctx, table, rows); err != nil {
			if rows.err != nil { // of which err is only what the server heard
				err = rows.err
			}
			return 0, err
		}
	}
	last, err := t.lastID(table)
	if err == nil && table.numbered {
		err = to.numberBehind(ctx, table, last)
	}
	return rows.count, err
}

// lastID is the greatest id that the table's rows ever had, as far as it is
// known: none is used again.
func (t *tx) lastID(table copiedTable) (last int64, err error) {
	if !table.numbered {
		return 0, nil
	}
	text := `SELECT MAX(COALESCE((SELECT MAX(id) FROM ` + table.name + `), 0), COALESCE((SELECT seq FROM sqlite_sequence WHERE name = ?), 0)`
	if table.name == "outbox" {
		text += `, COALESCE((SELECT MAX(outbox_id) FROM events), 0)`
	}
	_, err = t.one(text+`)`, []any{table.name}, &last)
	return last, err
}

// verifyTable reads the copy's rows back, beside those of the source.
func (t *tx) verifyTable(ctx context.Context, to *copyTarget, table copiedTable) (err error) {
	want, err := t.open(table)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, want.rows.Close()) }()
	got, err := to.read(ctx, table)
	if err != nil {
		return err
	}
	defer got.Close()
	for {
		more, err := want.next()
		if err != nil {
			return err
		}
		if !got.Next() {
			if err := got.Err(); err != nil || !more {
				return err
			}
			return differs("the copy has no row of " + table.keyText(want.row))
		}
		row, err := got.Values()
		if err != nil {
			return err
		}
		if !more {
			return differs("the copy has a row that is not in the source: " + table.keyText(row))
		}
		if err := table.compare(want.row, row); err != nil {
			return err
		}
	}
}

// compare says how two rows differ, without what is in them, which may be a
// secret.
func (t copiedTable) compare(want, got []any) error {
	for i := range want {
		if sameValue(want[i], got[i]) {
			continue
		}
		if i < len(t.key) {
			return differs(fmt.Sprintf("where the source has %s, the copy has %s", t.keyText(want), t.keyText(got)))
		}
		return differs(fmt.Sprintf("the %s of %s is another in the copy", t.columns[i], t.keyText(want)))
	}
	return nil
}

func sameValue(a, b any) bool {
	if x, ok := a.([]byte); ok {
		y, ok := b.([]byte)
		return ok && bytes.Equal(x, y)
	}
	switch a.(type) {
	case nil, int64, string:
		return a == b
	}
	return false
}

func differs(how string) error {
	return &protocol.Error{Kind: protocol.KindInternal, Op: "verify the copy", Message: how + "; the copy was given up, the source is as it was",
		Hint: "Somebody else may be using the database; copy again to one of its own."}
}
