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
	m.attempt.Progress(protocol.JobProgress{Done: min(m.at.Bytes+m.copying, total), Total: &total, Unit: "bytes", Note: note})
}

// copied notes that so many bytes more are copied, or fewer.
func (m *migration) copied(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.copying += n; n > 0 {
		m.tell("")
	}
}

// said is a line of the log about all of the migration.
func (m *migration) said(ctx context.Context, what string, more ...any) {
	m.log.InfoContext(ctx, what, append([]any{"job", m.attempt.Job.ID, "from", m.args.From, "to", m.args.To}, more...)...)
}

// goOn takes what the attempt before left: what it counted in a row begins anew
// where somebody asked for this one.
func (m *migration) goOn(found bool) {
	if m.anew = !found || m.at.Fence+1 != m.attempt.Lease.Fence; m.anew {
		m.at.Waits, m.at.Idle, m.at.Total = 0, 0, 0
	}
	m.at.Fence = m.attempt.Lease.Fence
}

// save records where it is: now, or where that was a while ago.
func (m *migration) save(ctx context.Context, now bool) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	at := m.cfg.Now()
	if !now && at.Sub(m.saved) < saveEvery && !at.Before(m.saved) {
		return nil
	}
	m.saved = at
	m.mu.Lock()
	is := m.at
	m.mu.Unlock()
	return m.attempt.Save(ctx, is)
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

// idle waits for others, longer each time that nothing was moved.
func (m *migration) idle(ctx context.Context, why string) error {
	if m.at.Contents > m.movedBefore {
		m.at.Idle = 0
	}
	m.at.Idle++
	return m.snooze(ctx, why, min(m.cfg.Pause<<min(m.at.Idle-1, 10), idleMax))
}

// failed waits for a store that is away. That is no failure of the job, which
// may take days, unless it goes on for long.
func (m *migration) failed(ctx context.Context, err error) error {
	if m.at.Contents > m.movedBefore {
		m.at.Waits = 0
	}
	m.at.Waits++
	if m.at.Waits > waitsMax {
		return job.Hopeless(err)
	}
	m.log.WarnContext(ctx, "a migration waits", "job", m.attempt.Job.ID, "from", m.args.From, "to", m.args.To, "failures", m.at.Waits, "err", err)
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
	doomed, err := m.cfg.Meta.DoomedInStore(ctx, m.args.From)
	if err != nil {
		return err
	}
	now := m.cfg.Now()
	seconds := (now.UnixMilli() - m.at.Began) / 1000
	total := m.at.Bytes
	m.attempt.Progress(protocol.JobProgress{Done: total, Total: &total, Unit: "bytes", Left: left.Damaged,
		Note: fmt.Sprintf("%d contents, %d skipped, %s, %d waiting, %d seconds; %d objects of %s are deleted after the grace period (%s)",
			m.at.Contents, m.at.Skipped, damaged, left.Contents, seconds, doomed, m.args.From, protocol.TimeOf(now.Add(m.cfg.Grace)))})
	m.said(ctx, "a migration is done", "contents", m.at.Contents, "bytes", total, "skipped", m.at.Skipped, "damaged", left.Damaged, "seconds", seconds)
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
