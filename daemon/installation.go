package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

// Stage is where starting stopped; an operator's script branches on it.
type Stage string

// The stages of a start.
const (
	StageConfig   Stage = "configuration"
	StageLock     Stage = "data folder"
	StageDatabase Stage = "database"
	StageStore    Stage = "store"
	StageListener Stage = "listener"
	StageDrain    Stage = "drain"
)

// Error says at which stage the daemon failed.
type Error struct {
	Stage Stage
	Err   error
}

func (e *Error) Error() string { return string(e.Stage) + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

func at(stage Stage, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Stage: stage, Err: err}
}

// Installation is a data folder that this process has for itself: the lock,
// the database and the stores, all of them known to belong together. A database
// that others can reach is this process's for itself too.
type Installation struct {
	ServerID string
	// Node is the id of the data folder, "" where it was not needed.
	Node meta.NodeID
	DB   *meta.DB
	// Stores are this node's, by the names of its instances.
	Stores map[string]*store.Store

	// instances are these names by the configured ones, homes the nodes that are
	// the homes of local stores.
	instances map[string]string
	homes     map[string]meta.NodeID
	// takes are the stores that this node takes over, and from which one; nothing is
	// written of that before they are open (takeHomes).
	takes map[string]meta.NodeID

	// awaited are the stores that could not be reached when they were opened.
	awaited []claim

	lock *flock.Flock
	// place is nil where the lock on the data folder is the one on the database.
	place *place
}

// observer makes what is told about each operation of the store called name.
type observer func(name string) store.Options

// unobserved has nothing told.
func unobserved(string) store.Options { return store.Options{} }

// OpenInstallation takes the data folder. Where create is false no database is
// made: one that no ospd has used is an error; and every store has to answer, of
// which else those that cannot be reached are awaited (await).
// From then on the stores of cfg go by the names of this node's instances
// (nameStores).
func OpenInstallation(ctx context.Context, cfg *Config, create bool, log *slog.Logger, observe observer) (_ *Installation, err error) {
	if !create {
		if err := cfg.isUsed(ctx); err != nil {
			return nil, err
		}
	}
	if create || cfg.DB.shared() { // a lock needs a place, wherever the database is
		if err := cfg.makeData(); err != nil {
			return nil, at(StageDatabase, err)
		}
	}
	in := &Installation{Stores: map[string]*store.Store{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.Close())
		}
	}()
	if in.lock, err = lockData(cfg.Data); err != nil {
		return nil, at(StageLock, err)
	}
	if create || cfg.DB.shared() {
		if in.Node, err = nodeID(cfg.Data); err != nil {
			return nil, at(StageLock, err)
		}
	}
	database := cfg.metadata(log)
	database.Node = cfg.newNode(in.Node)
	if in.DB, err = meta.Open(ctx, database); err != nil {
		return nil, at(StageDatabase, err)
	}
	if cfg.DB.shared() {
		if in.place, err = takePlace(ctx, in.DB, database.Node, log); err != nil {
			return nil, at(StageDatabase, err)
		}
	}
	if in.ServerID, err = in.DB.ServerID(ctx); err != nil {
		return nil, at(StageDatabase, err)
	}
	if err := in.equalStores(ctx, cfg, create, log); err != nil {
		return nil, at(StageStore, err)
	}
	if err := in.nameStores(ctx, cfg, create); err != nil {
		return nil, at(StageStore, err)
	}
	if err := in.openStores(ctx, *cfg, create, log, observe); err != nil {
		return nil, at(StageStore, err)
	}
	if create {
		err = in.takeHomes(ctx)
	}
	return in, at(StageStore, err)
}

// lockName is the file in a data folder that whoever uses it has locked.
const lockName = "lock"

// lockData makes sure that one process uses a data folder. The lock goes with
// the process, however it ends.
func lockData(data string) (*flock.Flock, error) {
	l := flock.New(filepath.Join(data, lockName), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", data, err)
	}
	if !ok {
		return nil, fmt.Errorf("%w on %s; stop it first, or give this one a data folder of its own with --data", ErrRunning, data)
	}
	return l, nil
}

// lost is closed when another process has taken over the database.
func (in *Installation) lost() <-chan struct{} {
	if in.place == nil {
		return nil
	}
	return in.place.held.Done()
}

// holds makes sure that no other process has the place of this one, and that none
// can have it for the time of a lease.
func (in *Installation) holds(ctx context.Context) error {
	if in.place == nil {
		return nil
	}
	return in.place.renew(ctx)
}

// drained reports whether the node was to take nothing new when it started.
func (in *Installation) drained() bool { return in.place != nil && in.place.lease.Draining }

// worker is the number in the uids that this process mints.
func (in *Installation) worker() int {
	if in.place == nil {
		return 0
	}
	return in.place.lease.Worker
}

// clockOff says by how much the clock is off that of the database, "" where it
// is right.
func (in *Installation) clockOff() string {
	if in.place == nil {
		return ""
	}
	return in.place.clockOff()
}

// tell has report asked, now and at each renewal of the lease, for what other
// nodes are told of this one.
func (in *Installation) tell(report func() meta.NodeReport) {
	if in.place != nil {
		in.place.tell(report)
	}
}

// within ends ctx when the database is lost. ended gives that as the error, in
// place of what followed from it.
func (in *Installation) within(ctx context.Context) (_ context.Context, ended func(err error) error) {
	if in.place == nil {
		return ctx, func(err error) error { return err }
	}
	ctx, cancel := context.WithCancelCause(ctx)
	forget := context.AfterFunc(in.place.held, func() { cancel(errPlaceLost) })
	return ctx, func(err error) error {
		forget()
		cancel(nil)
		if in.place.held.Err() != nil {
			return at(StageDatabase, errPlaceLost)
		}
		return err
	}
}

// Close gives the folder back. It returns everything that failed.
func (in *Installation) Close() error {
	var errs []error
	for _, st := range in.Stores {
		errs = append(errs, st.Close())
	}
	if in.place != nil {
		in.place.leave()
	}
	if in.DB != nil {
		errs = append(errs, in.DB.Close())
	}
	if in.lock != nil {
		errs = append(errs, in.lock.Unlock())
	}
	return errors.Join(errs...)
}
