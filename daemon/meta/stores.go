package meta

import (
	"context"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

func settingStoreHome(store string) string   { return "store_home/" + store }
func settingStoreType(store string) string   { return "store_type/" + store }
func settingStoreClosed(store string) string { return "store_closed/" + store }

// KnownStores gives the stores for which RememberStore was called, by name,
// with the type that NoteStoreType noted last, "" where it never did.
func (db *DB) KnownStores(ctx context.Context) (types map[string]string, err error) {
	err = db.view(ctx, "list the stores that are known", func(q query) error {
		types = map[string]string{}
		if err := q.named("store/", func(name, _ string) { types[name] = "" }); err != nil {
			return err
		}
		return q.named("store_type/", func(name, value string) { types[name] = value })
	})
	return types, err
}

// NamedStores gives the stores of which there are blobs, whether known or not,
// by name.
func (db *DB) NamedStores(ctx context.Context) (names []string, err error) {
	err = db.view(ctx, "list the stores of blobs", func(q query) error {
		names = nil
		for name := ""; ; names = append(names, name) {
			more, err := q.one(`SELECT store FROM blobs WHERE store > ? ORDER BY store LIMIT 1`, []any{name}, &name)
			if err != nil || !more {
				return err
			}
		}
	})
	return names, err
}

// ClaimStoreHome makes the node the home of a local store that has none, and gives
// the home that it has then.
func (db *DB) ClaimStoreHome(ctx context.Context, store string, node NodeID) (home NodeID, err error) {
	err = db.update(ctx, full, "claim the home of a store", func(t *tx) error {
		if _, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`, settingStoreHome(store), string(node)); err != nil {
			return err
		}
		_, err := t.one(`SELECT value FROM settings WHERE name = ?`, []any{settingStoreHome(store)}, &home)
		return err
	})
	return home, err
}

// MoveStoreHome has a store be at home with another node, which has its folder
// now, and with it the open uploads of the one before that have bytes there, or
// nowhere yet, and the migrations of it that wait for that node: what lies on another
// disk of that node stays its. Where the home is
// another one already nothing happens.
func (db *DB) MoveStoreHome(ctx context.Context, store string, from, to NodeID) error {
	return db.update(ctx, full, "move the home of a store", func(t *tx) error {
		n, err := t.exec(`UPDATE settings SET value = ? WHERE name = ? AND value = ?`, string(to), settingStoreHome(store), string(from))
		if err != nil || n == 0 {
			return err
		}
		_, err = t.exec(`UPDATE uploads SET node = ? WHERE node = ? AND uid IN (SELECT u.uid FROM uploads u `+openIn+`
			UNION ALL SELECT u.uid FROM uploads u `+nowhere+`)`,
			string(to), string(from), 0, store, store, store, 0)
		if err != nil {
			return err
		}
		return t.bindMigrations(store, from, to)
	})
}

// StoreHomes gives the homes of the local stores that have one, by the stores'
// configured names.
func (db *DB) StoreHomes(ctx context.Context) (homes map[string]NodeID, err error) {
	err = db.look(ctx, "list the homes of stores", func(q query) error {
		homes = map[string]NodeID{}
		return q.named("store_home/", func(name, value string) { homes[name] = NodeID(value) })
	})
	return homes, err
}

// named calls f with the settings whose name begins with prefix, without it.
func (q query) named(prefix string, f func(name, value string)) error {
	end, _ := prefixEnd(prefix)
	return q.each(`SELECT name, value FROM settings WHERE name >= ? AND name < ? ORDER BY name`, []any{prefix, end}, func(scan scanFunc) error {
		var name, value string
		err := scan(&name, &value)
		f(strings.TrimPrefix(name, prefix), value)
		return err
	})
}

// ForgetStoreHome has a store be at home with no node, as one is that all reach,
// whatever had its name before.
func (db *DB) ForgetStoreHome(ctx context.Context, store string) error {
	return db.update(ctx, full, "forget the home of a store", func(t *tx) error {
		_, err := t.exec(`DELETE FROM settings WHERE name = ?`, settingStoreHome(store))
		return err
	})
}

// NoteStoreType notes of which type a store is.
func (db *DB) NoteStoreType(ctx context.Context, store, is string) error {
	return db.update(ctx, full, "note the type of a store", func(t *tx) error { return t.set(settingStoreType(store), is) })
}

func (t *tx) set(name, value string) error {
	_, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// ClosedStores gives the stores that take no new blobs, each with the one that
// takes them in its place.
func (db *DB) ClosedStores(ctx context.Context) (closed map[string]string, err error) {
	err = db.look(ctx, "list closed stores", func(q query) error {
		closed = map[string]string{}
		return q.named("store_closed/", func(name, value string) { closed[name] = value })
	})
	return closed, err
}

// StoreUse is what a store is needed for.
type StoreUse int

// The uses there are.
const (
	// StoreUnused: no object of ours lies there, or only foreign ones of which
	// there are no files any more.
	StoreUnused StoreUse = iota
	// StoreSwept: objects lie there that are still to be deleted, or are being
	// written.
	StoreSwept
	// StoreOpen: open uploads have bytes there, or write there.
	StoreOpen
	// StoreUsed: files have bytes there.
	StoreUsed
)

// StoreUse says what a store is needed for.
func (db *DB) StoreUse(ctx context.Context, store string) (use StoreUse, err error) {
	err = db.view(ctx, "look for blobs of a store", func(q query) error {
		use = StoreUnused
		for _, f := range [...]struct {
			is   StoreUse
			text string
		}{
			{StoreUsed, `SELECT 1 FROM blobs b WHERE store = ? AND state = 'live' AND EXISTS (SELECT 1 FROM extents WHERE blob_id = b.id) LIMIT 1`},
			{StoreOpen, `SELECT 1 FROM blobs b WHERE store = ? AND state = 'live'
				AND (EXISTS (SELECT 1 FROM parts WHERE blob_id = b.id) OR EXISTS (SELECT 1 FROM uploads WHERE blob_id = b.id)) LIMIT 1`},
			{StoreOpen, `SELECT 1 FROM blobs b WHERE store = ? AND state = 'writing' AND owner_kind = 'upload'
				AND EXISTS (SELECT 1 FROM files WHERE uid = b.owner_id AND state = 'open') LIMIT 1`},
			{StoreSwept, `SELECT 1 FROM blobs WHERE store = ? AND state <> 'gone' AND origin <> 'foreign' LIMIT 1`},
		} {
			found, err := q.one(f.text, []any{store}, new(int))
			if err != nil {
				return err
			}
			if found {
				use = f.is
				return nil
			}
		}
		return nil
	})
	return use, err
}

// StoreCount is how much lies in a store.
type StoreCount struct {
	// Blobs is how many are in use, Bytes how many bytes they have.
	Blobs, Bytes int64
}

// countPage is how many blobs are counted at once.
const countPage = 50_000

// CountStore counts what lies in a store: a page at a time, so that it can be
// ended, and of no one moment. It reads an entry of an index for each blob.
func (db *DB) CountStore(ctx context.Context, store string) (c StoreCount, err error) {
	after, n := BlobID(0), int64(countPage)
	for err == nil && n == countPage {
		err = db.look(ctx, "count the blobs of a store", func(q query) error {
			var bytes int64
			var last BlobID
			_, err := q.one(`SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT), COALESCE(MAX(id), 0) FROM
				(SELECT id, size FROM blobs WHERE store = ? AND state = 'live' AND id > ? ORDER BY id LIMIT ?) AS page`,
				[]any{store, after, countPage}, &n, &bytes, &last)
			if err == nil {
				c.Blobs, c.Bytes, after = c.Blobs+n, c.Bytes+bytes, last
			}
			return err
		})
	}
	return c, err
}

// openIn is which uploads are open and have parts in a store, or write there. The
// first parameter is 0; the others are the store.
const openIn = `WHERE u.open = 1 AND u.touched_at >= ? AND (
	EXISTS (SELECT 1 FROM blobs b WHERE b.id = u.blob_id AND b.store = ?) OR
	EXISTS (SELECT 1 FROM blobs b WHERE b.state = 'writing' AND b.owner_kind = 'upload' AND b.owner_id = u.uid AND b.store = ?) OR
	EXISTS (SELECT 1 FROM parts p JOIN blobs b ON b.id = p.blob_id WHERE p.uid = u.uid AND b.store = ?)) `

// nowhere is which uploads are open and have no bytes yet. The parameter is 0.
const nowhere = `WHERE u.open = 1 AND u.touched_at >= ? AND u.blob_id IS NULL
	AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.state = 'writing' AND b.owner_kind = 'upload' AND b.owner_id = u.uid)
	AND NOT EXISTS (SELECT 1 FROM parts p WHERE p.uid = u.uid)`

// OpenUploadsIn gives up to limit of the open uploads that have parts in the
// store, or write there, longest idle first.
func (db *DB) OpenUploadsIn(ctx context.Context, store string, limit int) (uids []protocol.UID, err error) {
	err = db.look(ctx, "list the open uploads of a store", func(q query) error {
		uids, err = ids[protocol.UID](q, `SELECT u.uid FROM uploads u `+openIn+`AND EXISTS (SELECT 1 FROM files WHERE uid = u.uid AND state = 'open')
			ORDER BY u.touched_at LIMIT ?`, 0, store, store, store, limit)
		return err
	})
	return uids, err
}

// OpenInStore counts the open uploads that have parts in the store, or write
// there.
func (db *DB) OpenInStore(ctx context.Context, store string) (n int64, err error) {
	err = db.look(ctx, "count the open uploads of a store", func(q query) error {
		_, err := q.one(`SELECT COUNT(*) FROM uploads u `+openIn, []any{0, store, store, store}, &n)
		return err
	})
	return n, err
}

// FilesOf gives the uids of up to limit files of a content.
func (db *DB) FilesOf(ctx context.Context, id ContentID, limit int) (uids []protocol.UID, err error) {
	err = db.look(ctx, "list the files of a content", func(q query) error {
		uids, err = ids[protocol.UID](q, `SELECT uid FROM files WHERE content_id = ? ORDER BY owner, uid LIMIT ?`, id, limit)
		return err
	})
	return uids, err
}
