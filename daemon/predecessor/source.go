package predecessor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osproxy/osproxy/daemon/meta"
)

// connectTimeout bounds how long a server may take to answer at first,
// closeTimeout how long it is waited for in the end.
const (
	connectTimeout = 10 * time.Second
	closeTimeout   = 5 * time.Second
)

// Source is osproxy's database, as it was at one moment.
type Source struct {
	conn *pgx.Conn
	tx   pgx.Tx
	// coming are rows that were asked for and not all read yet. The server sends
	// them as they are read, and each may have thousands of parts.
	coming pgx.Rows
	// rows are the uids there are, last is the greatest of them that a File can
	// have.
	rows, last int64
}

// selectRows gives each uid once, in their order: of several rows of one uid,
// which only its primary key allows, the first that was uploaded. One sort serves
// all pages, since no index of osproxy's begins with the uid. Parts of merged
// files stay in their table, and are of no use.
const selectRows = `DECLARE files NO SCROLL CURSOR FOR
	SELECT DISTINCT ON (m.uid) m.uid, m.bucket, m.storage_name, m.name, COALESCE(m.md5, ''), COALESCE(m.content_type, ''), m.storage_size,
		COALESCE(m.status, 0), CASE WHEN isfinite(m.created_at) THEN m.created_at END, COALESCE(m.multi_part, false), COALESCE(m.part_num, 0), COALESCE(p.parts, '[]'),
		count(*) OVER same - 1,
		COALESCE(min(m.bucket || '/' || m.storage_name) FILTER (WHERE m.status = 1) OVER same <> max(m.bucket || '/' || m.storage_name) FILTER (WHERE m.status = 1) OVER same, false)
	FROM meta_data_info m
	LEFT JOIN (SELECT storage_uid, json_agg(json_build_object('n', chunk_num, 'b', bucket, 'o', storage_name, 's', storage_size) ORDER BY chunk_num, id)::text AS parts
		FROM multi_part_info WHERE status = 1 AND storage_uid IN (SELECT uid FROM meta_data_info WHERE multi_part AND status = 1)
		GROUP BY storage_uid) p ON p.storage_uid = m.uid
	WINDOW same AS (PARTITION BY m.uid)
	ORDER BY m.uid, (COALESCE(m.status, 0) = 1) DESC, m.id`

// Open opens osproxy's database, for reading alone. Its errors hold no password.
func Open(ctx context.Context, address string) (_ *Source, err error) {
	config, err := meta.ParseURL(address)
	if err != nil {
		return nil, err
	}
	// A pooler may give each transaction another connection.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	s := &Source{}
	if s.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("connect to osproxy's database: %w", err)
	}
	if err = s.begin(ctx); err != nil {
		return nil, errors.Join(explained(err), s.Close())
	}
	return s, nil
}

func (s *Source) begin(ctx context.Context) (err error) {
	if s.tx, err = s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
		return err
	}
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		if _, err := s.tx.Exec(ctx, "SET LOCAL "+name+" = 0"); err != nil {
			return err
		}
	}
	if err := s.tx.QueryRow(ctx, "SELECT count(DISTINCT uid), COALESCE(max(uid) FILTER (WHERE uid <= $1), 0) FROM meta_data_info",
		int64(meta.LastInheritable)).Scan(&s.rows, &s.last); err != nil {
		return err
	}
	_, err = s.tx.Exec(ctx, selectRows)
	return err
}

// explained says what it means that a table or a column is not there.
func explained(err error) error {
	const undefinedTable, undefinedColumn = "42P01", "42703"
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.Code == undefinedTable || e.Code == undefinedColumn) {
		return fmt.Errorf("the database is not osproxy's, or has not been used by it yet: %w", err)
	}
	return fmt.Errorf("read osproxy's database: %w", err)
}

// next gives the next page: rows up to page of them, or to the one with which
// they have pageParts, and none at the end. What the server sent besides stays
// where it is until it is asked for.
func (s *Source) next(ctx context.Context) (list []row, err error) {
	for parts := 0; len(list) < page && parts < pageParts; {
		if s.coming == nil {
			if s.coming, err = s.tx.Query(ctx, "FETCH "+strconv.Itoa(page)+" FROM files"); err != nil {
				return nil, explained(err)
			}
		}
		if !s.coming.Next() {
			fetched, err := s.coming.CommandTag().RowsAffected(), s.coming.Err()
			s.coming = nil
			switch {
			case err != nil:
				return nil, explained(err)
			case fetched == 0:
				return list, nil
			}
			continue
		}
		r, err := scanRow(s.coming)
		if err != nil {
			return nil, explained(err)
		}
		list = append(list, r)
		parts += len(r.parts)
	}
	return list, nil
}

func scanRow(rows pgx.CollectableRow) (r row, err error) {
	var parts string
	var created *time.Time
	if err := rows.Scan(&r.uid, &r.bucket, &r.stored, &r.name, &r.md5, &r.kind, &r.size,
		&r.status, &created, &r.multi, &r.partNum, &parts, &r.others, &r.differ); err != nil {
		return r, err
	}
	// What the wire does not carry is no time; then it is that of the import.
	if created != nil && !created.Before(time.Unix(0, 0)) && created.Before(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)) {
		r.created = *created
	}
	if err := json.Unmarshal([]byte(parts), &r.parts); err != nil {
		return r, fmt.Errorf("parts of %d: %w", r.uid, err)
	}
	return r, nil
}

// Close ends the connection.
func (s *Source) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return s.conn.Close(ctx)
}
