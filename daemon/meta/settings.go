package meta

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// The names of settings.
const (
	settingServerID     = "server_id"
	settingClock        = "clock"
	settingDigestStores = "digest_stores"
	settingQuotas       = "quotas"
	settingUIDFloor     = "uid_floor"
	settingFence        = "node_fence"
)

func settingUIDMark(worker int) string      { return "uid_mark/" + strconv.Itoa(worker) }
func settingNextDir(store string) string    { return "next_dir/" + store }
func settingStoreKnown(store string) string { return "store/" + store }

// ServerID is the installation's id, 32 lower-case hex digits, made when the
// database was.
func (db *DB) ServerID(ctx context.Context) (id string, err error) {
	err = db.look(ctx, "read the server id", func(q query) error {
		found, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingServerID}, &id)
		if err == nil && !found {
			err = broken("the database has lost its server id", nil)
		}
		return err
	})
	return id, err
}

// makeServerID writes only where there is none: another process that opens the
// database need not wait for the one that writes.
func (db *DB) makeServerID(ctx context.Context) error {
	var made bool
	err := db.look(ctx, "look for the server id", func(q query) (err error) {
		made, err = q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingServerID}, new(string))
		return err
	})
	if made || err != nil {
		return err
	}
	var b [16]byte
	rand.Read(b[:])
	return db.update(ctx, full, "make the server id", func(t *tx) error {
		_, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`,
			settingServerID, hex.EncodeToString(b[:]))
		return err
	})
}

// ClockKept is the time that KeepClock kept last, the zero time at first.
func (db *DB) ClockKept(ctx context.Context) (kept time.Time, err error) {
	err = db.look(ctx, "read the time that was kept", func(q query) error {
		kept = time.Time{}
		var text string
		found, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingClock}, &text)
		if err != nil || !found {
			return err
		}
		at, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return broken(fmt.Sprintf("the setting %s is %.40q, not a number", settingClock, text), err)
		}
		kept = timeOf(at)
		return nil
	})
	return kept, err
}

// KeepClock keeps a time, to the millisecond, by which the next start judges
// the clock. A power cut may bring back the one before.
func (db *DB) KeepClock(ctx context.Context, now time.Time) error {
	return db.update(ctx, relaxed, "keep the time", func(t *tx) error {
		_, err := t.counter(settingClock, func(int64) int64 { return ms(now) })
		return err
	})
}

// StoreKnown reports whether RememberStore was called for the store: it must
// carry the installation's mark then.
func (db *DB) StoreKnown(ctx context.Context, name string) (known bool, err error) {
	err = db.look(ctx, "look up a store", func(q query) error {
		known, err = q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingStoreKnown(name)}, new(string))
		return err
	})
	return known, err
}

// RememberStore records that the store was marked. Repeating it is no error.
func (db *DB) RememberStore(ctx context.Context, name string) error {
	return db.update(ctx, full, "remember a store", func(t *tx) error {
		_, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`,
			settingStoreKnown(name), strconv.FormatInt(t.now, 10))
		return err
	})
}

// ReserveUIDs raises the worker's high-water mark to through, in milliseconds
// since protocol.Epoch, and gives the mark before, 0 at first. A mark above
// through stays. It is on the disk when ReserveUIDs returns.
func (db *DB) ReserveUIDs(ctx context.Context, worker int, through int64) (previous int64, err error) {
	err = db.update(ctx, full, "reserve uids", func(t *tx) error {
		if previous, err = t.counter(settingUIDMark(worker), func(old int64) int64 { return max(old, through) }); err != nil {
			return err
		}
		floor, err := t.floor()
		previous = max(previous, floor)
		return err
	})
	return previous, err
}

// counter changes a number kept under a name, 0 at first, and gives what it
// was before.
func (t *tx) counter(name string, change func(int64) int64) (old int64, err error) {
	if _, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, '0') ON CONFLICT (name) DO NOTHING`, name); err != nil {
		return 0, err
	}
	var text string
	if _, err := t.one(`SELECT value FROM settings WHERE name = ? FOR UPDATE`, []any{name}, &text); err != nil {
		return 0, err
	}
	if old, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, broken(fmt.Sprintf("the setting %s is %.40q, not a number", name, text), err)
	}
	if v := change(old); v != old {
		_, err = t.exec(`UPDATE settings SET value = ? WHERE name = ?`, strconv.FormatInt(v, 10), name)
	}
	return old, err
}

// ReserveDir gives the store's next directory number, never one given before.
// The reservation is on the disk when ReserveDir returns, so that objects
// without a row may be made in that directory.
func (db *DB) ReserveDir(ctx context.Context, store string) (dir uint32, err error) {
	err = db.update(ctx, full, "reserve a directory", func(t *tx) error {
		next, err := t.counter(settingNextDir(store), func(n int64) int64 { return n + 1 })
		if err != nil {
			return err
		}
		if dir = uint32(next); int64(dir) != next {
			return protocol.Errorf(protocol.KindStoreFull, "store %s has used all its directory numbers", store)
		}
		_, err = t.exec(`INSERT INTO dirs (store, number, reserved_at) VALUES (?, ?, ?)`, store, next, t.now)
		return err
	})
	return dir, err
}

// OpenDirs lists the reserved directories that were not closed, ascending: an
// object without a row may lie in these only.
func (db *DB) OpenDirs(ctx context.Context, store string) (dirs []uint32, err error) {
	err = db.look(ctx, "list directories", func(q query) error {
		dirs = nil
		return q.each(`SELECT number FROM dirs WHERE store = ? ORDER BY number`, []any{store}, func(scan scanFunc) error {
			var n uint32
			err := scan(&n)
			dirs = append(dirs, n)
			return err
		})
	})
	return dirs, err
}

// CloseDir ends a reservation: every object in the directory has a row, and no
// other will be made there. Closing one that is closed is no error.
func (db *DB) CloseDir(ctx context.Context, store string, dir uint32) error {
	return db.update(ctx, full, "close a directory", func(t *tx) error {
		_, err := t.exec(`DELETE FROM dirs WHERE store = ? AND number = ?`, store, int64(dir))
		return err
	})
}
