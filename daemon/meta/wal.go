package meta

import (
	"context"
	"database/sql"
	"errors"
)

// logCalls are how the writer of SQLite handles its write-ahead log.
type logCalls struct {
	// setDurability says, between transactions, whether commits wait for the
	// disk.
	setDurability func(conn *sql.Conn, d durability) error
	// checkpoint moves the log into the database, with cut until it is empty, or
	// says why it could not.
	checkpoint func(conn *sql.Conn, cut bool) error
}

func sqliteLog() logCalls { return logCalls{sqliteSetDurability, sqliteCheckpoint} }

// sqliteSetDurability never uses a prepared statement: SQLite obeys this
// pragma while it compiles it, so that running it again would do nothing.
func sqliteSetDurability(conn *sql.Conn, d durability) error {
	text := "PRAGMA synchronous=FULL"
	if d != full {
		text = "PRAGMA synchronous=NORMAL"
	}
	_, err := conn.ExecContext(context.Background(), text)
	return err
}

// sqliteCheckpoint does not wait for readers: the writers behind it would. With
// cut the log is emptied, which readers can prevent; without, what they allow is
// moved, so that the log can begin anew.
func sqliteCheckpoint(conn *sql.Conn, cut bool) (err error) {
	ctx := context.Background()
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout=0"); err != nil {
		return err
	}
	defer func() {
		_, rerr := conn.ExecContext(ctx, "PRAGMA busy_timeout=10000")
		err = errors.Join(err, rerr)
	}()
	mode := "PASSIVE"
	if cut {
		mode = "TRUNCATE"
	}
	var busy, logged, moved int64
	if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &logged, &moved); err != nil {
		return err
	}
	if cut && busy != 0 {
		return errors.New("readers are using it")
	}
	return nil
}
