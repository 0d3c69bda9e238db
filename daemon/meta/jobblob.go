package meta

import (
	"context"

	"github.com/osproxy/osproxy/protocol"
)

// AddJobBlob makes the row of a blob that the job whose lease ctx carries
// (Fenced) is about to write. The row is on the disk when AddJobBlob returns, so
// that the object may be made. It stays the job's over all its attempts, until
// MoveExtents makes it live or DropBlob gives it up; the sweep dooms it once the
// job has ended. A store that is closed is ErrStoreClosed.
func (db *DB) AddJobBlob(ctx context.Context, b NewBlob) (BlobID, error) {
	return db.addJobBlob(ctx, func(t *tx, job protocol.JobID) (BlobID, error) {
		return t.nameBlob(b, ownerJob, int64(job))
	})
}

// AddJoinedBlob is AddJobBlob of an object that takes the place of others of one
// content in their own store. Those lie there also where it is closed and nobody
// moves them away, since the migration was cancelled or is dead: it is
// ErrStoreClosed only while the store is Emptying.
func (db *DB) AddJoinedBlob(ctx context.Context, b NewBlob) (BlobID, error) {
	return db.addJobBlob(ctx, func(t *tx, job protocol.JobID) (BlobID, error) {
		yes, err := t.emptying(b.Store)
		if err == nil && yes {
			err = storeClosed()
		}
		if err != nil {
			return 0, err
		}
		return t.addBlob(b, ownerJob, int64(job))
	})
}

func (db *DB) addJobBlob(ctx context.Context, add func(*tx, protocol.JobID) (BlobID, error)) (id BlobID, err error) {
	l, ok := leaseOf(ctx)
	if !ok {
		return 0, broken("a blob was to be written by a job, and no job was named", nil)
	}
	err = db.named(ctx, "add a blob of a job", func(t *tx) error {
		id, err = add(t, l.Job)
		return err
	})
	return id, err
}

// JobBlobs lists the blobs that the job whose lease ctx carries has yet to
// finish: those of attempts before this one.
func (db *DB) JobBlobs(ctx context.Context) (list []Blob, err error) {
	l, ok := leaseOf(ctx)
	if !ok {
		return nil, broken("blobs of a job were asked for, and no job was named", nil)
	}
	err = db.look(ctx, "list the blobs of a job", func(q query) error {
		list = nil
		return q.each(blobColumns+`WHERE state = 'writing' AND owner_kind = 'job' AND owner_id = ? ORDER BY id`, []any{int64(l.Job)}, func(scan scanFunc) error {
			b, err := scanBlob(scan)
			list = append(list, b)
			return err
		})
	})
	return list, err
}

// KeepComposition notes what the storage calls the composition that makes a
// blob. It is on the disk when KeepComposition returns, so that something may
// be copied. A blob that is not being written any more is KindConflict.
func (db *DB) KeepComposition(ctx context.Context, blob BlobID, id string) error {
	return db.update(ctx, full, "keep a composition", func(t *tx) error {
		n, err := t.exec(`UPDATE blobs SET compose_id = ? WHERE id = ? AND state = 'writing'`, id, blob)
		if err == nil && n == 0 {
			err = protocol.Errorf(protocol.KindConflict, "the blob is not being written any more, nothing was changed")
		}
		return err
	})
}

// NamesObject reports whether a blob is, or was a day ago, under the key: no
// other installation makes that key.
func (db *DB) NamesObject(ctx context.Context, store, key string) (yes bool, err error) {
	err = db.look(ctx, "look for a blob by its key", func(q query) error {
		yes, err = q.one(`SELECT 1 FROM blobs WHERE store = ? AND key = ?`, []any{store, key}, new(int))
		return err
	})
	return yes, err
}

// Composing reports whether somebody may be making the object under key, by the
// composition or by something that has no id on record. Else nobody will ever
// finish what is under way there.
func (db *DB) Composing(ctx context.Context, store, key, id string) (yes bool, err error) {
	err = db.look(ctx, "look for a composition", func(q query) error {
		yes, err = q.one(`SELECT 1 FROM blobs WHERE store = ? AND key = ? AND state = 'writing' AND COALESCE(compose_id, ?) = ?`,
			[]any{store, key, id, id}, new(int))
		return err
	})
	return yes, err
}
