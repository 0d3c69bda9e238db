package meta

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// settingMigration names the setting that says which job has a store, as the
// source or the target of its migration. It may be over.
func settingMigration(store string) string { return "migration/" + store }

// MigrationSubject is the subject of the job that moves what lies in one store
// to another.
func MigrationSubject(from, to string) string { return from + ">" + to }

// MigrationStores are those of MigrationSubject.
func MigrationStores(subject string) (from, to string) {
	from, to, _ = strings.Cut(subject, ">")
	return from, to
}

// BeginMigration has both stores be those of the job whose lease ctx carries
// (Fenced), and closes one of them for the other, as CloseStore does. While
// another migration that is not over has one of them, it is KindConflict, and
// nothing is changed: the one that began first goes on, whichever was asked for
// first.
func (db *DB) BeginMigration(ctx context.Context, from, to string) error {
	l, ok := leaseOf(ctx)
	if !ok {
		return broken("a migration was to begin, and no job was named", nil)
	}
	if yes, err := db.Migrates(ctx, from, to); err != nil || yes {
		return err
	}
	return db.unnamed(ctx, "begin a migration", func(t *tx) error {
		for _, store := range [...]string{from, to} {
			id, err := t.migrationOf(store)
			if err != nil {
				return err
			}
			if id != 0 && id != l.Job {
				return t.migrationConflict(id)
			}
		}
		for _, store := range [...]string{from, to} {
			if err := t.set(settingMigration(store), l.Job.String()); err != nil {
				return err
			}
		}
		return t.closeStore(from, to)
	})
}

// Migrates reports whether the job whose lease ctx carries is still the one that
// moves from one store to another: both are its, and the one is closed for the
// other.
func (db *DB) Migrates(ctx context.Context, from, to string) (yes bool, err error) {
	l, ok := leaseOf(ctx)
	if !ok {
		return false, broken("a migration was looked for, and no job was named", nil)
	}
	err = db.view(ctx, "look whose a store is", func(q query) error {
		var closedTo string
		found, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingStoreClosed(from)}, &closedTo)
		if yes = found && closedTo == to; err != nil || !yes {
			return err
		}
		if shut, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingStoreClosed(to)}, new(string)); err != nil || shut {
			yes = false
			return err
		}
		for _, store := range [...]string{from, to} {
			id, err := q.migrationOf(store)
			if yes = yes && id == l.Job; err != nil {
				return err
			}
		}
		return nil
	})
	return yes, err
}

// Emptying reports whether the store is the source of a migration that has begun
// and is not over: one that runs, or waits to go on.
func (db *DB) Emptying(ctx context.Context, store string) (yes bool, err error) {
	err = db.view(ctx, "look whether a store is being emptied", func(q query) error {
		yes, err = q.emptying(store)
		return err
	})
	return yes, err
}

func (q query) emptying(store string) (bool, error) {
	id, subject, err := q.migrationAt(store)
	from, _ := MigrationStores(subject)
	return id != 0 && from == store, err
}

// migrationOf is the migration that has the store and is not over, 0 for none.
func (q query) migrationOf(store string) (protocol.JobID, error) {
	id, _, err := q.migrationAt(store)
	return id, err
}

// migrationAt is migrationOf, and its subject.
func (q query) migrationAt(store string) (_ protocol.JobID, subject string, _ error) {
	var text string
	found, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingMigration(store)}, &text)
	if err != nil || !found {
		return 0, "", err
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, "", broken(fmt.Sprintf("which job has store %s cannot be read", store), err)
	}
	found, err = q.one(`SELECT subject FROM jobs WHERE id = ? AND kind = ? AND state IN ('ready', 'running')`, []any{id, string(protocol.JobMigrate)}, &subject)
	if err != nil || !found {
		return 0, "", err
	}
	return protocol.JobID(id), subject, nil
}

// migrationConflict says that another migration is in the way.
func (q query) migrationConflict(id protocol.JobID) error {
	j, err := q.job(AnyOwner, id)
	if err != nil {
		return err
	}
	from, to := MigrationStores(j.Subject)
	is := "waits to go on"
	if j.State == protocol.JobRunning {
		is = "runs"
	}
	return &protocol.Error{Kind: protocol.KindConflict,
		Message: fmt.Sprintf("job %d, which migrates from %s to %s, %s, and it goes first; nothing was changed", id, from, to, is),
		Hint:    fmt.Sprintf("`osp admin jobs follow %d` waits for its end, `osp admin jobs cancel %d` ends it.", id, id)}
}

// refuseBeside refuses to have a migration go on while another one, which is not
// over, is about one of its stores.
func (t *tx) refuseBeside(r jobRow) error {
	from, to := MigrationStores(r.n.Subject)
	var other protocol.JobID
	var runs bool
	err := t.each(`SELECT id, subject, state FROM jobs WHERE kind = ? AND state IN ('ready', 'running') AND id <> ? ORDER BY id`,
		[]any{string(protocol.JobMigrate), int64(r.id)}, func(scan scanFunc) error {
			var id protocol.JobID
			var subject string
			var state protocol.JobState
			if err := scan(&id, &subject, &state); err != nil {
				return err
			}
			a, b := MigrationStores(subject)
			touches := slices.Contains([]string{from, to}, a) || slices.Contains([]string{from, to}, b)
			if running := state == protocol.JobRunning; touches && (other == 0 || running && !runs) {
				other, runs = id, running
			}
			return nil
		})
	if err != nil || other == 0 {
		return err
	}
	return t.migrationConflict(other)
}
