package meta

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// InPlace is an object of which a file is to be made where it lies.
type InPlace struct {
	FileFields
	UID  protocol.UID
	ETag string
	// Store and Key are where it lies, Node on which node.
	Store, Key, Node string
	Size             int64
	// Tag is what its store says of the state that it is in.
	Tag string
	// Adopted has it be ospd's own from now on.
	Adopted bool
}

// ImportEntry is what became of one object of an import.
type ImportEntry struct {
	Path string
	Size int64
	// UID is the file's, 0 where there is none.
	UID     protocol.UID
	Outcome protocol.ImportOutcome
	// Error says why there is none.
	Error string
	// Make has the file be made, in the transaction that records this: then UID,
	// Outcome and Error are the answer.
	Make *InPlace
}

// RecordImport adds entries to the manifest of an import, the first of which is
// number first, makes the files of those with Make, and keeps where the job is
// to go on, in one durable transaction. A file of the same object and owner that
// is there already is the answer (ImportAlready); of a new one nothing is known
// but the size until its digest job has run. It is KindQuotaExceeded where the
// owner may not have them; then nothing is recorded. What it answers are the
// entries, with what became of them.
func (db *DB) RecordImport(ctx context.Context, job protocol.JobID, first int64, entries []ImportEntry, checkpoint json.RawMessage) (done []ImportEntry, err error) {
	err = db.named(ctx, "record an import", func(t *tx) error {
		done = append([]ImportEntry(nil), entries...)
		var made []ImportEntry
		for i := range done {
			if done[i].Make == nil {
				continue
			}
			if err := t.takeObject(&done[i]); err != nil {
				return err
			}
			if done[i].Outcome == protocol.ImportImported {
				made = append(made, done[i])
			}
		}
		for i, e := range done {
			if err := t.addEntry(job, first+int64(i), e); err != nil {
				return err
			}
		}
		sum, err := t.tellImported(made)
		if err != nil {
			return err
		}
		if len(made) > 0 {
			if err := t.reserve(made[0].Make.Owner, sum, db.cfg.DefaultQuota); err != nil {
				return err
			}
		}
		_, err = t.exec(`UPDATE jobs SET checkpoint = ? WHERE id = ? AND state = 'running'`, string(checkpoint), int64(job))
		return err
	})
	return done, err
}

// takeObject makes the file of an object, unless there is one.
func (t *tx) takeObject(e *ImportEntry) error {
	o := e.Make
	old, found, err := t.imported(o.Owner, o.From)
	switch {
	case err != nil:
		return err
	case found && old.expired:
		if err := t.letGo(o.Owner, old.UID); err != nil {
			return err
		}
	case found:
		e.UID, e.Outcome = old.UID, protocol.ImportAlready
		if o.Adopted {
			_, err = t.exec(`UPDATE blobs SET origin = 'adopted' WHERE store = ? AND key = ? AND state = 'live' AND origin = 'foreign'`, o.Store, o.Key)
		}
		return err
	}
	r := received{uid: o.UID, size: o.Size}
	if o.Size == 0 {
		digest, fingerprint := protocol.DigestOf(nil), protocol.FingerprintOf(0, nil)
		r.digest, r.fingerprint = &digest, &fingerprint
	} else {
		blob, why, err := t.foreignBlob(*o)
		if err != nil {
			return err
		}
		if why != "" {
			e.fail(why)
			return nil
		}
		r.extents = []Extent{{Blob: blob, Length: o.Size}}
	}
	content, err := t.place(r)
	if err != nil {
		return err
	}
	// The row is open within this transaction only.
	if err := t.insertFile(o.FileFields, o.UID, timeOf(t.now)); err != nil {
		return err
	}
	e.UID, e.Outcome = o.UID, protocol.ImportImported
	return t.point(o.UID, content, o.ETag, t.now, t.digestDue(o.Size, r.digest != nil))
}

func (e *ImportEntry) fail(why string) { e.UID, e.Outcome, e.Error = 0, protocol.ImportFailed, why }

// tellImported makes the events of new files, and gives what their owner is to
// be charged.
func (t *tx) tellImported(made []ImportEntry) (sum Usage, err error) {
	for _, e := range made {
		if err := t.tellCommitted(e.Make.Owner, e.UID); err != nil {
			return sum, err
		}
		sum = sum.plus(Usage{Bytes: e.Size, Files: 1})
	}
	return sum, nil
}

func (t *tx) tellCommitted(owner protocol.Owner, uid protocol.UID) error {
	f, err := t.patched(owner, uid)
	if err != nil {
		return err
	}
	return t.emitCommitted(f)
}

func (t *tx) addEntry(job protocol.JobID, seq int64, e ImportEntry) error {
	var uid *int64
	if e.UID != 0 {
		v := int64(e.UID)
		uid = &v
	}
	_, err := t.exec(`INSERT INTO import_entries (job_id, seq, path, uid, size, outcome, error) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		int64(job), seq, e.Path, uid, e.Size, string(e.Outcome), nilIfNone(e.Error))
	return err
}

// ImportedFile is a file that was made of an object before.
type ImportedFile struct {
	UID         protocol.UID
	Size        int64
	CommittedAt time.Time
	// CreatedAt is when the object had been written last.
	CreatedAt time.Time
	// Store and Key are of the object that its bytes lie in, where that was there
	// before ospd, and Tag is what that had when it was taken; "" where the bytes
	// are ospd's own. Of equal objects one has the bytes of all their files, so
	// that it need not be the one that the file was made of.
	Store, Key, Tag string
	expired         bool
}

func (q query) imported(owner protocol.Owner, from string) (f ImportedFile, found bool, err error) {
	var created, committed int64
	var expires *int64
	found, err = q.one(`SELECT f.uid, c.size, f.created_at, f.committed_at, f.expires_at, COALESCE(b.store, ''), COALESCE(b.key, ''), COALESCE(b.tag, '')
		FROM files f JOIN contents c ON c.id = f.content_id
		LEFT JOIN extents e ON e.content_id = c.id AND e.seq = 0 LEFT JOIN blobs b ON b.id = e.blob_id AND b.origin <> 'own'
		WHERE f.owner = ? AND f.imported_from = ? AND f.state = 'committed'`, []any{string(owner), from},
		&f.UID, &f.Size, &created, &committed, &expires, &f.Store, &f.Key, &f.Tag)
	f.CreatedAt, f.CommittedAt, f.expired = timeOf(created), timeOf(committed), expires != nil && *expires <= q.now
	return f, found, err
}

// letGo has a file be that of its object no more, of which another is to be
// made.
func (t *tx) letGo(owner protocol.Owner, uid protocol.UID) error {
	_, err := t.exec(`UPDATE files SET imported_from = NULL WHERE uid = ? AND owner = ?`, int64(uid), string(owner))
	return err
}

// LetGoImported has files of an owner, whose objects are not any more what the
// files were made of, be files as all others: the objects may be imported anew.
func (db *DB) LetGoImported(ctx context.Context, owner protocol.Owner, uids []protocol.UID) error {
	uids = slices.Sorted(slices.Values(uids))
	return db.update(ctx, full, "let go of imported files", func(t *tx) error {
		for _, uid := range uids {
			if err := t.letGo(owner, uid); err != nil {
				return err
			}
		}
		return nil
	})
}

// ImportedFiles gives the files of an owner that were made of the objects, by
// object; those that are not there are left out.
func (db *DB) ImportedFiles(ctx context.Context, owner protocol.Owner, from []string) (files map[string]ImportedFile, err error) {
	err = db.view(ctx, "look for imported files", func(q query) error {
		files = map[string]ImportedFile{}
		for _, name := range from {
			f, found, err := q.imported(owner, name)
			if err != nil {
				return err
			}
			if found && !f.expired {
				files[name] = f
			}
		}
		return nil
	})
	return files, err
}

// notImported refuses a second committed file of one object: KindConflict. One
// that has expired and is not removed yet gives way.
func (t *tx) notImported(owner protocol.Owner, from string) error {
	if from == "" {
		return nil
	}
	f, found, err := t.imported(owner, from)
	if err == nil && found && f.expired {
		return t.letGo(owner, f.UID)
	}
	if err == nil && found {
		err = &protocol.Error{Kind: protocol.KindConflict, UID: f.UID, Message: fmt.Sprintf("file %s was made of the same object meanwhile; nothing was changed", f.UID)}
	}
	return err
}
