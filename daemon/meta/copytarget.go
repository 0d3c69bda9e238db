package meta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osproxy/osproxy/protocol"
)

// copyTarget is the database that the metadata is copied to.
type copyTarget struct {
	address pgAddress
	dialect dialect
	logger  *slog.Logger
	// id is of this copy, and the target's mark has it. One that was killed at its
	// commit goes on with its own.
	id string
	// conn is that of the one transaction which copies.
	conn *pgx.Conn
}

func (t *copyTarget) asError(err error) error {
	return t.dialect.asError("copy to "+t.address.name(), err)
}

// begin opens the transaction, which nothing but its end bounds, and holds the
// mark in it. What a copy that was killed left on the disk goes.
func (t *copyTarget) begin(ctx context.Context) (err error) {
	if t.conn, err = pgx.ConnectConfig(ctx, t.address.unhurried().config); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if _, err := t.conn.Exec(ctx, `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on;
		SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN
			('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`); err != nil {
		return err
	}
	var mark string
	if err := t.conn.QueryRow(ctx, pgMark+` FOR UPDATE NOWAIT`).Scan(&mark); err != nil {
		return err
	}
	if mark != t.mark(copyUnfinished) {
		return underWay()
	}
	tables := slices.DeleteFunc(namesOf(copiedTables()), func(name string) bool { return name == "settings" }) // which has the mark
	_, err = t.conn.Exec(ctx, `TRUNCATE `+strings.Join(tables, ", "))
	return err
}

// pgMark reads the target's mark.
const pgMark = `SELECT value FROM settings WHERE name = '` + settingCopy + `'`

func (t *copyTarget) mark(state string) string { return state + " " + t.id }

func underWay() error {
	return protocol.Errorf(protocol.KindConflict, "another copy to this database is under way, nothing was changed")
}

// receive copies a batch of rows.
func (t *copyTarget) receive(ctx context.Context, table copiedTable, rows *sourceRows) error {
	_, err := t.conn.CopyFrom(ctx, pgx.Identifier{table.name}, table.columns, rows)
	return err
}

// numberBehind has rows numbered behind the last id that there was.
func (t *copyTarget) numberBehind(ctx context.Context, table copiedTable, last int64) error {
	_, err := t.conn.Exec(ctx, fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('%s', 'id'), %d, %t)`, table.name, max(last, 1), last > 0))
	return err
}

// read reads a table back.
func (t *copyTarget) read(ctx context.Context, table copiedTable) (pgx.Rows, error) {
	return t.conn.Query(ctx, table.selected())
}

// analyze has the server know how much there is: it reads large tables by their
// index then, and who opens the database finds its statements planned well.
func (t *copyTarget) analyze(ctx context.Context) error {
	_, err := t.conn.Exec(ctx, `ANALYZE `+strings.Join(namesOf(copiedTables()), ", "))
	return err
}

// finish does what is left but for the commit. From here on the transaction
// must end soon: where this process is gone without a word the server ends it,
// so that what became of it can be found out.
func (t *copyTarget) finish(ctx context.Context) error {
	tag, err := t.conn.Exec(ctx, fmt.Sprintf(`UPDATE settings SET value = '%s' WHERE name = '%s'`, t.mark(copyDone), settingCopy))
	if err == nil && tag.RowsAffected() != 1 {
		err = underWay()
	}
	if err == nil {
		_, err = t.conn.Exec(ctx, `SET LOCAL idle_in_transaction_session_timeout = '`+t.address.idleTimeout()+`'`)
	}
	return err
}

// claimHomes has stores be at home with nodes.
func (t *copyTarget) claimHomes(ctx context.Context, homes map[string]NodeID) error {
	for store, node := range homes {
		if _, err := t.conn.Exec(ctx, `INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, settingStoreHome(store), string(node)); err != nil {
			return err
		}
	}
	return nil
}

// claimFolders has the names of folders' files say whose folders they are
// (ImportObject.From), so that they are known when they are imported again.
func (t *copyTarget) claimFolders(ctx context.Context, node NodeID) error {
	if node == "" {
		return nil
	}
	_, err := t.conn.Exec(ctx, `UPDATE files SET imported_from = 'dir@' || $1::text || substr(imported_from, 4) WHERE imported_from LIKE 'dir:%'`, string(node))
	return err
}

// commit ends the transaction, whether or not ctx does. known says that err is
// what became of it.
func (t *copyTarget) commit(ctx context.Context) (known bool, err error) {
	ctx = context.WithoutCancel(ctx)
	within, cancel := context.WithTimeout(ctx, pgPatience)
	defer cancel()
	tag, err := t.conn.Exec(within, "COMMIT")
	if err == nil && tag.String() == "COMMIT" {
		return true, nil
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); err == nil || ok && severity(e) == "ERROR" {
		return true, errors.Join(err, protocol.Errorf(protocol.KindInternal, "the copy was not committed; the source is as it was"))
	}
	t.close()
	return t.resolve(ctx, err)
}

// resolve asks what became of a commit whose answer was lost. It locks the
// mark, which the transaction holds until it has ended.
func (t *copyTarget) resolve(ctx context.Context, cause error) (known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()
	for {
		mark, err := t.askMark(ctx)
		switch {
		case err == nil && mark == t.mark(copyDone):
			return true, nil
		case err == nil:
			return true, fmt.Errorf("%w: %s", errLost, cause.Error())
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return false, &protocol.Error{Kind: protocol.KindInternal, Err: errors.Join(cause, err),
				Message: "the connection was lost while the copy was committed, and the database could not be asked since; run the same command again once it answers: " +
					"until then nothing is served from either"}
		}
	}
}

func (t *copyTarget) askMark(ctx context.Context) (mark string, err error) {
	conn, err := pgx.ConnectConfig(ctx, t.address.unhurried().config)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	err = conn.QueryRow(ctx, pgMark+` FOR UPDATE`).Scan(&mark)
	return mark, err
}

// close ends the connection, and with it a transaction that was not committed.
func (t *copyTarget) close() {
	ctx, cancel := context.WithTimeout(context.Background(), pgConnectTimeout)
	defer cancel()
	_ = t.conn.Close(ctx) // which was lost, or is of no use any more
}
