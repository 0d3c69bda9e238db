package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osproxy/osproxy/protocol"
)

// pgNoLock: others hold what was asked for without waiting, or for too long.
const pgNoLock = "55P03"

// prepare makes the schema in a database that has nothing in it, and marks it
// as a copy that is not complete. moved is the source's mark, if it has one.
func (t *copyTarget) prepare(ctx context.Context, moved *movedTo) (err error) {
	pool := t.address.unhurried().open()
	defer func() { err = errors.Join(err, pool.Close()) }()
	err = patiently(ctx, t.dialect, func() error { return t.prepareAlone(ctx, pool, moved) })
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == pgNoLock {
		return underWay()
	}
	return err
}

// prepareAlone holds off who makes the schema, and who would open the database
// while it is looked at.
func (t *copyTarget) prepareAlone(ctx context.Context, pool *sql.DB, moved *movedTo) (err error) {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if rerr := tx.Rollback(); !errors.Is(rerr, sql.ErrTxDone) {
			err = errors.Join(err, rerr)
		}
	}()
	if err := pgServer(ctx, tx); err != nil {
		return err
	}
	if err := pgAlone(ctx, tx, t.logger); err != nil {
		return err
	}
	if err := t.refuseForeign(ctx, tx); err != nil {
		return err
	}
	keep, err := t.keepSchema(ctx, pool)
	if err != nil {
		return err
	}
	if err := migrate(ctx, t.dialect, pool, keep, nil); err != nil {
		return err
	}
	if err := t.refuseUsed(ctx, tx, moved); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO settings (name, value) VALUES ('%s', '%s')
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, settingCopy, t.mark(copyUnfinished))); err != nil {
		return err
	}
	return tx.Commit()
}

// pgAllTables are those of nobody's extension.
const pgAllTables = `SELECT relname FROM pg_class c WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
	AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1`

// refuseForeign refuses a database in which there are tables that ospd did not
// make.
func (t *copyTarget) refuseForeign(ctx context.Context, tx *sql.Tx) error {
	tables, err := tablesOf(ctx, tx)
	if err != nil {
		return err
	}
	ours := append(uncopied(), gooseTable)
	for _, table := range copiedTables() {
		ours = append(ours, table.name)
	}
	for _, name := range tables {
		if !slices.Contains(ours, name) || !slices.Contains(tables, gooseTable) {
			return used(fmt.Sprintf("it has a table %.100q that this ospd did not make", name))
		}
	}
	return nil
}

// keepSchema is why an older schema is to stay as it is, which an older ospd may
// work with: "" where there is no more than a copy that was not completed.
func (t *copyTarget) keepSchema(ctx context.Context, pool *sql.DB) (why string, err error) {
	const older = "an older ospd may work with that; make a new database and copy to that"
	var made bool
	if err := pool.QueryRowContext(ctx, `SELECT to_regclass('settings') IS NOT NULL`).Scan(&made); err != nil || !made {
		return older, err
	}
	var mark string
	err = pool.QueryRowContext(ctx, pgMark).Scan(&mark)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !strings.HasPrefix(mark, copyUnfinished+" ") {
		return older, nil
	}
	return "", err
}

// gooseTable is where migrations note themselves.
const gooseTable = "goose_db_version"

func tablesOf(ctx context.Context, tx *sql.Tx) (tables []string, err error) {
	rows, err := tx.QueryContext(ctx, pgAllTables)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		tables = append(tables, name)
	}
	return tables, rows.Err()
}

// refuseUsed refuses a database with more in it than the migrations make and
// the mark of a copy that was not completed.
func (t *copyTarget) refuseUsed(ctx context.Context, tx *sql.Tx, moved *movedTo) error {
	var mark string
	err := tx.QueryRowContext(ctx, pgMark+` FOR UPDATE NOWAIT`).Scan(&mark)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	switch {
	case moved == nil:
	case mark == copyDone+" "+moved.id:
		return protocol.Errorf(protocol.KindConflict, "the metadata was moved to this database already, and all of it is there: put its address into the configuration, db: postgres://…")
	case mark != copyUnfinished+" "+moved.id:
		return refuseMoved(*moved)
	}
	for _, name := range append(uncopied(), namesOf(copiedTables())...) {
		made := ""
		switch name {
		case "settings":
			made = ` WHERE name <> '` + settingCopy + `'`
		case "event_counter":
			made = ` WHERE id <> 1 OR last <> 0`
		}
		var any bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+name+made+`)`).Scan(&any); err != nil {
			return err
		}
		if any {
			return used("its table " + name + " has rows")
		}
	}
	return nil
}

func namesOf(tables []copiedTable) (names []string) {
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

func used(why string) error {
	return protocol.Errorf(protocol.KindConflict, "the database to copy to is not empty: %s; nothing was changed; "+
		"make a new one (CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0) and copy to that", why)
}
