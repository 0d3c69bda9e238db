package scrub

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// page is how many contents are listed at once.
	page = 64
	// saveEvery is how often it is recorded where a pass is, and saveMax how many
	// contents that were found sound are not recorded yet.
	saveEvery = 5 * time.Second
	saveMax   = 256
	// saveTimeout bounds the last recording of a pass that is ended.
	saveTimeout = 5 * time.Second
	// rowMax is how many contents in a row are passed over that cannot be read
	// now. Then a store is away: the pass waits for it, an hour at most.
	rowMax    = 8
	awayPause = 5 * time.Minute
	awayMax   = 12
)

// place is where a pass is, as it is kept for the next attempt.
type place struct {
	// Until is the newest content of the pass, Began when it began, in
	// milliseconds since 1970.
	Until meta.ContentID `json:"until"`
	Began int64          `json:"began"`
	Total int64          `json:"total"`
	// Done are the bytes of the contents up to After, which are behind it.
	After meta.ContentID `json:"after"`
	Done  int64          `json:"done"`
	// At is where it is in Content, the one after them, 0 for none.
	Content meta.ContentID `json:"content"`
	At      position       `json:"at"`
	// Damaged, Healed and Unread count contents that are damaged, that were, and
	// that could not be read; Waits how often it waited for a store.
	Damaged int `json:"damaged"`
	Healed  int `json:"healed,omitempty"`
	Unread  int `json:"unread"`
	Waits   int `json:"waits"`
}

// pass is a pass under way.
type pass struct {
	*Worker
	run   *job.Run
	at    place
	sound []meta.Verified
	// saved is when it was recorded where it is.
	saved time.Time
	// row is how many contents in a row could not be read, rowAt where the pass
	// was before them.
	row   int
	rowAt place
}

// pass reads everything, or goes on with that.
func (w *Worker) pass(ctx context.Context, r *job.Run) (err error) {
	p := &pass{Worker: w, run: r, saved: w.cfg.Now()}
	found, err := r.Saved(&p.at)
	if err != nil {
		return err
	}
	if !found {
		p.at.Began = w.cfg.Now().UnixMilli()
		if p.at.Total, p.at.Until, err = w.cfg.Meta.ScrubSize(ctx); err != nil {
			return err
		}
	}
	// However it ends, also where ctx did, the next attempt goes on here.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
		if serr := p.save(ctx, true); err == nil {
			err = serr
		}
	}()
	for {
		list, err := w.cfg.Meta.Scrubbable(ctx, p.at.After, p.at.Until, page)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			p.at.Done = p.at.Total // what is gone is behind it, too
			p.tell(0)
			return nil
		}
		for _, c := range list {
			if err := p.content(ctx, c); err != nil {
				return err
			}
		}
	}
}

// content reads a content, unless somebody did since the pass began and found it
// sound.
func (p *pass) content(ctx context.Context, c meta.Scrubbable) error {
	if !c.Damaged && c.VerifiedAt.UnixMilli() >= p.at.Began {
		return p.behind(ctx, c)
	}
	if p.at.Content != c.Content {
		p.at.Content, p.at.At = c.Content, position{}
	}
	var unsaved error
	v, found, err := p.read(ctx, c.Content, p.at.At, func(at position, size int64) error {
		p.at.At = at
		p.tell(at.bytes(size))
		unsaved = p.save(ctx, false)
		return unsaved
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case unsaved != nil:
		return unsaved
	case holder.Of(err) != nil:
		p.row = 0 // a pass of the node that has it reads it
	case err == nil, protocol.KindOf(err) == protocol.KindNotFound:
		p.row, p.at.Waits = 0, 0
		if found == healed {
			p.at.Healed++
		}
		if found != unsettled {
			p.sound = append(p.sound, v)
		}
		if err == nil {
			p.cfg.Scrubbed(false)
		}
	case protocol.KindOf(err) == protocol.KindContentCorrupt:
		p.row, p.at.Waits = 0, 0
		p.at.Damaged++
		p.cfg.Scrubbed(true)
	default:
		return p.unread(ctx, c, err)
	}
	return p.behind(ctx, c)
}

// unread passes over a content that cannot be read now. Where there are more
// such in a row a store is away, and the pass waits with the first of them.
func (p *pass) unread(ctx context.Context, c meta.Scrubbable, err error) error {
	if p.row == 0 {
		p.rowAt = p.at
		p.log.WarnContext(ctx, "a content cannot be read to scrub it", "content", c.Content, "err", err)
	}
	p.row++
	p.at.Unread++
	if p.row < rowMax || p.at.Waits >= awayMax {
		return p.behind(ctx, c)
	}
	p.at = p.rowAt
	p.at.Waits++
	p.log.WarnContext(ctx, "the scrub waits: contents in a row cannot be read", "contents", p.row, "again_in", awayPause)
	return job.Snooze(awayPause)
}

// behind goes on with the next content.
func (p *pass) behind(ctx context.Context, c meta.Scrubbable) error {
	p.at.After, p.at.Done = c.Content, p.at.Done+c.Size
	p.at.Content, p.at.At = 0, position{}
	p.tell(0)
	return p.save(ctx, len(p.sound) >= saveMax)
}

// tell says how far the pass is, with so many bytes of the content it is at.
func (p *pass) tell(into int64) {
	var note []string
	for _, n := range [...]struct {
		n    int
		what string
	}{{p.at.Damaged, "damaged"}, {p.at.Healed, "healed"}, {p.at.Unread, "not readable"}} {
		if n.n > 0 {
			note = append(note, fmt.Sprintf("%d %s", n.n, n.what))
		}
	}
	total := p.at.Total
	p.run.Progress(protocol.JobProgress{Done: min(p.at.Done+into, total), Total: &total, Unit: "bytes", Note: strings.Join(note, ", ")})
}

// save records what was found sound, and where the pass is: now, or where that
// was a while ago.
func (p *pass) save(ctx context.Context, now bool) error {
	if at := p.cfg.Now(); now || at.Sub(p.saved) >= saveEvery || at.Before(p.saved) {
		p.saved = at
		if err := p.cfg.Meta.MarkVerified(ctx, p.sound); err != nil {
			return err
		}
		p.sound = nil
		if err := p.run.Save(ctx, p.at); err != nil {
			return err
		}
		crashpoint.Hit(crashpoint.ScrubSaved)
	}
	return nil
}
