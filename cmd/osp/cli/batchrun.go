package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/cmd/osp/batch"
	"github.com/osproxy/osproxy/protocol"
)

// batchRun is one run of one batch.
type batchRun struct {
	s      *session
	o      *runOptions
	batch  *batch.Batch
	engine *transfer.Engine
	// journal is nil without one; history is then that of no run.
	journal *batch.Journal
	history *batch.History

	// given counts the lines that were begun or skipped, skipped the latter.
	given, skipped int
	// unreadable is why the lines ended early.
	unreadable error
	failures   atomic.Int64
}

// run does all lines that are to be done.
func (r *batchRun) run(ctx context.Context) error {
	progress := &transfer.Progress{}
	engine, err := r.s.engine(r.o.parts, progress)
	if err != nil {
		return err
	}
	r.engine = engine
	if err := r.openJournal(ctx); err != nil {
		return err
	}
	r.expect(progress)
	rep := r.s.report(opRun, r.s.runText)
	rep.failIfEmpty, rep.again = r.o.failIfEmpty && r.batch.Len() == 0, ""
	if r.journal != nil {
		rep.again = againSame
		rep.resume = func(transfer.ID) string { return againSame }
	}
	stop := r.s.show(progress, false)
	r.s.workThrough(ctx, rep, r.items(ctx), r.o.jobs)
	stop()
	r.finish(ctx, rep)
	r.s.code = rep.close(r.s.now())
	return nil
}

// openJournal opens the journal of this batch on this daemon, where one is
// wanted.
func (r *batchRun) openJournal(ctx context.Context) error {
	if r.o.journal == "" {
		return nil
	}
	if _, err := os.Stat(r.o.journal); r.o.retryFailed && errors.Is(err, fs.ErrNotExist) {
		return usagef("there is no journal %s, so no line is known to have failed", r.o.journal)
	}
	caps, err := r.engine.Capabilities(ctx)
	if err != nil {
		return stopped(ctx, err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return &protocol.Error{Kind: protocol.KindLocalIO, Message: "the current folder cannot be found", Err: err}
	}
	subject := batch.Subject{Batch: r.batch, ServerID: caps.ServerID, Dir: dir}
	if r.s.dryRun {
		if r.history, err = batch.Peek(r.o.journal, subject); err == nil {
			r.s.cleanup = append(r.s.cleanup, r.history.Close)
		}
		return err
	}
	j, err := batch.Open(r.o.journal, subject, r.s.now)
	if err != nil {
		return err
	}
	r.journal, r.history = j, &j.History
	return nil
}

// wanted reports whether a line is to be run, given what earlier runs did.
func (r *batchRun) wanted(past batch.Past) bool {
	return !past.Done && (!r.o.retryFailed || past.Failed)
}

// expect tells the progress of the files that are to be sent or fetched. How
// large those are that are fetched is not known yet.
func (r *batchRun) expect(progress *transfer.Progress) {
	for l, err := range r.batch.Lines() {
		if err != nil {
			return // told of when the lines are run
		}
		if !r.wanted(r.history.Past(l.Number)) {
			continue
		}
		switch l.Op {
		case batch.Put:
			expectFiles(progress, []string{l.Path})
		case batch.Get:
			progress.Expect(1, 0)
		}
	}
}

// items are the lines to run and those that are done already, in order, until
// something says that no more are to be begun.
func (r *batchRun) items(ctx context.Context) iter.Seq[item] {
	return func(yield func(item) bool) {
		for l, err := range r.batch.Lines() {
			if err != nil {
				r.unreadable = err
				return
			}
			if r.enough(ctx) {
				return
			}
			past := r.history.Past(l.Number)
			if !r.wanted(past) && (!past.Done || r.s.dryRun) {
				continue
			}
			r.given++
			if past.Done {
				r.skipped++
			}
			if !yield(r.item(l, past)) {
				return
			}
		}
	}
}

// enough reports whether no more lines are to be begun.
func (r *batchRun) enough(ctx context.Context) bool {
	return ctx.Err() != nil || r.o.maxErrors > 0 && r.failures.Load() >= int64(r.o.maxErrors) ||
		r.journal != nil && r.journal.Err() != nil
}

func (r *batchRun) item(l batch.Line, past batch.Past) item {
	it := item{op: string(l.Op), place: place{l.Number, l.ID}, known: transfer.Result{Path: l.Path, UID: l.UID}}
	switch l.Op {
	case batch.Put:
		it.kind = transfer.DirectionPut
	case batch.Get:
		it.kind = transfer.DirectionGet
	}
	it.run = func(ctx context.Context) (transfer.Result, error) { return r.noted(ctx, l, past) }
	if !past.Done {
		return it
	}
	end, err := r.history.Ended(l.Number)
	if err != nil {
		it.run = func(context.Context) (transfer.Result, error) { return transfer.Result{}, err }
		return it
	}
	it.done, it.known = true, resultOf(end)
	return it
}

// noted runs one line, and has the journal say so before and after.
func (r *batchRun) noted(ctx context.Context, l batch.Line, past batch.Past) (res transfer.Result, err error) {
	begun := protocol.TimeOf(r.s.now())
	if r.journal != nil {
		if begun, err = r.journal.Begin(l.Number); err != nil {
			return res, err
		}
	}
	res, err = r.do(ctx, l, past, begun)
	if err != nil {
		r.failures.Add(1)
	}
	if r.journal != nil {
		_ = r.journal.End(endOf(l, res, err)) // kept for finish
	}
	return res, err
}

func (r *batchRun) do(ctx context.Context, l batch.Line, past batch.Past, begun protocol.Time) (transfer.Result, error) {
	get := transfer.GetRequest{UID: l.UID, Path: l.Path, IfExists: transfer.IfExists(l.IfExists)}
	switch {
	case l.Op == batch.Put:
		return r.put(ctx, l, past, begun)
	case l.Op == batch.Get && r.s.dryRun:
		return r.engine.WouldGet(ctx, get)
	case l.Op == batch.Get:
		return r.engine.Get(ctx, get)
	}
	return r.remove(ctx, l, past)
}

func (r *batchRun) remove(ctx context.Context, l batch.Line, past batch.Past) (res transfer.Result, err error) {
	if r.s.dryRun {
		res, err = r.engine.WouldRemove(ctx, l.UID)
	} else {
		res, err = r.engine.Remove(ctx, l.UID)
	}
	if !past.Open || protocol.KindOf(err) != protocol.KindNotFound {
		return res, err
	}
	// An earlier run was about to delete it, and nobody saw its answer.
	res.Outcome = transfer.Deleted
	if r.s.dryRun {
		res.Outcome, res.Would = transfer.Skipped, transfer.Deleted
	}
	return res, nil
}

func (r *batchRun) put(ctx context.Context, l batch.Line, past batch.Past, begun protocol.Time) (transfer.Result, error) {
	if past.Open {
		if past.UID == 0 && begun.Sub(past.Since.Time) > keyKnown {
			return transfer.Result{}, tooLate(l, past)
		}
		// A put that may have been made is asked for again in the same words,
		// or the daemon would not know it.
		begun = past.Since
	}
	req := transfer.PutRequest{Path: l.Path, Name: l.Name, MediaType: l.MediaType, Meta: l.Meta}
	var err error
	if req.ExpiresAt, err = expiryOf("expires", l.Expires, begun.Time); err != nil {
		return transfer.Result{}, err
	}
	if r.s.dryRun {
		if r.o.journal != "" {
			req.Once = &transfer.Once{UID: past.UID}
		}
		return r.engine.WouldPut(ctx, req)
	}
	if req.MediaType == "" {
		req.MediaType = sniffFile(l.Path)
	}
	if r.journal != nil {
		req.Once = &transfer.Once{Key: r.journal.Key(l.Number), UID: past.UID,
			Begun: func(uid protocol.UID) error { return r.journal.Begun(l.Number, uid) }}
	}
	return r.engine.Put(ctx, req)
}

// keyKnown is how long a daemon is sure to know the Idempotency-Key of a put:
// 24 h, less what two clocks may differ by in a day.
const keyKnown = 23 * time.Hour

// tooLate is the end of a put of which nobody can say any more whether an
// earlier run made it. It is made when it is asked for once more.
func tooLate(l batch.Line, past batch.Past) error {
	name := cmp.Or(l.Name, filepath.Base(l.Path))
	return &protocol.Error{Kind: protocol.KindConflict,
		Message: fmt.Sprintf("an earlier run began this at %s and saw no end of it, so it may be stored; nothing was sent", past.Since),
		Hint:    "Look with osp ls " + shellWord(name) + ". Run the same command again to store it, as another file where it is."}
}

// finish closes the journal and tells the report of what is no line's result.
func (r *batchRun) finish(ctx context.Context, rep *report) {
	failed := r.unreadable
	if r.journal != nil {
		if err := r.journal.Close(); err != nil {
			failed = err
		}
	}
	left := r.batch.Len() - r.given - (r.history.Done() - r.skipped)
	switch {
	case failed != nil:
		r.s.con.note(explain("run", "", failed))
		rep.leave(left, exitOf(failed))
	case ctx.Err() != nil && left > 0:
		rep.leave(left, exitOf(stopped(ctx, context.Cause(ctx))))
	case left > 0:
		rep.leave(left, exitPartial)
	}
}

// runText is the line that put or get would have printed.
func (s *session) runText(o outcome) string {
	if o.op == opRemove {
		return ""
	}
	return s.resumeText(o)
}

// endOf is what the journal keeps of a line. Of one that failed that is little:
// it will be run again.
func endOf(l batch.Line, res transfer.Result, err error) batch.End {
	end := batch.End{Line: l.Number, ID: orNull(l.ID), Op: l.Op, OK: err == nil, Outcome: string(transfer.Failed)}
	if err != nil {
		end.Code = orNull(protocol.KindOf(err))
		return end
	}
	end.Outcome, end.Path, end.UID, end.Name, end.Digest = string(res.Outcome), orNull(res.Path), orNull(res.UID), orNull(res.Name), res.Digest
	if l.Op != batch.Remove {
		end.Size = &res.Size
	}
	return end
}

// resultOf is the result of a line that an earlier run did.
func resultOf(end batch.End) transfer.Result {
	res := transfer.Result{Outcome: transfer.Skipped, Digest: end.Digest}
	if end.Path != nil {
		res.Path = *end.Path
	}
	if end.UID != nil {
		res.UID = *end.UID
	}
	if end.Name != nil {
		res.Name = *end.Name
	}
	if end.Size != nil {
		res.Size = *end.Size
	}
	return res
}
