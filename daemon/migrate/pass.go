package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// place is where a migration is, as it is kept for the next attempt.
type place struct {
	// Began is when it began, in milliseconds since 1970.
	Began int64 `json:"began"`
	// After is the last blob that is behind the pass under way.
	After meta.BlobID `json:"after"`
	// Contents and Bytes were moved so far; Skipped were gone when it was their
	// turn.
	Contents int64 `json:"contents"`
	Bytes    int64 `json:"bytes"`
	Skipped  int64 `json:"skipped"`
	// Total is how many bytes there were, those moved among them.
	Total int64 `json:"total"`
	// Waits counts failures in a row, Idle attempts in a row that moved nothing and
	// waited for others.
	Waits int `json:"waits"`
	Idle  int `json:"idle"`
	// Fence is that of the attempt that left this.
	Fence int64 `json:"fence"`
}

// migration is an attempt at one.
type migration struct {
	*Worker
	attempt  *job.Run
	args     Args
	from, to *store.Store
	pace     *pace.Pace
	slots    *semaphore.Weighted
	// movedBefore is how many contents earlier attempts moved.
	movedBefore int64
	// anew says that somebody asked for it, for the first time or again.
	anew bool
	// saving has what is saved last be what was so last.
	saving sync.Mutex
	// saved is when it was saved. Guarded by saving.
	saved time.Time

	mu sync.Mutex
	// Guarded by mu: where it is, what the pass under way met, and how many bytes
	// are copied of contents that are not moved yet.
	at      place
	met     met
	copying int64
}

// met is what a pass moved, and what it could not. Of what is damaged the
// database knows.
type met struct {
	moved, unknown, changed int64
}

func newMigration(w *Worker, r *job.Run, args Args) *migration {
	return &migration{
		Worker: w, attempt: r, args: args, from: w.cfg.Stores[args.From], to: w.cfg.Stores[args.To],
		pace: w.cfg.Pace(args.Rate), slots: semaphore.NewWeighted(atOnce), saved: w.cfg.Now(),
	}
}

// waiting ends an attempt that has something to wait for.
type waiting struct{ why string }

func (w *waiting) Error() string { return w.why }

// run goes through the source until nothing is left there.
func (m *migration) run(ctx context.Context) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	for {
		if err := m.inCharge(ctx); err != nil {
			return err
		}
		whole := m.at.After == 0
		if err := m.pass(ctx); err != nil {
			return err
		}
		if !whole || m.met.moved > 0 || m.met.changed > 0 {
			continue // what lies before the blob where it went on, nobody looked at
		}
		if m.met.unknown > 0 {
			if _, _, err := m.cfg.Meta.Enqueue(ctx, m.cfg.Digest(m.args.From)); err != nil {
				return err
			}
			return &waiting{fmt.Sprintf("waits for the digests of %d contents", m.met.unknown)}
		}
		if err := m.underWay(ctx); err != nil {
			return err
		}
		return m.end(ctx)
	}
}

// underWay waits for what was named in the source before it was closed, and may
// turn into a content there.
func (m *migration) underWay(ctx context.Context) error {
	open, err := m.cfg.Meta.OpenInStore(ctx, m.args.From)
	if err != nil {
		return err
	}
	written, err := m.cfg.Meta.WritingInStore(ctx, m.args.From)
	switch {
	case err != nil:
		return err
	case open > 0:
		return &waiting{fmt.Sprintf("waits for %d open uploads", open)}
	case written > 0:
		return &waiting{fmt.Sprintf("waits for %d objects that are being written", written)}
	}
	return nil
}

// yields ends a migration beside which another one goes on.
type yields struct{ to error }

func (y *yields) Error() string { return y.to.Error() }

// inCharge makes sure that this is still the migration that its source is closed
// for: of two that move back and forth neither would ever end.
func (m *migration) inCharge(ctx context.Context) error {
	yes, err := m.cfg.Meta.Migrates(ctx, m.args.From, m.args.To)
	if err == nil && !yes {
		err = &yields{errors.New("another migration has one of the stores by now, or the source takes new blobs again; what was moved stays moved; ask for the migration anew")}
	}
	return err
}

// begin takes the stores and closes the source, gives up what earlier attempts left, and counts what
// there is to do.
func (m *migration) begin(ctx context.Context) error {
	switch err := m.cfg.Meta.BeginMigration(ctx, m.args.From, m.args.To); {
	case protocol.KindOf(err) == protocol.KindConflict:
		return &yields{err}
	case err != nil:
		return err
	}
	if err := m.cfg.Place.Load(ctx); err != nil {
		return err
	}
	left, err := m.cfg.Meta.JobBlobs(ctx)
	if err != nil {
		return err
	}
	for _, b := range left {
		if err := m.cfg.Meta.DropBlob(ctx, b.ID); err != nil {
			return err
		}
	}
	if m.at.Total == 0 {
		n, err := m.cfg.Meta.CountStore(ctx, m.args.From)
		if err != nil {
			return err
		}
		m.at.Total = m.at.Bytes + n.Bytes
	}
	m.tell("")
	if m.anew {
		m.said(ctx, "a migration begins")
	}
	return m.save(ctx, true)
}

// pass goes through the blobs of the source once.
func (m *migration) pass(ctx context.Context) error {
	m.met = met{}
	for {
		list, err := m.cfg.Meta.StoredBlobs(ctx, m.args.From, m.at.After, page)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			m.at.After = 0
			return nil
		}
		if err := m.contents(ctx, list); err != nil {
			return err
		}
		m.at.After = list[len(list)-1].Blob
		if err := m.save(ctx, false); err != nil {
			return err
		}
	}
}

// contents moves the contents that lie in the blobs, several at once.
func (m *migration) contents(ctx context.Context, list []meta.Stored) error {
	seen := map[meta.ContentID]bool{}
	g, gctx := errgroup.WithContext(ctx)
	for _, b := range list {
		for _, c := range b.Contents {
			if seen[c.ID] {
				continue
			}
			seen[c.ID] = true
			weight := int64(1)
			if c.Size > protocol.BlockSize {
				weight = largeWeight
			}
			if m.slots.Acquire(gctx, weight) != nil {
				break // another one failed, or ctx ended
			}
			g.Go(func() error {
				defer m.slots.Release(weight)
				return m.content(gctx, c)
			})
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// content moves one, and notes what became of it.
func (m *migration) content(ctx context.Context, c meta.StoredContent) error {
	err := error(nil)
	switch {
	case c.State == meta.ContentDamaged:
		err = protocol.Errorf(protocol.KindContentCorrupt, "it is marked as damaged")
	case !c.DigestKnown:
		err = protocol.Errorf(protocol.KindDigestPending, "its digest is not known")
	default:
		err = m.move(ctx, c.ID)
	}
	if err := m.note(ctx, c, err); err != nil {
		return err
	}
	return m.save(ctx, false)
}

// note notes what became of a content.
func (m *migration) note(ctx context.Context, c meta.StoredContent, err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch kind := protocol.KindOf(err); {
	case err == nil:
		m.at.Contents, m.at.Bytes, m.met.moved = m.at.Contents+1, m.at.Bytes+c.Size, m.met.moved+1
		m.tell("")
	case ctx.Err() != nil:
		return err
	case errors.Is(err, meta.ErrGenChanged):
		m.met.changed++ // the next pass looks at it
	case kind == protocol.KindNotFound:
		m.at.Skipped++
	case kind == protocol.KindContentCorrupt: // and recorded
	case kind == protocol.KindDigestPending:
		m.met.unknown++
	default:
		return fmt.Errorf("move content %d: %w", c.ID, err)
	}
	return nil
}
