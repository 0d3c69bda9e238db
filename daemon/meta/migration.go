package meta

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// settingMigration names the setting that says which job empties a store, or did.
func settingMigration(store string) string { return "migration/" + store }

// MigrationSubject is the subject of the job that moves what lies in one store
// to another.
func MigrationSubject(from, to string) string { return from + ">" + to }

// MigrationStores are those of MigrationSubject.
func MigrationStores(subject string) (from, to string) {
	from, to, _ = strings.Cut(subject, ">")
	return from, to
}

// bindMigrations has those that move a store, or fill it, wait for another node than
// they do.
func (t *tx) bindMigrations(store string, from, to NodeID) error {
	const text = `SELECT id, subject FROM jobs WHERE state IN ('ready', 'running') AND node <> '' AND node = ? AND kind = ? ORDER BY id`
	var bound []int64
	err := t.each(text, []any{string(from), string(protocol.JobMigrate)}, func(scan scanFunc) error {
		var id int64
		var subject string
		err := scan(&id, &subject)
		if a, b := MigrationStores(subject); a == store || b == store {
			bound = append(bound, id)
		}
		return err
	})
	for _, id := range bound {
		if err == nil {
			_, err = t.exec(`UPDATE jobs SET node = ? WHERE id = ?`, string(to), id)
		}
	}
	return err
}

// BeginMigration has the source be that of the job whose lease ctx carries
// (Fenced), and closes it for the target, as CloseStore does. While another
// migration that has begun and is not over empties one of the two, or fills the
// source, it is KindConflict, and nothing is changed: the one that began first goes
// on, whichever was asked for first. Several may fill one target.
func (db *DB) BeginMigration(ctx context.Context, from, to string) error {
	l, ok := leaseOf(ctx)
	if !ok {
		return broken("a migration was to begin, and no job was named", nil)
	}
	if yes, err := db.Migrates(ctx, from, to); err != nil || yes {
		return err
	}
	return db.unnamed(ctx, "begin a migration", func(t *tx) error {
		all, err := t.migrations()
		if err != nil {
			return err
		}
		for _, m := range all {
			if m.id == l.Job || !MigrationsMeet(m.from, m.to, from, to) {
				continue
			}
			if has, err := t.migrationOf(m.from); err != nil {
				return err
			} else if has == m.id {
				return t.migrationConflict(m.id)
			}
		}
		if err := t.set(settingMigration(from), l.Job.String()); err != nil {
			return err
		}
		return t.closeStore(from, to)
	})
}

// MigrationsMeet reports whether two migrations, from a to b and from c to d,
// cannot go on beside each other: one empties what the other empties or fills.
func MigrationsMeet(a, b, c, d string) bool { return a == c || a == d || b == c }

// Migrates reports whether the job whose lease ctx carries is still the one that
// moves from one store to another: the one is its, and closed for the other.
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
		id, err := q.migrationOf(from)
		yes = id == l.Job
		return err
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
	id, err := q.migrationOf(store)
	return id != 0, err
}

// migrationOf is the migration that empties the store and is not over, 0 for none.
func (q query) migrationOf(store string) (protocol.JobID, error) {
	var text, subject string
	found, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingMigration(store)}, &text)
	if err != nil || !found {
		return 0, err
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, broken(fmt.Sprintf("which job has store %s cannot be read", store), err)
	}
	found, err = q.one(`SELECT subject FROM jobs WHERE id = ? AND kind = ? AND state IN ('ready', 'running')`, []any{id, string(protocol.JobMigrate)}, &subject)
	if from, _ := MigrationStores(subject); err != nil || !found || from != store {
		return 0, err
	}
	return protocol.JobID(id), nil
}

// migrationJob is a migration that is not over.
type migrationJob struct {
	id       protocol.JobID
	from, to string
	runs     bool
}

// migrations lists those that are not over, whether they have begun or not.
func (q query) migrations() (all []migrationJob, err error) {
	err = q.each(`SELECT id, subject, state FROM jobs WHERE kind = ? AND state IN ('ready', 'running') ORDER BY id`, []any{string(protocol.JobMigrate)}, func(scan scanFunc) error {
		var m migrationJob
		var subject string
		var state protocol.JobState
		err := scan(&m.id, &subject, &state)
		m.from, m.to = MigrationStores(subject)
		m.runs = state == protocol.JobRunning
		all = append(all, m)
		return err
	})
	return all, err
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
// over, is in its way.
func (t *tx) refuseBeside(r jobRow) error {
	from, to := MigrationStores(r.n.Subject)
	all, err := t.migrations()
	if err != nil {
		return err
	}
	var other migrationJob
	for _, m := range all {
		if m.id != r.id && MigrationsMeet(m.from, m.to, from, to) && (other.id == 0 || m.runs && !other.runs) {
			other = m
		}
	}
	if other.id == 0 {
		return nil
	}
	return t.migrationConflict(other.id)
}
