package meta

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

const (
	// groupMax bounds how many operations wait for one commit.
	groupMax = 256
	// walMax is the length of the write-ahead log from which the writer
	// insists on a checkpoint; passive ones keep it far below unless readers
	// never rest.
	walMax = 64 << 20
	// groupsPerCheckpoint is after how many groups what is in the log is moved
	// into the database: some megabytes.
	groupsPerCheckpoint = 250
)

// operation is one caller's share of a group.
type operation struct {
	durability durability
	name       string
	fn         func(*tx) error
	// taken is set by whoever decides first: the writer, that it runs, or its
	// caller, that it does not.
	taken atomic.Bool
	err   error
	done  chan struct{}
}

// writer owns the only connection that writes, and the goroutine that uses
// it. It takes all operations that wait, runs each in a savepoint of one
// transaction, commits, and answers them all: the disk is synced once for the
// group, and an operation that fails undoes only itself.
type writer struct {
	*session
	log     logCalls
	clock   func() time.Time
	logger  *slog.Logger
	walPath string

	mu     sync.Mutex
	queue  []*operation
	closed bool
	wake   chan struct{}
	ended  chan struct{}

	// The rest belongs to the goroutine.
	durability durability
	// checkpointAt is the length of the log at which the next checkpoint is due.
	checkpointAt int64
	// groups counts those since the last checkpoint.
	groups int

	// changes counts the groups that ran; it is raised before what they did is
	// acknowledged.
	changes atomic.Uint64
	// broken is the error after which nothing is written any more.
	broken atomic.Pointer[protocol.Error]
}

func startWriter(s *session, log logCalls, cfg Config) *writer {
	w := &writer{session: s, log: log, clock: cfg.Clock, logger: cfg.Logger, walPath: cfg.Path + "-wal",
		wake: make(chan struct{}, 1), ended: make(chan struct{}), checkpointAt: walMax}
	go w.run()
	return w
}

// update runs fn in the next group and returns when the group is committed.
// A caller whose context ends while the operation waits gets the context's
// error and the operation never runs; once it runs, its outcome is awaited.
func (w *writer) update(ctx context.Context, d durability, name string, fn func(*tx) error) error {
	op := &operation{durability: d, name: name, fn: fn, done: make(chan struct{})}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.enqueue(op); err != nil {
		return err
	}
	select {
	case <-op.done:
	case <-ctx.Done():
		if op.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-op.done
	}
	return op.err
}

func (w *writer) enqueue(op *operation) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	w.queue = append(w.queue, op)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// stop lets what waits run, then ends the goroutine. The session stays open.
func (w *writer) stop() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.wake)
	}
	w.mu.Unlock()
	<-w.ended
}

func (w *writer) run() {
	defer close(w.ended)
	for open := true; open; {
		_, open = <-w.wake
		for group := w.take(); len(group) > 0; group = w.take() {
			err := w.runGroup(group)
			w.changes.Add(1)
			for _, op := range group {
				if err != nil {
					op.err = err
				}
				close(op.done)
			}
			w.checkpoint()
		}
	}
}

// take claims the operations that run together next, and forgets those that
// their callers gave up.
func (w *writer) take() (group []*operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for ; n < len(w.queue) && len(group) < groupMax; n++ {
		if op := w.queue[n]; op.taken.CompareAndSwap(false, true) {
			group = append(group, op)
		}
	}
	w.queue = slices.Delete(w.queue, 0, n)
	return group
}

// runGroup runs the operations in one transaction. The error it returns is
// every operation's: the transaction did not happen.
func (w *writer) runGroup(group []*operation) error {
	if e := w.broken.Load(); e != nil {
		return e
	}
	d := relaxed
	for _, op := range group {
		d = min(d, op.durability)
	}
	err := w.begin(d)
	for i := 0; err == nil && i < len(group); i++ {
		err = w.runOne(group[i])
	}
	if err == nil {
		err = w.exec("COMMIT")
	}
	if err == nil {
		w.groups++
		return nil
	}
	if rerr := w.exec("ROLLBACK"); rerr != nil {
		// SQLite ends the transaction itself on some errors; then there is
		// none to roll back.
		w.logger.Debug("roll back a group", "error", rerr)
	}
	return w.breaks(err)
}

// breaks ends all writing where err means that the database or its disk is
// damaged.
func (w *writer) breaks(err error) error {
	if w.dialect.classify(err) != failedBroken {
		return err
	}
	e := broken("the database cannot be written; the daemon takes no more changes until it is restarted, which also shows whether the last ones took effect", err)
	w.broken.CompareAndSwap(nil, e)
	w.logger.Error("writing the database failed, no more writes", "error", err)
	return e
}

// begin opens a transaction whose commit waits for the disk only if one of
// the operations needs it.
func (w *writer) begin(d durability) error {
	if d != w.durability {
		if err := w.log.setDurability(w.conn, d); err != nil {
			return err
		}
		w.durability = d
	}
	return w.exec("BEGIN IMMEDIATE")
}

// runOne runs an operation in a savepoint. The operation's own failure stays
// with it; an error that is returned is the end of the group.
func (w *writer) runOne(op *operation) error {
	if err := w.exec("SAVEPOINT operation"); err != nil {
		return err
	}
	op.err = w.call(op)
	if op.err == nil {
		return w.exec("RELEASE operation")
	}
	if w.dialect.classify(op.err) == failedBroken {
		return op.err
	}
	if err := w.exec("ROLLBACK TO operation"); err != nil {
		// The database ended the whole transaction: op.err says why.
		return op.err
	}
	return w.exec("RELEASE operation")
}

// call runs an operation. A context that can end would interrupt statements,
// and an interrupted one rolls the whole group back.
func (w *writer) call(op *operation) error {
	return shielded(w.logger, op.name, func() error {
		return op.fn(&tx{query: query{ctx: context.Background(), now: ms(w.clock()), run: w.session}})
	})
}

// checkpoint moves the log into the database every so often, and insists where
// it grew too long all the same. Readers can make that impossible for a while;
// it is tried again when the log has grown by as much again.
//
// A checkpoint syncs the log first. Where that fails, frames that were written
// and not yet synced are gone although the next sync will succeed: what is
// acknowledged after them would be lost with a power cut, so no more is.
func (w *writer) checkpoint() {
	info, err := os.Stat(w.walPath)
	if err != nil || w.broken.Load() != nil {
		return
	}
	cut := info.Size() >= w.checkpointAt
	if !cut && w.groups < groupsPerCheckpoint {
		return
	}
	w.groups = 0
	err = w.log.checkpoint(w.conn, cut)
	switch {
	case err == nil && cut:
		w.checkpointAt = walMax
	case err != nil && w.dialect.classify(err) == failedBroken:
		_ = w.breaks(err) // it is kept for the next group
	case err != nil:
		w.checkpointAt = info.Size() + walMax
		w.logger.Warn("the database's log could not be cut", "bytes", info.Size(), "error", err)
	}
}
