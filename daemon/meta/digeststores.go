package meta

import (
	"context"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// Which contents are read for their own sake is configured by store, and not at all
// nodes alike: a file that one leaves alone may be what another looks at. So it is
// noted of each store whether files in it were left since somebody looked at all.

func settingDigests(store string) string { return "digests/" + store }

const (
	digestsWanted = "wanted"
	digestsLeft   = "left"
)

// LeaveDigests has digest jobs look at files no more, whose contents lie in stores
// that are not among those that the caller reads for it, until WantDigests of one of
// these stores.
func (db *DB) LeaveDigests(ctx context.Context, uids []protocol.UID, reads []string) error {
	return db.update(ctx, relaxed, "leave digests", func(t *tx) error {
		left, stores, err := t.outside(uids, reads)
		if err != nil {
			return err
		}
		for _, store := range stores {
			if err := t.set(settingDigests(store), digestsLeft); err != nil {
				return err
			}
		}
		return t.putOffDigests(left, digestNever)
	})
}

// outside are those of the files that have bytes in stores that are not read, and
// these stores in the order of their names. A file that was moved meanwhile to
// where it is read is none of them.
func (t *tx) outside(uids []protocol.UID, reads []string) (files []protocol.UID, stores []string, err error) {
	if len(uids) == 0 {
		return nil, nil, nil
	}
	var args []any
	for _, uid := range uids {
		args = append(args, int64(uid))
	}
	err = t.each(`SELECT DISTINCT b.store, f.uid FROM files f JOIN extents e ON e.content_id = f.content_id JOIN blobs b ON b.id = e.blob_id
		WHERE f.uid IN (?`+strings.Repeat(`, ?`, len(uids)-1)+`) ORDER BY b.store, f.uid`, args, func(scan scanFunc) error {
		var store string
		var uid int64
		if err := scan(&store, &uid); err != nil || slices.Contains(reads, store) {
			return err
		}
		files, stores = append(files, protocol.UID(uid)), append(stores, store)
		return nil
	})
	return files, slices.Compact(stores), err
}

// WantDigests has digest jobs look, now, at up to limit files that were left in the
// store, and gives at how many: they are to be done. With the last of them the store
// is one of DigestStores, until one is left there.
func (db *DB) WantDigests(ctx context.Context, store string, limit int) (n int, err error) {
	err = db.update(ctx, full, "want digests", func(t *tx) error {
		// Whoever leaves one meanwhile has set this before, or waits until the end.
		if err := t.set(settingDigests(store), digestsLeft); err != nil {
			return err
		}
		changed, err := t.exec(`UPDATE files SET digest_due = ? WHERE uid IN (SELECT uid FROM files f WHERE state = 'committed' AND digest_due = ?
			AND EXISTS (SELECT 1 FROM extents e JOIN blobs b ON b.id = e.blob_id WHERE e.content_id = f.content_id AND b.store = ?) LIMIT ?)`,
			t.now, int64(digestNever), store, limit)
		if n = int(changed); err != nil || n == limit {
			return err
		}
		return t.set(settingDigests(store), digestsWanted)
	})
	return n, err
}

// DigestStores are those in which no files are left.
func (db *DB) DigestStores(ctx context.Context) (stores []string, err error) {
	err = db.look(ctx, "read in which stores digests are left", func(q query) error {
		is := map[string]string{}
		var before string // of a database from before this was noted of each store
		if _, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingDigestStores}, &before); err != nil {
			return err
		}
		for _, store := range strings.Split(before, ",") {
			is[store] = digestsWanted
		}
		if err := q.named(settingDigests(""), func(store, value string) { is[store] = value }); err != nil {
			return err
		}
		stores = nil
		for store, value := range is {
			if store != "" && value == digestsWanted {
				stores = append(stores, store)
			}
		}
		slices.Sort(stores)
		return nil
	})
	return stores, err
}
