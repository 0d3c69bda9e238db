package meta

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// takenBackAhead is how far uids begin ahead of the time, and of those given
// before, in a database that was taken back.
const takenBackAhead = time.Hour

// takenBackStep is how many numbers of events, and ids of jobs and webhooks, a
// database leaves out that was taken back: those that were given elsewhere
// meanwhile, of which nobody here knows how many there are. That many events are
// more than eleven days of a thousand a second; and a receiver that has room for
// 32 bits has it still.
const takenBackStep = 1_000_000_000

// settingEventGaps has the numbers that no event has, as pairs: the last before,
// and the last of them.
const settingEventGaps = "event_gaps"

// TakeBack makes a database that was moved the one in use again. The database
// that it was moved to must not be used any more. Uids that were given there
// are not given here: there they began at the later of the time and the mark
// that was copied, and ran ahead of it by the minute that a restart within the
// minute skips; here they begin takenBackAhead of the later of the two.
func (db *DB) TakeBack(ctx context.Context) error {
	return db.update(ctx, full, "take the metadata back", func(t *tx) error {
		floor, err := t.floor()
		if err != nil {
			return err
		}
		if _, err := t.counter(settingUIDMark(0), func(old int64) int64 {
			return max(old, floor, timeOf(t.now).Sub(protocol.Epoch).Milliseconds()) + takenBackAhead.Milliseconds()
		}); err != nil {
			return err
		}
		if err := t.leaveOutEvents(takenBackStep); err != nil {
			return err
		}
		for _, table := range []string{"jobs", "webhooks"} {
			if err := t.leaveOutIDs(table, takenBackStep); err != nil {
				return err
			}
		}
		return t.unmark()
	})
}

// leaveOutEvents has the next event numbered n further. That no event is lost to
// a consumer which comes to it is written down.
func (t *tx) leaveOutEvents(n int64) error {
	last, err := t.lastEvent()
	if err != nil {
		return err
	}
	gaps, err := t.eventGaps()
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, g := range append(gaps, eventGap{last, last + n}) {
		fmt.Fprintf(&text, "%d %d\n", g.after, g.to)
	}
	if _, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		settingEventGaps, text.String()); err != nil {
		return err
	}
	_, err = t.exec(`UPDATE event_counter SET last = ? WHERE id = 1`, last+n)
	return err
}

// leaveOutIDs has the table's next row numbered n further, on SQLite, which
// notes the last id of a table only once it had one.
func (t *tx) leaveOutIDs(table string, n int64) error {
	if _, err := t.exec(`INSERT INTO sqlite_sequence (name, seq) SELECT ?, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)`, table, table); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE sqlite_sequence SET seq = seq + ? WHERE name = ?`, n, table)
	return err
}

// eventGap are the numbers behind after, up to to, which no event ever had.
type eventGap struct{ after, to int64 }

func (q query) eventGaps() (gaps []eventGap, err error) {
	var text string
	if _, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingEventGaps}, &text); err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		var g eventGap
		if _, err := fmt.Sscan(line, &g.after, &g.to); err != nil {
			return nil, broken(fmt.Sprintf("the setting %s has %.40q, not two numbers", settingEventGaps, line), err)
		}
		gaps = append(gaps, g)
	}
	return gaps, nil
}

// lostBefore is how many events were pruned between the cursor and the first
// event that is there behind it.
func (q query) lostBefore(first Event, cursor int64) (lost int64, err error) {
	if lost = first.Number - cursor - 1; lost == 0 {
		return 0, nil
	}
	gaps, err := q.eventGaps()
	for _, g := range gaps {
		lost -= max(0, min(g.to, first.Number-1)-max(g.after, cursor))
	}
	return lost, err
}
