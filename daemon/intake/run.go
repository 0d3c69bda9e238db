package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// pageInPlace and pageCopied are how many objects are recorded at once. What
	// was copied of a page is found again after a kill, so that its length costs
	// looking only.
	pageInPlace = 256
	pageCopied  = 64
	// again is after how long an import goes on that came further before it
	// failed; one that did not is tried with growing pauses, as every job.
	again = 5 * time.Second
	// patience is how often an object that cannot be read is tried, though its
	// store answers, before it alone is passed over.
	patience = 3
	// elsewherePause is how long an import is left alone that a node took which does
	// not have its store.
	elsewherePause = 5 * time.Second
)

// place is where an import is, as it is kept for the next attempt.
type place struct {
	// After is the name of the object that was last, which may be any bytes.
	After []byte `json:"after"`
	// Seq is how many entries there are; Already and Failed are among them.
	Seq     int64 `json:"seq"`
	Already int64 `json:"already"`
	Failed  int64 `json:"failed"`
	// Tries are how often objects on the page behind that could not be read, by
	// name.
	Tries map[string]int `json:"tries,omitempty"`
}

// run is an attempt at an import.
type run struct {
	*Worker
	job *job.Run
	Args
	src *source
	at  place
	// path are the folders that the last object lies in.
	path []folder
	// moved: this attempt came further.
	moved bool
}

// Do is the handler of the job.
func (w *Worker) Do(ctx context.Context, r *job.Run, a Args) (err error) {
	if name := a.store(); w.cfg.Peers && name != "" && w.cfg.Stores[name] == nil {
		r.Progress(protocol.JobProgress{Unit: "objects", Note: "waits for a node that has store " + name})
		return job.Snooze(elsewherePause)
	}
	src, err := w.open(a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	im := &run{Worker: w, job: r, Args: a, src: src}
	if _, err := r.Saved(&im.at); err != nil {
		return err
	}
	return im.outcome(ctx, im.pages(ctx))
}

// outcome is how the attempt ends.
func (im *run) outcome(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case protocol.KindOf(err) == protocol.KindQuotaExceeded:
		return job.Hopeless(err)
	case im.moved:
		im.log.WarnContext(ctx, "an import was interrupted, and goes on", "job", im.job.Job.ID, "in", again, "err", err)
		return job.Snooze(again)
	}
	return err
}

// pages goes through the objects.
func (im *run) pages(ctx context.Context) error {
	length := pageCopied
	if im.InPlace {
		length = pageInPlace
	}
	var page []listed
	for f, err := range im.src.Browse(ctx, im.src.prefix, string(im.at.After)) {
		if err != nil {
			return fmt.Errorf("list the objects: %w", err)
		}
		l, ok, err := im.look(ctx, f)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if page = append(page, l); len(page) < length {
			continue
		}
		if err := im.page(ctx, page); err != nil {
			return err
		}
		page = page[:0]
	}
	if err := im.page(ctx, page); err != nil {
		return err
	}
	im.tell()
	return ctx.Err()
}

// page makes files of a page of objects, and records that.
func (im *run) page(ctx context.Context, page []listed) error {
	if len(page) == 0 {
		return ctx.Err()
	}
	crashpoint.Hit(crashpoint.ImportListed)
	list := im.items(page)
	if err := im.known(ctx, list); err != nil {
		return err
	}
	take := im.copyAll
	if im.InPlace {
		take = im.takeAll
	}
	if err := take(ctx, list); err != nil {
		return err
	}
	if err := im.putOff(ctx, list); err != nil {
		return err
	}
	return im.record(ctx, list, page[len(page)-1].Name)
}

// putOff has the import go on with the page later where objects on it could not
// be read. Their tries are their own and none of the job's, which are for when
// nothing can be read. In place the whole page is tried again: what each object
// has used of its tries stays known whatever becomes of it in between, so that
// there is an end to that.
func (im *run) putOff(ctx context.Context, list []*item) error {
	tries := map[string]int{}
	most := 0
	for _, it := range list {
		n := im.at.Tries[it.Name]
		if it.unread {
			n++
		}
		if n > 0 {
			tries[it.Name] = n
		}
		if it.later {
			most = max(most, n)
		}
	}
	if most == 0 {
		return nil
	}
	im.at.Tries = tries
	if err := im.job.Save(ctx, im.at); err != nil {
		return err
	}
	return job.Snooze(time.Duration(most) * again)
}

// record records what became of the objects up to the one named.
func (im *run) record(ctx context.Context, list []*item, last string) error {
	next := im.at
	next.Tries = nil
	next.After, next.Seq = []byte(last), next.Seq+int64(len(list))
	entries := make([]meta.ImportEntry, len(list))
	for i, it := range list {
		entries[i] = it.entry
	}
	// Of the page itself nobody knows yet how much was there already: a kill now
	// costs that much of what is told.
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	done, err := im.cfg.Meta.RecordImport(ctx, im.job.Job.ID, im.at.Seq, entries, text)
	if err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.ImportRecorded)
	im.cfg.Committed()
	im.at, im.moved = next, true
	for _, e := range done {
		im.count(e)
	}
	im.tell()
	return nil
}

func (im *run) count(e meta.ImportEntry) {
	switch e.Outcome {
	case protocol.ImportFailed:
		im.at.Failed++
	case protocol.ImportAlready:
		im.at.Already++
	}
}

// tell says how far the import is.
func (im *run) tell() {
	var note []string
	if n := im.at.Already; n > 0 {
		note = append(note, fmt.Sprintf("%d there already", n))
	}
	if n := im.at.Failed; n > 0 {
		note = append(note, fmt.Sprintf("%d failed", n))
	}
	im.job.Progress(protocol.JobProgress{Done: im.at.Seq, Unit: "objects", Note: strings.Join(note, ", ")})
}
