package meta

import (
	"context"

	"github.com/osproxy/osproxy/protocol"
)

// DrainNode says whether a node is to take nothing new, from now on and until it
// is said otherwise, also when it was started again. One that nobody knows is
// KindNotFound. The last one that lives and takes what is new is KindConflict, and
// goes on; of several that are drained at once one is the last.
func (db *DB) DrainNode(ctx context.Context, id NodeID, drain bool) error {
	return db.update(ctx, full, "drain a node", func(t *tx) error {
		// Who takes a place, or drains another node, comes before or after.
		if _, err := t.counter(settingFence, func(old int64) int64 { return old }); err != nil {
			return err
		}
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		var living, draining bool
		found, err := t.one(`SELECT lease_until > ?, draining = 1 FROM nodes WHERE name = ?`, []any{now, string(id)}, &living, &draining)
		if err != nil {
			return err
		}
		if !found {
			return NoNode()
		}
		if drain && living && !draining {
			if err := t.othersTake(id, now); err != nil {
				return err
			}
		}
		_, err = t.exec(`UPDATE nodes SET draining = ? WHERE name = ?`, flag(drain), string(id))
		return err
	})
}

// othersTake is KindConflict where no other node takes what is new.
func (t *tx) othersTake(id NodeID, now int64) error {
	found, err := t.one(`SELECT name FROM nodes WHERE name <> ? AND lease_until > ? AND draining = 0 AND ending = 0 LIMIT 1`, []any{string(id), now}, new(string))
	if err != nil || found {
		return err
	}
	return &protocol.Error{Kind: protocol.KindConflict, Message: "this is the last node that lives and takes what is new; nothing was changed, and it goes on taking it",
		Hint: "Start another node first, or undrain one. To stop this one all the same send it SIGTERM: it ends what it has begun."}
}

// OpenUploadsOn is how many uploads are open whose home is the node: their bytes lie
// on its disk.
func (db *DB) OpenUploadsOn(ctx context.Context, id NodeID) (n int64, err error) {
	err = db.look(ctx, "count the open uploads of a node", func(q query) error {
		_, err := q.one(`SELECT COUNT(*) FROM uploads WHERE node = ? AND open = 1`, []any{string(id)}, &n)
		return err
	})
	return n, err
}

// NoNode is the error of whoever asks for a node that nobody knows.
func NoNode() error {
	return &protocol.Error{Kind: protocol.KindNotFound, Message: "there is no node of that id; nothing was changed", Hint: "osp admin nodes lists them."}
}
