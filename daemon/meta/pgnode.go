package meta

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// writeAs has the writes from now on go through lanes of the node's.
func (e *pgEngine) writeAs(l NodeLease) { e.node.Store(&l) }

// pgFenceOff takes the lanes of a holder away. It waits for the transactions
// that have written in them.
func pgFenceOff(t *tx, holder string) error {
	_, err := t.exec(`DELETE FROM lanes WHERE node = ?`, holder)
	return err
}

// makeNodeLane makes a lane of the node's, while the place is its. The place's
// row is locked meanwhile: whoever takes it over comes after the lane, and
// finds it, or before, and there is none.
func makeNodeLane(ctx context.Context, conn *sql.Conn, node NodeLease) (id int64, err error) {
	err = conn.QueryRowContext(ctx, `WITH place AS (SELECT 1 FROM nodes WHERE worker = $1 AND name = $2 AND fence = $3 FOR SHARE)
		INSERT INTO lanes (node, used_at) SELECT CAST($4 AS TEXT), `+pgNow+` FROM place RETURNING id`,
		int64(placeWorker), string(node.Node), node.Fence, node.holder()).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errFenced
	}
	return id, err
}

// pgHeld is why the schema is not to be changed: somebody else works on the
// database with the one that it has. "" where nobody does. The lease of the
// node's own last run is waited for: nobody knows whether that lives.
func pgHeld(ctx context.Context, pool *sql.DB, n NewNode, logger *slog.Logger) (string, error) {
	by, left, err := pgPlace(ctx, pool)
	if err == nil && left > 0 && by.lease.Node == n.ID && !by.mayReturn(n) {
		logger.Info("waiting until the lease of this node's last run ends", "until", timeOf(by.until))
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return "", ctx.Err()
		}
		by, left, err = pgPlace(ctx, pool)
	}
	if err != nil || left <= 0 || by.mayReturn(n) {
		return "", err
	}
	return by.held(left.Milliseconds()).Error() + " and works with that; stop it first", nil
}

// pgPlace gives who has the place, and for how long still. Nothing of it stays
// locked: a migration may be about that table.
func pgPlace(ctx context.Context, pool *sql.DB) (by placeRow, left time.Duration, err error) {
	var made bool
	if err := pool.QueryRowContext(ctx, `SELECT to_regclass('nodes') IS NOT NULL`).Scan(&made); err != nil || !made {
		return by, 0, err
	}
	var ms int64
	err = pool.QueryRowContext(ctx, `SELECT name, boot_id, lease_until, started_at, lease_until - `+pgNow+` FROM nodes WHERE worker = $1`, int64(placeWorker)).
		Scan(&by.lease.Node, &by.spot, &by.until, &by.since, &ms)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return by, time.Duration(ms) * time.Millisecond, err
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
