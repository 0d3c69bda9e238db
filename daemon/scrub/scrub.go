// Package scrub reads contents that nobody asks for, and compares each block
// with its record: so that rot is found while there is something to heal it
// with. A pass reads everything that was there when it began, in order, and
// can end anywhere: the next attempt goes on at the block where it was. A scrub
// of one content is for what is suspected.
//
// What is damaged is marked by the reading itself (file.Service), which tells
// of it too. No pass fails for damage. What was marked and now matches from its
// first block to its last is healed: what damaged it, a disk or a store that gave
// other bytes for a while, has passed.
package scrub

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/protocol"
)

// Records is what a Worker needs of the metadata; meta.DB is the one.
type Records interface {
	ScrubSize(ctx context.Context) (bytes int64, last meta.ContentID, err error)
	Scrubbable(ctx context.Context, after, until meta.ContentID, limit int) ([]meta.Scrubbable, error)
	MarkVerified(ctx context.Context, list []meta.Verified) error
	HealVerified(ctx context.Context, v meta.Verified) (healed bool, err error)
}

// Contents reads them; file.Service is the one.
type Contents interface {
	Through(ctx context.Context, id meta.ContentID) (*file.Reading, error)
}

// Config is what a Worker needs.
type Config struct {
	Meta Records
	Read Contents
	// Pace holds the reading back.
	Pace *pace.Pace
	// Scrubbed is told of each content that was read, when not nil.
	Scrubbed func(damaged bool)
	// Now is time.Now when nil.
	Now func() time.Time
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
}

// Worker does scrubs. Its methods are safe for concurrent use.
type Worker struct {
	cfg Config
	log *slog.Logger
}

// New makes a Worker.
func New(cfg Config) *Worker {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Scrubbed == nil {
		cfg.Scrubbed = func(bool) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Worker{cfg: cfg, log: cfg.Logger}
}

// Do is the handler of the job: a scrub of the content that the args name, or a
// pass where they name none.
func (w *Worker) Do(ctx context.Context, r *job.Run, args meta.ScrubArgs) error {
	if args.Content == 0 {
		return w.pass(ctx, r)
	}
	return w.one(ctx, r, args.Content)
}

// elsewherePause is how long a job is left alone that a node took which does not
// have the content on its disk.
const elsewherePause = 5 * time.Second

// one reads a suspected content. One that is gone needs no scrub.
func (w *Worker) one(ctx context.Context, r *job.Run, id meta.ContentID) error {
	p := protocol.JobProgress{Unit: "bytes"}
	v, found, err := w.read(ctx, id, position{}, func(at position, size int64) error {
		p.Done, p.Total = at.bytes(size), &size
		r.Progress(p)
		return nil
	})
	switch kind := protocol.KindOf(err); {
	case holder.Of(err) != nil:
		return job.Snooze(elsewherePause) // until the node takes the job that has it
	case kind == protocol.KindNotFound:
		p.Note = "it is gone"
	case kind == protocol.KindContentCorrupt:
		p.Note = "it is damaged"
		w.cfg.Scrubbed(true)
	case err != nil:
		return err
	case found != unsettled:
		if found == healed {
			p.Note = "it is healed"
		}
		if err := w.cfg.Meta.MarkVerified(ctx, []meta.Verified{v}); err != nil {
			return err
		}
		w.cfg.Scrubbed(false)
	}
	r.Progress(p)
	return nil
}

// position is a place in a content: before which block, and of which gen it was
// when the reading of it began, and whether it was marked as damaged then.
type position struct {
	Block   int64 `json:"block,omitempty"`
	Gen     int64 `json:"gen,omitempty"`
	Damaged bool  `json:"damaged,omitempty"`
}

// bytes is how many of a content of size bytes lie before it.
func (p position) bytes(size int64) int64 { return min(p.Block*protocol.BlockSize, size) }

// finding is what a reading to the last block says of a content.
type finding int

const (
	// unsettled: it was moved, healed or marked under each reading.
	unsettled finding = iota
	// sound: all of it matched where it lies.
	sound
	// healed: sound, and it was marked as damaged before.
	healed
)

// anewMax is how often a content is begun anew that is moved, healed or marked
// once more while it is read; whoever moves or heals it compares it, too.
const anewMax = 2

// read reads a content from the position on, which is its beginning where it
// was moved, marked or healed since, and tells where it is before each block and at the
// end. One that was marked before the first block was read, and matches, is healed.
func (w *Worker) read(ctx context.Context, id meta.ContentID, from position, tell teller) (v meta.Verified, f finding, err error) {
	for range anewMax + 1 {
		r, err := w.cfg.Read.Through(ctx, id)
		if err != nil {
			return v, unsettled, err
		}
		at := position{Gen: r.Gen(), Damaged: r.Damaged()}
		if from.Gen == at.Gen && from.Damaged == at.Damaged {
			at.Block = from.Block
		}
		err = w.readOn(ctx, r, at, tell)
		moved := r.Moved()
		if err = errors.Join(err, r.Close()); err != nil {
			return v, unsettled, err
		}
		v = meta.Verified{Content: id, Gen: at.Gen}
		switch {
		case moved:
			from = position{}
		case at.Damaged:
			done, err := w.cfg.Meta.HealVerified(ctx, v)
			if err != nil {
				return v, unsettled, err
			}
			if done {
				return v, healed, nil
			}
			from = position{}
		default:
			return v, sound, nil
		}
	}
	return v, unsettled, nil
}

// teller is told where a reading of size bytes is.
type teller func(at position, size int64) error

// readOn compares the blocks from the position on.
func (w *Worker) readOn(ctx context.Context, r *file.Reading, at position, tell teller) error {
	for ; at.Block < r.Blocks(); at.Block++ {
		if err := tell(at, r.Size()); err != nil {
			return err
		}
		if err := w.cfg.Pace.Wait(ctx, r.Length(at.Block)); err != nil {
			return err
		}
		if err := r.Check(ctx, at.Block); err != nil {
			return err
		}
	}
	return tell(at, r.Size())
}
