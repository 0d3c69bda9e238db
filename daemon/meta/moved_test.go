package meta

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// refused expects that a database does not open, and why.
func refused(t *testing.T, cfg Config, words ...string) {
	t.Helper()
	db, err := Open(t.Context(), cfg)
	if err == nil {
		t.Fatal("it opened", errors.Join(db.Close()))
	}
	if kind := protocol.KindOf(err); kind != protocol.KindConflict {
		t.Errorf("got kind %s: %v", kind, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in: %v", w, err)
		}
	}
}

// A database that was moved opens for who asks for it, and for all once it was
// taken back, with uids above all that were given elsewhere meanwhile.
func TestMovedDatabase(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	cfg := Config{Path: filepath.Join(t.TempDir(), "meta.db"), Clock: func() time.Time { return now }}
	moved := cfg
	moved.Moved = true
	db, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if name, err := db.MovedTo(t.Context()); name != "" || err != nil {
		t.Errorf("before: %q, %v", name, err)
	}
	mark := movedTo{id: "ab", name: "ospd at db.example:5432", at: now}
	if err := errors.Join(db.update(t.Context(), full, "mark", func(x *tx) error { return x.markMoved(mark) }), db.Close()); err != nil {
		t.Fatal(err)
	}
	refused(t, cfg, "ospd at db.example:5432", "2026-11-22T10:00:00Z", "ospd metadata back")

	if db, err = Open(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	if name, err := db.MovedTo(t.Context()); name != mark.name || err != nil {
		t.Errorf("moved to %q, %v", name, err)
	}
	if err := errors.Join(db.TakeBack(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	m, err := NewMinter(db, 0, cfg.Clock)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := m.Next(t.Context())
	if first := protocol.UID(now.Add(time.Hour).Sub(protocol.Epoch).Milliseconds() << (workerBits + sequenceBits)); uid < first || err != nil {
		t.Errorf("uid %s, want at least %s: %v", uid, first, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// Uids are given once also where they ran ahead of the clock when the metadata
// was moved, and where it was moved and taken back twice within the hour.
func TestTakenBackUIDs(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "meta.db"), Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	last := now.Add(3 * time.Hour).Sub(protocol.Epoch).Milliseconds()
	if _, err := db.ReserveUIDs(t.Context(), 0, last); err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		if n == 3 { // uids of another service were imported, and none was given since
			last += (9 * 365 * 24 * time.Hour).Milliseconds()
			if err := db.RaiseUIDFloor(t.Context(), protocol.UID(last<<(workerBits+sequenceBits))); err != nil {
				t.Fatal(err)
			}
		}
		// Elsewhere uids begin behind the mark, and some restarts skip minutes.
		last += (50 * time.Minute).Milliseconds()
		if err := db.TakeBack(t.Context()); err != nil {
			t.Fatal(err)
		}
		m, err := NewMinter(db, 0, db.cfg.Clock)
		if err != nil {
			t.Fatal(err)
		}
		uid, err := m.Next(t.Context())
		milli := int64(uid) >> (workerBits + sequenceBits)
		if milli <= last || err != nil {
			t.Errorf("uid %s is of %d, elsewhere they came to %d: %v", uid, milli, last, err)
		}
		if last, err = db.ReserveUIDs(t.Context(), 0, 0); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// happens makes an event and gives it its number.
func happens(t *testing.T, db *DB) {
	t.Helper()
	if err := db.update(t.Context(), full, "make an event", func(x *tx) error {
		_, err := x.exec(`INSERT INTO outbox (kind, owner, created_at) VALUES (?, ?, ?)`, string(protocol.EventJobDead), "", x.now)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.NumberEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Numbers of events, and ids of jobs and webhooks, that may have been given
// elsewhere are not given again. No consumer takes those that never were for
// lost, wherever it stood; what was pruned is lost all the same.
func TestTakenBackNumbers(t *testing.T) {
	db := openLite(t, filepath.Join(t.TempDir(), "meta.db"))
	ctx := t.Context()
	for _, name := range []string{"none", "some", FanOutConsumer} {
		if err := db.RegisterConsumer(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	take := func(name string, limit int, lost int64, numbers ...int64) {
		t.Helper()
		b, err := db.TakeEvents(ctx, name, "me", time.Minute, limit)
		var got []int64
		for _, e := range b.Events {
			got = append(got, e.Number)
		}
		if err == nil {
			err = db.SettleEvents(ctx, name, "me", numbers[len(numbers)-1])
		}
		if !slices.Equal(got, numbers) || b.Lost != lost || err != nil {
			t.Errorf("%s takes %v, want %v; lost are %d, want %d; %v", name, got, numbers, b.Lost, lost, err)
		}
	}
	for range 3 {
		happens(t, db)
	}
	if err := db.RegisterConsumer(ctx, "all"); err != nil {
		t.Fatal(err)
	}
	take("some", 2, 0, 1, 2)
	const step = 1_000_000_000
	for range 2 {
		if err := db.TakeBack(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.RegisterConsumer(ctx, "new"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		happens(t, db)
	}
	const fourth = 2*step + 4
	take("all", 1, 0, fourth)
	take("all", 9, 0, fourth+1)
	take("new", 9, 0, fourth, fourth+1)
	take("none", 3, 0, 1, 2, 3)
	take("none", 9, 0, fourth, fourth+1)
	if more, lost, err := db.FanOut(ctx); more || lost != 0 || err != nil {
		t.Errorf("handed out: %v, %d are lost, %v", more, lost, err)
	}
	if err := db.update(ctx, full, "prune", func(x *tx) error {
		_, err := x.exec(`DELETE FROM events WHERE number IN (?, ?)`, int64(3), int64(fourth))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	take("some", 9, 2, fourth+1)
	if id, _, err := db.Enqueue(ctx, NewJob{Kind: "new"}); id <= step || err != nil {
		t.Errorf("job %d, %v", id, err)
	}
	if w, err := db.CreateWebhook(ctx, Webhook{Owner: "o", URL: "https://h", Secret: []byte("s")}); w.ID <= step || err != nil {
		t.Errorf("webhook %d, %v", w.ID, err)
	}
}

// What is not copied to its end is refused, also to who opens one that was
// moved.
func TestUnfinishedCopy(t *testing.T) {
	cfg := Config{Path: filepath.Join(t.TempDir(), "meta.db")}
	db := openLite(t, cfg.Path)
	if err := db.update(t.Context(), full, "mark", func(x *tx) error {
		_, err := x.exec(`INSERT INTO settings (name, value) VALUES (?, ?)`, settingCopy, copyUnfinished+" ab")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	cfg.Moved = true
	refused(t, cfg, "not copied to this database to the end", "ospd metadata copy")
}
