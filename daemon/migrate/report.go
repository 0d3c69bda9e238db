package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// tell says how far it is. The caller holds mu, or is alone.
func (m *migration) tell(note string) {
	total := max(m.at.Total, m.at.Bytes)
	if note == "" {
		note = fmt.Sprintf("%d contents", m.at.Contents)
	}
	m.attempt.Progress(protocol.JobProgress{Done: m.at.Bytes, Total: &total, Unit: "bytes", Note: note})
}

// save records where it is: now, or where that was a while ago.
func (m *migration) save(ctx context.Context, now bool) error {
	at := m.cfg.Now()
	if !now && at.Sub(m.saved) < saveEvery && !at.Before(m.saved) {
		return nil
	}
	m.saved = at
	return m.attempt.Save(ctx, m.at)
}

func (m *migration) saveAtEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := m.save(ctx, true); err != nil && !errors.Is(err, meta.ErrLeaseLost) {
		m.log.WarnContext(ctx, "where a migration is could not be recorded; it goes over some of it again", "err", err)
	}
}

// snooze ends the attempt, for it to go on later.
func (m *migration) snooze(ctx context.Context, why string, after time.Duration) error {
	if err := m.save(ctx, true); err != nil {
		return err
	}
	m.tell(fmt.Sprintf("%d contents, %s", m.at.Contents, why))
	return job.Snooze(after)
}

// failed waits for a store that is away. That is no failure of the job, which
// may take days, unless it goes on for long.
func (m *migration) failed(ctx context.Context, err error) error {
	if m.at.Contents > m.movedBefore {
		m.at.Waits = 0
	}
	m.at.Waits++
	if m.at.Waits > waitsMax {
		return err
	}
	m.log.WarnContext(ctx, "a migration waits", "from", m.args.From, "to", m.args.To, "failures", m.at.Waits, "err", err)
	return m.snooze(ctx, "waits after a failure: "+err.Error(), min(m.cfg.Pause<<min(m.at.Waits-1, 10), pauseMax))
}

// named is how many damaged contents the summary names.
const named = 5

// end sums up, where the database knows of nothing that is left but what is
// damaged.
func (m *migration) end(ctx context.Context) error {
	left, err := m.cfg.Meta.LeftInStore(ctx, m.args.From, named)
	if err != nil {
		return err
	}
	if left.Contents > 0 {
		return &waiting{fmt.Sprintf("waits for %d contents that are not moved yet", left.Contents)}
	}
	damaged, err := m.damaged(ctx, left)
	if err != nil {
		return err
	}
	seconds := (m.cfg.Now().UnixMilli() - m.at.Began) / 1000
	m.at.Total = m.at.Bytes
	m.tell(fmt.Sprintf("%d contents, %d skipped, %s, %d waiting, %d seconds", m.at.Contents, m.at.Skipped, damaged, left.Contents, seconds))
	m.log.InfoContext(ctx, "a migration is done", "from", m.args.From, "to", m.args.To, "contents", m.at.Contents, "bytes", m.at.Bytes,
		"skipped", m.at.Skipped, "damaged", left.Damaged, "seconds", seconds)
	return nil
}

// damaged counts and names what is left.
func (m *migration) damaged(ctx context.Context, left meta.Left) (string, error) {
	damaged := fmt.Sprintf("%d damaged", left.Damaged)
	var uids []string
	for _, id := range left.Some {
		of, err := m.cfg.Meta.FilesOf(ctx, id, 1)
		if err != nil {
			return "", err
		}
		for _, uid := range of {
			uids = append(uids, uid.String())
		}
	}
	if len(uids) == 0 {
		return damaged, nil
	}
	damaged += " (left in " + m.args.From + "; files " + strings.Join(uids, " ")
	if left.Damaged > named {
		damaged += " and others"
	}
	return damaged + ")", nil
}
