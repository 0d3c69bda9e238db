package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

const (
	// pgMigrationLock is the key of the advisory lock of whoever looks at the
	// schema.
	pgMigrationLock     = 0x6f737064 // "ospd"
	pgMigrationPatience = 10 * time.Minute
	pgMigrationPause    = 50 * time.Millisecond
	// pgOldest is the oldest version of Postgres, as it gives it.
	pgOldest = 140000
)

// pgMigrate brings the schema up to date. One process at a time does, under a
// lock that ends with a transaction: it goes with the connection, and a pooler
// does not lose it.
func pgMigrate(ctx context.Context, a pgAddress, d dialect, cfg Config) (err error) {
	pool := a.unhurried().open()
	defer func() { err = errors.Join(err, pool.Close()) }()
	return patiently(ctx, d, func() error { return pgMigrateAlone(ctx, pool, d, cfg) })
}

// unhurried is the database without bounds on how long statements take. A client
// that is gone without a word, which might hold the lock, is missed by the server
// in a minute, where no pooler stands between.
func (a *pgAddress) unhurried() *pgAddress {
	u := pgAddress{config: a.config.Copy(), connections: 2}
	params := u.config.RuntimeParams
	for _, s := range pgSettings {
		if _, direct := params[s[0]]; direct {
			params[s[0]] = "0"
			params["tcp_keepalives_idle"], params["tcp_keepalives_interval"], params["tcp_keepalives_count"] = "30", "10", "3"
		}
	}
	return &u
}

func pgMigrateAlone(ctx context.Context, pool *sql.DB, d dialect, cfg Config) (err error) {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	if err := pgServer(ctx, tx); err != nil {
		return err
	}
	if err := pgAlone(ctx, tx, cfg.Logger); err != nil {
		return err
	}
	keep := cfg.keepSchema()
	if keep == "" {
		if keep, err = pgHeld(ctx, pool, cfg.Node, cfg.Logger); err != nil {
			return err
		}
	}
	return migrate(ctx, d, pool, keep, func() error { return pgExpel(ctx, pool, cfg.Node) })
}

// pgServer refuses a server on which ospd does not run.
func pgServer(ctx context.Context, tx *sql.Tx) error {
	var version int
	var name, encoding string
	var standby bool
	if err := tx.QueryRowContext(ctx, `SELECT CAST(current_setting('server_version_num') AS INTEGER), current_setting('server_version'),
		current_setting('server_encoding'), pg_is_in_recovery()`).Scan(&version, &name, &encoding, &standby); err != nil {
		return err
	}
	if version < pgOldest {
		return protocol.Errorf(protocol.KindInternal, "the server is Postgres %s, ospd needs %d or newer; nothing was changed", name, pgOldest/10000)
	}
	if encoding != "UTF8" {
		return &protocol.Error{Kind: protocol.KindInternal, Message: "the database's encoding is " + encoding + ", ospd needs UTF8; nothing was changed",
			Hint: "Make one with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0."}
	}
	if standby {
		return errStandby
	}
	return nil
}

// pgAlone waits for the lock, as long as a migration may take: whoever holds it
// may have been stopped in the middle.
func pgAlone(ctx context.Context, tx *sql.Tx, logger *slog.Logger) error {
	for began, told := time.Now(), false; ; told = true {
		var locked bool
		if err := tx.QueryRowContext(ctx, fmt.Sprintf(`SELECT pg_try_advisory_xact_lock(%d)`, pgMigrationLock)).Scan(&locked); locked || err != nil {
			return err
		}
		if !told {
			logger.Info("waiting for another ospd that looks at the database's schema")
		}
		if time.Since(began) > pgMigrationPatience {
			return &protocol.Error{Kind: protocol.KindUnavailable, Message: "another ospd has looked at the database's schema for " + pgMigrationPatience.String() + "; nothing was changed",
				Hint: "Look for an ospd that starts and gets no further, and end it; pg_locks has its session, by the advisory lock."}
		}
		select {
		case <-time.After(pgMigrationPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
