package meta

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// Quota limits what an owner may have; nil is no limit.
type Quota struct {
	// Bytes bounds the logical sizes of the owner's files together. Equal
	// content counts once for each file.
	Bytes *int64
	// Files bounds the owner's files, open uploads among them.
	Files *int64
	// Uploads bounds the owner's open uploads.
	Uploads *int64
}

// Usage is what an owner has, with what open uploads will need: one file each,
// and their size, or, while that is not known, what ReserveUpload was told.
type Usage struct {
	Bytes   int64
	Files   int64
	Uploads int64
}

func (u Usage) plus(d Usage) Usage {
	return Usage{Bytes: u.Bytes + d.Bytes, Files: u.Files + d.Files, Uploads: u.Uploads + d.Uploads}
}

// SetQuota gives the owner limits of its own in place of Config.DefaultQuota.
// What the owner has already stays, also beyond them. A negative limit is
// KindBadRequest.
func (db *DB) SetQuota(ctx context.Context, owner protocol.Owner, limit Quota) error {
	if err := limit.check(); err != nil {
		return err
	}
	return db.update(ctx, full, "set a quota", func(t *tx) error { return t.setQuota(owner, limit) })
}

func (l Quota) check() error {
	for _, v := range []*int64{l.Bytes, l.Files, l.Uploads} {
		if v != nil && *v < 0 {
			return protocol.Errorf(protocol.KindBadRequest, "a quota of %d is negative, nothing was changed", *v)
		}
	}
	return nil
}

func (t *tx) setQuota(owner protocol.Owner, limit Quota) error {
	_, err := t.exec(`INSERT INTO quotas (owner, max_bytes, max_files, max_uploads, own) VALUES (?, ?, ?, ?, 1)
		ON CONFLICT (owner) DO UPDATE SET max_bytes = excluded.max_bytes, max_files = excluded.max_files,
			max_uploads = excluded.max_uploads, own = 1`, string(owner), limit.Bytes, limit.Files, limit.Uploads)
	return err
}

// account is an owner's row.
type account struct {
	usage Usage
	// own says that limit is the owner's, not the configuration's.
	own   bool
	limit Quota
}

func (a *account) columns() []any {
	return []any{&a.usage.Bytes, &a.usage.Files, &a.usage.Uploads, &a.own, &a.limit.Bytes, &a.limit.Files, &a.limit.Uploads}
}

const accountColumns = `bytes, files, uploads, own, max_bytes, max_files, max_uploads`

func (db *DB) account(ctx context.Context, owner protocol.Owner) (a account, err error) {
	err = db.look(ctx, "read a quota", func(q query) error {
		a = account{}
		_, err := q.one(`SELECT `+accountColumns+` FROM quotas WHERE owner = ?`, []any{string(owner)}, a.columns()...)
		return err
	})
	if !a.own {
		a.limit = db.cfg.DefaultQuota
	}
	return a, err
}

// Quota gives the limits in force for the owner.
func (db *DB) Quota(ctx context.Context, owner protocol.Owner) (Quota, error) {
	a, err := db.account(ctx, owner)
	return a.limit, err
}

// Usage gives what the owner has now. Expired files count until ExpireFiles.
func (db *DB) Usage(ctx context.Context, owner protocol.Owner) (Usage, error) {
	a, err := db.account(ctx, owner)
	return a.usage, err
}

// reserve adds to what the owner has. It is KindQuotaExceeded where that
// passes a limit of what d adds to; the operation must end with that error.
// The row is the last that a transaction locks, by its last statement: all
// that writes for the owner waits for it until the transaction has ended.
func (t *tx) reserve(owner protocol.Owner, d Usage, standard Quota) error {
	a, err := t.add(owner, d)
	if err != nil {
		return err
	}
	if !a.own {
		a.limit = standard
	}
	for _, l := range []struct {
		what         string
		limit        *int64
		used, wanted int64
	}{
		{"open uploads", a.limit.Uploads, a.usage.Uploads, d.Uploads},
		{"files", a.limit.Files, a.usage.Files, d.Files},
		{"bytes", a.limit.Bytes, a.usage.Bytes, d.Bytes},
	} {
		if l.limit != nil && l.wanted > 0 && l.used > *l.limit {
			return &protocol.Error{Kind: protocol.KindQuotaExceeded,
				Message: fmt.Sprintf("the quota of %s allows %d %s; %d are in use or reserved and %d more were wanted; nothing was recorded",
					owner, *l.limit, l.what, l.used-l.wanted, l.wanted),
				Hint: "Delete files or open uploads that are not needed, or have the quota raised."}
		}
	}
	return nil
}

// add changes the owner's counters, whatever the limits.
func (t *tx) add(owner protocol.Owner, d Usage) (a account, err error) {
	for range 2 {
		found, err := t.one(`UPDATE quotas SET bytes = bytes + ?, files = files + ?, uploads = uploads + ? WHERE owner = ?
			RETURNING `+accountColumns, []any{d.Bytes, d.Files, d.Uploads, string(owner)}, a.columns()...)
		if found || err != nil {
			return a, err
		}
		if _, err := t.exec(`INSERT INTO quotas (owner) VALUES (?) ON CONFLICT (owner) DO NOTHING`, string(owner)); err != nil {
			return a, err
		}
	}
	return a, broken("the quota of "+string(owner)+" cannot be recorded", nil)
}

// release takes from what owners have, in one order of locks.
func (t *tx) release(freed map[protocol.Owner]Usage) error {
	for _, owner := range slices.Sorted(maps.Keys(freed)) {
		f := freed[owner]
		if _, err := t.add(owner, Usage{Bytes: -f.Bytes, Files: -f.Files, Uploads: -f.Uploads}); err != nil {
			return err
		}
	}
	return nil
}

// QuotaDrift is an owner whose recorded usage is not what the files and
// uploads add up to.
type QuotaDrift struct {
	Owner    protocol.Owner
	Recorded Usage
	Counted  Usage
}

// CheckQuotas counts again what every owner has and gives those whose record
// differs.
func (db *DB) CheckQuotas(ctx context.Context) (drifts []QuotaDrift, err error) {
	for last := anyOwner; ; {
		var d QuotaDrift
		err := db.read(ctx, wholeTables, "count an owner's files", func(q query) (err error) {
			d, err = q.recount(last)
			return err
		})
		if err != nil || d.Owner == anyOwner {
			return drifts, err
		}
		if last = d.Owner; d.Recorded != d.Counted {
			drifts = append(drifts, d)
		}
	}
}

// recount counts for the next owner; none is left when it has no name.
func (q query) recount(after protocol.Owner) (d QuotaDrift, err error) {
	for _, text := range [...]string{
		`SELECT owner FROM quotas WHERE owner > ? ORDER BY owner LIMIT 1`,
		`SELECT owner FROM files WHERE owner > ? AND state = 'open' ORDER BY owner LIMIT 1`,
		`SELECT owner FROM files WHERE owner > ? AND state = 'committed' ORDER BY owner LIMIT 1`,
	} {
		var next protocol.Owner
		if _, err := q.one(text, []any{string(after)}, &next); err != nil {
			return d, err
		}
		if next != anyOwner && (d.Owner == anyOwner || next < d.Owner) {
			d.Owner = next
		}
	}
	var a account
	var open, done Usage
	_, aerr := q.one(`SELECT `+accountColumns+` FROM quotas WHERE owner = ?`, []any{string(d.Owner)}, a.columns()...)
	_, oerr := q.one(`SELECT COUNT(*), COALESCE(SUM(COALESCE(u.size, u.reserved)), 0) FROM files f JOIN uploads u ON u.uid = f.uid
		WHERE f.owner = ? AND f.state = 'open'`, []any{string(d.Owner)}, &open.Uploads, &open.Bytes)
	_, derr := q.one(`SELECT COUNT(*), COALESCE(SUM(c.size), 0) FROM files f JOIN contents c ON c.id = f.content_id
		WHERE f.owner = ? AND f.state = 'committed'`, []any{string(d.Owner)}, &done.Files, &done.Bytes)
	open.Files = open.Uploads
	d.Recorded, d.Counted = a.usage, open.plus(done)
	return d, errors.Join(aerr, oerr, derr)
}
