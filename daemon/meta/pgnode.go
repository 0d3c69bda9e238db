package meta

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osproxy/osproxy/protocol"
)

// writeAs has the writes from now on go through lanes of the node's.
func (e *pgEngine) writeAs(l NodeLease) { e.node.Store(&l) }

// pgFenceOff takes the lanes of a holder away. It waits for the transactions
// that have written in them.
func pgFenceOff(t *tx, holder string) error {
	_, err := t.exec(`DELETE FROM lanes WHERE node = ?`, holder)
	return err
}

// makeNodeLane makes a lane of the node's, while its place is its own. The
// place's row is locked meanwhile: whoever takes it over comes after the lane,
// and finds it, or before, and there is none.
func makeNodeLane(ctx context.Context, conn *sql.Conn, node NodeLease) (id int64, err error) {
	err = conn.QueryRowContext(ctx, `WITH place AS (SELECT 1 FROM nodes WHERE name = $1 AND fence = $2 FOR SHARE)
		INSERT INTO lanes (node, used_at) SELECT CAST($3 AS TEXT), `+pgNow+` FROM place RETURNING id`,
		string(node.Node), node.Fence, node.holder()).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errFenced
	}
	return id, err
}

// pgHeld is why the schema is not to be changed: somebody else works on the
// database with the one that it has. "" where nobody does. The lease of the
// node's own last run is waited for: nobody knows whether that lives.
func pgHeld(ctx context.Context, pool *sql.DB, n NewNode, logger *slog.Logger) (string, error) {
	for waited := false; ; waited = true {
		living, err := pgLiving(ctx, pool, n)
		if err != nil || len(living) == 0 {
			return "", err
		}
		by := living[0]
		if waited || by.Node != n.ID || n.ID == "" || len(living) > 1 {
			return by.Error() + " and works with that; stop it first", nil
		}
		logger.Info("waiting until the lease of this node's last run ends", "until", by.Until)
		select {
		case <-time.After(by.Left):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// pgLiving gives who else works on the database, the node's own name last.
// Nothing of it stays locked: a migration may be about that table, and the
// columns are those that it always had.
func pgLiving(ctx context.Context, pool *sql.DB, n NewNode) (living []*NodeHeld, err error) {
	var made bool
	if err := pool.QueryRowContext(ctx, `SELECT to_regclass('nodes') IS NOT NULL`).Scan(&made); err != nil || !made {
		return nil, err
	}
	rows, err := pool.QueryContext(ctx, `SELECT name, boot_id, lease_until, started_at, `+pgNow+` FROM nodes
		WHERE lease_until > `+pgNow+` ORDER BY name = $1, lease_until DESC`, string(n.ID))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r placeRow
		var now int64
		if err := rows.Scan(&r.lease.Node, &r.spot, &r.until, &r.since, &now); err != nil {
			return nil, err
		}
		if !r.mayReturn(n) {
			living = append(living, r.held(now))
		}
	}
	return living, rows.Err()
}

// pgExpel has nobody work with the schema any more that is going to be changed:
// a process whose lease has ended may be stopped, and would go on. Whoever came
// back in between is why the schema stays.
func pgExpel(ctx context.Context, pool *sql.DB, n NewNode) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // where it was not committed
	if _, err := tx.ExecContext(ctx, `UPDATE nodes SET fence = fence + 1, lease_until = LEAST(lease_until, `+pgNow+`) WHERE lease_until <= `+pgNow+` OR name = $1`, string(n.ID)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM lanes WHERE node <> ''`); err != nil {
		return err
	}
	var name string
	err = tx.QueryRowContext(ctx, `SELECT name FROM nodes WHERE lease_until > `+pgNow).Scan(&name)
	if err == nil {
		return protocol.Errorf(protocol.KindUnavailable, "node %s came back to the database while its schema was to be changed, and works with the one that it has; nothing was changed", name)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return tx.Commit()
}

// UsedURL reports whether an ospd has used the Postgres database at the address.
// One that does not exist was not. While the server is away it waits as Open
// does.
func UsedURL(ctx context.Context, address string) (used bool, err error) {
	a, err := parseAddress(address)
	if err != nil {
		return false, err
	}
	d := pgDialect()
	err = patiently(ctx, d, func() (err error) {
		used, err = a.used(ctx)
		return err
	})
	return used, advised(d.asError("look for the database "+a.name(), err))
}

func (a *pgAddress) used(ctx context.Context) (used bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*pgConnectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, a.config.Copy())
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "3D000" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = conn.QueryRow(ctx, `SELECT to_regclass('settings') IS NOT NULL`).Scan(&used)
	return used, errors.Join(err, conn.Close(ctx))
}

// DescribeURL says which database an address is of, without who uses it.
func DescribeURL(address string) string {
	a, err := parseAddress(address)
	if err != nil {
		return "an address of Postgres that cannot be read"
	}
	return "postgres database " + a.name()
}
