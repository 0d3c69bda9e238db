package meta

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// The names of settings by which two databases of one installation tell which
// of them is in use. None of them is copied.
const (
	// settingMoved, in the database that was copied: its value is the copy's id,
	// the time, and where to.
	settingMoved = "moved"
	// settingCopy, in the copy: its value is copyUnfinished or copyDone, and the
	// copy's id.
	settingCopy    = "copy"
	copyUnfinished = "unfinished"
	copyDone       = "done"
)

// movedTo is what the mark of a database says that was moved.
type movedTo struct {
	id, name string
	at       time.Time
}

func (m movedTo) String() string { return fmt.Sprintf("%s %d %s", m.id, ms(m.at), m.name) }

// parseMoved reads the mark. What it does not understand is a mark all the same.
func parseMoved(text string) (m movedTo) {
	var at int64
	_, _ = fmt.Sscanf(text, "%s %d", &m.id, &at)
	m.at = timeOf(at)
	if parts := strings.SplitN(text, " ", 3); len(parts) == 3 {
		m.name = parts[2]
	}
	return m
}

// refuseRetired refuses a database that is not the one in use: by two of one
// installation uids would be given twice.
func (db *DB) refuseRetired(ctx context.Context) error {
	return db.look(ctx, "open the database", func(q query) error {
		return q.each(`SELECT name, value FROM settings WHERE name IN (?, ?)`, []any{settingCopy, settingMoved}, func(scan scanFunc) error {
			var name, value string
			if err := scan(&name, &value); err != nil {
				return err
			}
			switch {
			case name == settingMoved && !db.cfg.Moved:
				return refuseMoved(parseMoved(value))
			case name == settingCopy && !strings.HasPrefix(value, copyDone+" "):
				return refuseUnfinished()
			}
			return nil
		})
	})
}

func refuseMoved(m movedTo) error {
	return protocol.Errorf(protocol.KindConflict, "the metadata was moved to %s at %s, and what happened since is there: put its address into the configuration, db: postgres://…; "+
		"to serve from this database again and lose what happened there: ospd metadata back", m.name, m.at.Format(time.RFC3339))
}

func refuseUnfinished() error {
	return protocol.Errorf(protocol.KindConflict, "the metadata was not copied to this database to the end, and nothing can be served from it; "+
		"run ospd metadata copy again, which begins anew, or drop the database; the database that it was copied from is as it was")
}

// moved reads the mark of a database that was moved; nil where it was not.
func (q query) moved() (*movedTo, error) {
	var value string
	found, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingMoved}, &value)
	if err != nil || !found {
		return nil, err
	}
	m := parseMoved(value)
	return &m, nil
}

// unmoved has a write refused where the metadata was moved: it would be lost.
func unmoved(fn func(*tx) error) func(*tx) error {
	return func(t *tx) error {
		m, err := t.moved()
		if err == nil && m != nil {
			err = refuseMoved(*m)
		}
		if err != nil {
			return err
		}
		return fn(t)
	}
}

// markMoved has nobody open the database, but with Config.Moved.
func (t *tx) markMoved(m movedTo) error {
	_, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, settingMoved, m.String())
	return err
}

// MovedTo says to which database the metadata was moved, "" where they were not.
func (db *DB) MovedTo(ctx context.Context) (name string, err error) {
	err = db.look(ctx, "read whether the metadata was moved", func(q query) error {
		m, err := q.moved()
		if name = ""; m != nil {
			name = m.name
		}
		return err
	})
	return name, err
}

func (t *tx) unmark() error {
	_, err := t.exec(`DELETE FROM settings WHERE name = ?`, settingMoved)
	return err
}
