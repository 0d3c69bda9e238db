package meta

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

const (
	// leftFor is how long a node that left is told of, goneFor one that was never heard
	// of again.
	leftFor = time.Hour
	goneFor = 7 * 24 * time.Hour
)

// PruneNodes forgets nodes of a cluster that are gone, and gives how many: those that
// left an hour ago, and those whose lease ended a week ago or which are drained since then, of which nothing is
// needed. That is where something lies on a disk of theirs, an upload has its home
// there, or a job that somebody asked for waits for them. One that comes back
// is as a new one.
func (db *DB) PruneNodes(ctx context.Context) (n int, err error) {
	err = db.update(ctx, full, "forget nodes that are gone", func(t *tx) error {
		n = 0
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		// A row that is locked is being taken.
		gone, err := t.places(`WHERE alone = 0 AND (ending = 1 AND draining = 0 AND lease_until <= ? OR lease_until <= ?) ORDER BY name FOR UPDATE SKIP LOCKED`,
			now-leftFor.Milliseconds(), now-goneFor.Milliseconds())
		if err != nil {
			return err
		}
		for _, r := range gone {
			if needed, err := t.nodeNeeded(r.lease.Node); err != nil || needed {
				if err != nil {
					return err
				}
				continue
			}
			if err := t.endPeriodicOf(r.lease.Node); err != nil {
				return err
			}
			j := joining{tx: t, fenceOff: db.dialect.fenceOff}
			if err := j.vacate(r); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// nodeNeeded reports whether a node may have to come back.
func (q query) nodeNeeded(node NodeID) (bool, error) {
	disks, err := q.disksOf(node)
	if err != nil {
		return false, err
	}
	for _, disk := range disks {
		if found, err := q.one(`SELECT 1 FROM blobs WHERE store = ? LIMIT 1`, []any{disk}, new(int)); err != nil || found {
			return found, err
		}
	}
	for _, text := range [...]string{
		`SELECT 1 FROM uploads WHERE open = 1 AND touched_at >= 0 AND node = ? LIMIT 1`,
		`SELECT 1 FROM jobs WHERE state IN ('ready', 'running') AND node <> '' AND node = ? AND every IS NULL LIMIT 1`,
	} {
		if found, err := q.one(text, []any{string(node)}, new(int)); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// disksOf names the instances of local stores that are a node's: those that it is the
// home of, and those that are called after it.
func (q query) disksOf(node NodeID) (names []string, err error) {
	if err := q.named(settingStoreHome(""), func(name, value string) {
		if value == string(node) {
			names = append(names, name)
		}
	}); err != nil {
		return nil, err
	}
	err = q.named(settingStoreKnown(""), func(name, _ string) {
		if strings.HasSuffix(name, "@"+string(node)) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	})
	return names, err
}

// endPeriodicOf ends what a node does again and again, as nobody does it any more.
func (t *tx) endPeriodicOf(node NodeID) error {
	jobs, err := ids[protocol.JobID](t.query, `SELECT id FROM jobs WHERE state IN ('ready', 'running') AND node <> '' AND node = ? AND every IS NOT NULL ORDER BY id`, string(node))
	if err != nil {
		return err
	}
	for _, id := range jobs {
		r, err := t.lockJob(id)
		if err != nil {
			return err
		}
		if r.every = 0; r.state.Ended() {
			continue
		}
		if err := t.endJob(r, protocol.JobCancelled, "its node is gone"); err != nil {
			return err
		}
	}
	return nil
}
