package digest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// outcome is what is to be recorded of some files.
type outcome struct {
	// found is what was found of contents, known the same by content.
	found []meta.FoundOut
	known map[meta.ContentID]meta.Findings
	done  []meta.DigestDue
	// away cannot be read now, why says the first time why; damaged are
	// damaged; elsewhere are not to be read.
	away, damaged, elsewhere []protocol.UID
	why                      error
}

// look looks at the first of the files that are due, until they are enough to
// be recorded, and records that. It gives how many they were: each is done then,
// or put off, or was changed meanwhile.
func (w *Worker) look(ctx context.Context, due []meta.DigestDue, k *keeper, done *tally, tell func()) (n int, err error) {
	o := outcome{known: map[meta.ContentID]meta.Findings{}}
	for begun := done.bytes; n < len(due) && done.bytes-begun < batchBytes; n++ {
		err := w.lookAt(ctx, due[n], k, &o, func(n int64) { done.bytes += n; tell() })
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		o.putOff(due[n].UID, err)
		done.files++
	}
	tell()
	defer w.tellLooked()
	return n, w.record(ctx, o)
}

// lookAt looks at one file. Where its content was looked at before, for another
// one, it is not read again.
func (w *Worker) lookAt(ctx context.Context, d meta.DigestDue, k *keeper, o *outcome, read func(n int64)) error {
	if d.State == meta.ContentDamaged && !d.SumsKnown {
		return protocol.Errorf(protocol.KindContentCorrupt, "the content is marked as damaged")
	}
	if !d.DigestKnown {
		return w.fill(ctx, d, read)
	}
	if !d.SumsKnown {
		f, seen := o.known[d.Content]
		if !seen {
			var err error
			if f, err = w.findings(ctx, d, k, read); err != nil {
				return err
			}
			o.known[d.Content], o.found = f, append(o.found, meta.FoundOut{Content: d.Content, Findings: f})
		}
		d.MediaType = f.MediaType
	}
	o.done = append(o.done, d)
	return nil
}

// putOff notes that a file is to be tried again where its content was looked at
// with err. One that was moved meanwhile is as the next list has it.
func (o *outcome) putOff(uid protocol.UID, err error) {
	switch {
	case err == nil, errors.Is(err, meta.ErrGenChanged):
	case errors.Is(err, errElsewhere):
		o.elsewhere = append(o.elsewhere, uid)
	case protocol.KindOf(err) == protocol.KindContentCorrupt:
		o.damaged = append(o.damaged, uid)
	default:
		o.away = append(o.away, uid)
		if o.why == nil && protocol.KindOf(err) != protocol.KindNotFound {
			o.why = err
		}
	}
}

func (w *Worker) record(ctx context.Context, o outcome) error {
	crashpoint.Hit(crashpoint.DigestRead)
	if len(o.done) > 0 {
		if err := w.cfg.Meta.RecordFindings(ctx, o.found, o.done); err != nil {
			return fmt.Errorf("record findings: %w", err)
		}
	}
	crashpoint.Hit(crashpoint.DigestRecorded)
	if o.why != nil {
		w.log.WarnContext(ctx, "contents cannot be read for their digests now; they are tried again", "files", len(o.away), "in", retryAway, "err", o.why)
	}
	for _, late := range []struct {
		uids  []protocol.UID
		after time.Duration
	}{{o.away, retryAway}, {o.damaged, retryDamaged}} {
		if len(late.uids) == 0 {
			continue
		}
		if err := w.cfg.Meta.PutOffDigests(ctx, late.uids, late.after); err != nil {
			return err
		}
	}
	if len(o.elsewhere) == 0 {
		return nil
	}
	return w.cfg.Meta.LeaveDigests(ctx, o.elsewhere, w.cfg.Stores)
}
