package meta

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// jobsChannel is where daemons tell each other that jobs are due.
	jobsChannel = "ospd_jobs"
	// tellPause is from one telling to the next: what comes meanwhile is told at
	// once. A transaction that notifies holds a lock of the whole server while
	// it commits, so that none does but one of its own, and not often.
	tellPause = 10 * time.Millisecond
	// listenPause is how long after a lost connection there is another.
	listenPause = time.Second
)

// pgSignals carry word by LISTEN and NOTIFY. Behind a pooler that gives each
// transaction another connection nothing is heard; then queues look by
// themselves.
type pgSignals struct {
	engine *pgEngine
	// name is this process's, whose own words are not for it.
	name string
	due  chan struct{}
	end  context.CancelFunc
	wg   sync.WaitGroup
}

func (e *pgEngine) signals(heard func()) signals {
	ctx, end := context.WithCancel(context.Background())
	s := &pgSignals{engine: e, name: rand.Text(), due: make(chan struct{}, 1), end: end}
	s.wg.Go(func() { s.tellAll(ctx) })
	s.wg.Go(func() { s.hearAll(ctx, heard) })
	return s
}

func (s *pgSignals) tell() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

func (s *pgSignals) stop() {
	s.end()
	s.wg.Wait()
}

// tellAll tells the others, on a connection of its own for each time.
func (s *pgSignals) tellAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.due:
		}
		s.tellOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(tellPause):
		}
	}
}

func (s *pgSignals) tellOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pgConnectTimeout)
	defer cancel()
	if _, err := s.engine.pool.ExecContext(ctx, `SELECT pg_notify('`+jobsChannel+`', '`+s.name+`')`); err != nil && ctx.Err() == nil {
		s.engine.logger.Debug("tell other daemons of jobs; they find them by themselves", "error", err)
	}
}

// hearAll hears the others, and looks for another connection where one is lost.
func (s *pgSignals) hearAll(ctx context.Context, heard func()) {
	for {
		err := s.hear(ctx, heard)
		if ctx.Err() != nil {
			return
		}
		s.engine.logger.Debug("hear of other daemons' jobs; they are found without", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenPause):
		}
	}
}

// hear hears until the connection fails. What was told before it stood was
// missed, and may be found by looking.
func (s *pgSignals) hear(ctx context.Context, heard func()) error {
	conn, err := pgx.ConnectConfig(ctx, s.engine.config.Copy())
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pgConnectTimeout)
		defer cancel()
		_ = conn.Close(ctx) // it is of no use any more
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+jobsChannel); err != nil {
		return err
	}
	for heard(); ; {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if n.Payload != s.name {
			heard()
		}
	}
}
