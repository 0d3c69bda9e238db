package meta

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/osproxy/osproxy/protocol"
)

const (
	// pgPatience is how long one run of an operation may take, with its wait for
	// a connection. Where the server keeps time it is over before.
	pgPatience = 20 * time.Second
	// pgTries is how often an operation is run that others were in the way of,
	// or whose connection was lost before it changed anything.
	pgTries = 5
)

// pgEngine runs each operation in a transaction of its own, on one of a
// bounded set of connections. Others use the database too.
type pgEngine struct {
	dialect dialect
	clock   func() time.Time
	logger  *slog.Logger
	pool    *sql.DB
	// config is that of a connection beside the pool.
	config *pgx.ConnConfig
	texts  *pgTexts
	// each is what begins transactions behind a pooler.
	each string
	// leaseTime is the statement that gives the time by which leases run.
	leaseTime string
	// node is whose the writes are; nil while nobody's.
	node atomic.Pointer[NodeLease]
	// lanes holds every place of the set.
	lanes  chan *lane
	closed chan struct{}
	// patience is how long one run of an operation may take, resolvePatience how
	// long what became of a commit is asked for after it.
	patience, resolvePatience time.Duration
}

// openPostgres opens the database at cfg.URL. Leases run by the server's clock,
// but in tests that have one of their own.
func openPostgres(ctx context.Context, cfg Config, d dialect) (*DB, error) {
	leaseTime := ""
	if cfg.Clock == nil {
		leaseTime = `SELECT ` + pgNow
	}
	db, err := open(ctx, cfg, d, func(ctx context.Context, cfg Config) (engine, error) {
		address, err := parseAddress(cfg.URL)
		if err != nil {
			return nil, &protocol.Error{Kind: protocol.KindInternal, Op: "open the database", Message: err.Error()}
		}
		if err := pgMigrate(ctx, address, d, cfg); err != nil {
			return nil, d.asError("open the database "+address.name(), err)
		}
		e := &pgEngine{dialect: d, clock: cfg.Clock, logger: cfg.Logger, pool: address.open(), config: address.config, texts: &pgTexts{rebind: d.rebind},
			each: address.each, leaseTime: leaseTime, lanes: make(chan *lane, address.connections), closed: make(chan struct{}), patience: pgPatience, resolvePatience: resolvePatience}
		for range address.connections {
			e.lanes <- &lane{}
		}
		e.removeOldLanes(ctx)
		return e, nil
	})
	return db, advised(err)
}

// open makes the pool; nothing is connected yet. Behind a pooler a connection
// may be told what another asked to hear: it would keep that for ever.
func (a *pgAddress) open() *sql.DB {
	config := a.config.Copy()
	config.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
	pool := stdlib.OpenDB(*config,
		stdlib.OptionAfterConnect(func(_ context.Context, c *pgx.Conn) error {
			c.PgConn().CustomData()[connEnd] = time.Now().Add(pgLifetime - rand.N(pgLifetime/10))
			return nil
		}),
		stdlib.OptionResetSession(func(_ context.Context, c *pgx.Conn) error {
			if end, ok := c.PgConn().CustomData()[connEnd].(time.Time); ok && time.Now().After(end) {
				return driver.ErrBadConn
			}
			return nil
		}))
	pool.SetMaxOpenConns(a.connections)
	pool.SetMaxIdleConns(a.connections)
	return pool
}

// connEnd is what a connection knows its end by.
const connEnd = "ospd.end"

func (e *pgEngine) update(ctx context.Context, w write, name string, fn func(*tx) error) error {
	return e.try(ctx, func(ctx context.Context, l *lane) error { return e.write(ctx, l, w, name, fn) })
}

func (e *pgEngine) read(ctx context.Context, s span, fn func(query) error) error {
	return e.try(ctx, func(within context.Context, _ *lane) error {
		if s == wholeTables {
			within = ctx
		} else if end, bounded := ctx.Deadline(); bounded {
			var cancel context.CancelFunc
			within, cancel = context.WithDeadline(within, end)
			defer cancel()
		}
		return e.look(within, s, fn)
	})
}

// try runs an operation, and again where it was in vain and nothing was
// changed, since others were in the way or the connection was lost. run gets a
// context that does not end with the caller's: what has begun is brought to an
// end, within pgPatience. A read has no longer than the caller gives it.
func (e *pgEngine) try(ctx context.Context, run func(ctx context.Context, l *lane) error) error {
	for tried := 1; ; tried++ {
		err := e.once(ctx, run)
		if err == nil || tried == pgTries {
			return err
		}
		if _, decided := errors.AsType[*protocol.Error](err); decided {
			return err // whatever its cause: of a commit that is not known above all
		}
		pause := 5 * time.Millisecond << tried
		switch e.dialect.classify(err) {
		case failedRace, failedTwice:
		case failedAway:
			if errors.Is(err, errSilent) {
				return err // it was waited for long enough
			}
			pause *= 10 // a server that starts again takes a second or two
		default:
			return err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// once runs an operation with a lane for itself.
func (e *pgEngine) once(ctx context.Context, run func(ctx context.Context, l *lane) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.patience)
	defer cancel()
	select {
	case l := <-e.lanes:
		defer func() { e.lanes <- l }()
		return silentAfter(within, run(within, l))
	case <-e.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-within.Done():
		return errSilent
	}
}

// silentAfter is err, or where the time of within was over, which is not the
// caller's, errSilent. What is decided stays as it is, whatever its cause: of a
// commit that is not known nobody may say that nothing was changed.
func silentAfter(within context.Context, err error) error {
	if _, decided := errors.AsType[*protocol.Error](err); decided {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) && within.Err() != nil {
		return fmt.Errorf("%w: %s", errSilent, err.Error())
	}
	return err
}

// look runs a read on a connection.
func (e *pgEngine) look(ctx context.Context, s span, fn func(query) error) error {
	conn, err := e.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // which only gives it back
	if s == oneStatement {
		return fn(e.query(ctx, conn))
	}
	begin := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" + e.each
	if s == wholeTables {
		begin += "; SET LOCAL statement_timeout = 0"
	}
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	err = fn(e.query(ctx, conn))
	_, rerr := conn.ExecContext(ctx, "ROLLBACK")
	return errors.Join(err, rerr)
}

func (e *pgEngine) query(ctx context.Context, conn *sql.Conn) query {
	return query{ctx: ctx, now: ms(e.clock()), run: pgRunner{conn, e.texts}, leaseTime: e.leaseTime}
}

func (e *pgEngine) ready(ctx context.Context) error {
	var standby bool
	err := e.once(ctx, func(ctx context.Context, _ *lane) error {
		return e.look(ctx, oneStatement, func(q query) error {
			_, err := q.one(`SELECT pg_is_in_recovery()`, nil, &standby)
			return err
		})
	})
	if err == nil && standby {
		err = protocol.Errorf(protocol.KindUnavailable, "the database is a standby and takes no writes")
	}
	return err
}

// changes are not known: other processes write too.
func (e *pgEngine) changes() (uint64, bool) { return 0, false }

func (e *pgEngine) close() error {
	close(e.closed)
	var mine []int64
	for range cap(e.lanes) {
		if l := <-e.lanes; l.id != 0 {
			mine = append(mine, l.id)
		}
	}
	e.removeLanes(mine)
	return e.pool.Close()
}
