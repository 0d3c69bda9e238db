// Package predecessor makes Files of what osproxy, which was there before ospd,
// kept: with the uids that applications have stored, and on the objects where
// they lie. It reads osproxy's database and changes nothing of osproxy's.
//
// What became of a page of rows is recorded in one transaction, and a uid is one
// File whatever happens, so that an import that was killed, or one for what came
// since, is the same import once more.
package predecessor

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// page is how many rows are recorded at once, and pageParts with how many parts
	// there are enough of them: one row may have 10,000. atOnce is how many objects
	// are looked at together.
	page      = 256
	pageParts = 4096
	atOnce    = 16
)

// Records is what an import needs of the metadata; meta.DB is the one.
type Records interface {
	Inherit(ctx context.Context, files []meta.Inherited) ([]meta.InheritResult, error)
	InheritedAlready(ctx context.Context, files []meta.Inherited) (map[protocol.UID]meta.InheritedAs, error)
	RaiseUIDFloor(ctx context.Context, uid protocol.UID) error
	Usage(ctx context.Context, owner protocol.Owner) (meta.Usage, error)
}

// Config is what an import needs.
type Config struct {
	Meta  Records
	Owner protocol.Owner
	// Quota is what the owner may have, as it is in force.
	Quota meta.Quota
	// IgnoreMD5 has the MD5s of rows not be taken over: Files are what their
	// objects are, also those of which another import said what was not found.
	IgnoreMD5 bool
	// Places is where osproxy's objects are.
	Places Places
	// DryRun has everything be looked at and nothing be changed.
	DryRun bool
	// Tell is told of each row of which an operator should know, one at a time,
	// Progress how far it is after each page. Progress may be nil.
	Tell     func(Row) error
	Progress func(Summary)
}

// Outcome is what an operator should know of a row.
type Outcome string

// The outcomes there are. Of the first three there is no File.
const (
	// Missing is a row whose object is not there.
	Missing Outcome = "missing"
	// OtherSize is one whose object has another size.
	OtherSize Outcome = "other_size"
	// Failed is one of which no File can be made for another reason.
	Failed Outcome = "failed"
	// Changed is one that changed since its File was made, so that its File is not
	// what the row says, and cannot be.
	Changed Outcome = "changed"
	// Renamed is one whose name no File can have.
	Renamed Outcome = "renamed"
	// Doubled is one beside which others of its uid mean another object.
	Doubled Outcome = "doubled"
	// Unsummed is one whose MD5 is none.
	Unsummed Outcome = "unsummed"
)

// Row is a row of which an operator should know.
type Row struct {
	UID     int64
	Name    string
	Object  string
	Outcome Outcome
	Message string
}

// TellError is that of a Tell: a row was not told of. What was recorded stays.
type TellError struct{ error }

// Unwrap gives the cause.
func (e *TellError) Unwrap() error { return e.error }

// Summary counts what became of the rows.
type Summary struct {
	// Rows are the uids there are, of which Done have been looked at.
	Rows, Done int64
	// Imported are new Files, of so many Bytes; Already were there, and so were
	// Updated, whose rows have changed since; Deleted were, too, and have been
	// deleted since.
	Imported, Bytes, Already, Updated, Deleted int64
	// Unfinished are uids to which nothing was uploaded.
	Unfinished int64
	Told       map[Outcome]int64
	// Quota is of a dry run that looked at everything, and of an import that the
	// quota ended; nil else.
	Quota *Reckoning
}

// Whole reports whether every row to which something was uploaded has its File,
// or had.
func (s Summary) Whole() bool {
	return s.Told[Missing]+s.Told[OtherSize]+s.Told[Failed]+s.Told[Changed] == 0
}

// run is one import.
type run struct {
	Config
	sum Summary
	// wanted is what a dry run would have of the owner's quota, or, of an import
	// that the quota ended, what is left.
	wanted meta.Usage
}

// Run imports what a source has. The rows up to the error, if there is one, are
// imported. It is KindQuotaExceeded where the owner may not have all of them, of a
// dry run at its end.
func Run(ctx context.Context, src *Source, cfg Config) (Summary, error) {
	if cfg.Progress == nil {
		cfg.Progress = func(Summary) {}
	}
	r := &run{Config: cfg, sum: Summary{Rows: src.rows, Told: map[Outcome]int64{}}}
	err := r.pages(ctx, src)
	return r.sum, err
}

func (r *run) pages(ctx context.Context, src *Source) error {
	// Before the first File has one of these uids none is given to another; also
	// of those to which nothing was uploaded, since applications may have them.
	if !r.DryRun && src.last > 0 {
		if err := r.Meta.RaiseUIDFloor(ctx, protocol.UID(src.last)); err != nil {
			return err
		}
	}
	for {
		rows, err := src.next(ctx)
		switch {
		case err != nil:
			return err
		case len(rows) == 0 && r.DryRun:
			return r.foretell(ctx)
		case len(rows) == 0:
			return nil
		}
		if err := r.page(ctx, rows); err != nil {
			if protocol.KindOf(err) == protocol.KindQuotaExceeded {
				err = r.beyond(ctx, src, err)
			}
			return err
		}
		r.sum.Done += int64(len(rows))
		r.Progress(r.sum)
	}
}

// item is a row on its way.
type item struct {
	row
	file meta.Inherited
	// sum is the MD5 of its row, where that is one.
	sum *[md5.Size]byte
	// as is its File, where that may be of what the row was before; same: it is
	// of what the row is.
	as   *meta.InheritedAs
	same bool
	// ended: nothing more is done about it.
	ended bool
	tell  []Row
}

func (it *item) note(o Outcome, format string, args ...any) {
	it.tell = append(it.tell, Row{UID: it.uid, Name: it.file.Name, Object: it.object(), Outcome: o, Message: fmt.Sprintf(format, args...)})
}

// fail ends it, and what was to be said of its File is said of none.
func (it *item) fail(o Outcome, format string, args ...any) {
	it.ended, it.tell = true, nil
	it.note(o, format, args...)
}

func (r *run) page(ctx context.Context, rows []row) error {
	crashpoint.Hit(crashpoint.ImportListed)
	items := r.items(rows)
	err := r.known(ctx, items)
	if err == nil {
		err = r.locate(ctx, items)
	}
	if err == nil {
		err = r.record(ctx, items)
	}
	if err != nil {
		return err
	}
	for _, it := range items {
		for _, t := range it.tell {
			r.sum.Told[t.Outcome]++
			if err := r.Tell(t); err != nil {
				return &TellError{err}
			}
		}
	}
	return nil
}

// items are the rows to which something was uploaded.
func (r *run) items(rows []row) (items []*item) {
	for _, row := range rows {
		if row.status != uploaded {
			r.sum.Unfinished++
			continue
		}
		it := &item{row: row}
		it.plan(r.Owner, r.IgnoreMD5)
		items = append(items, it)
	}
	return items
}

// open are those of which Files are to be made.
func open(items []*item) (list []*item, files []meta.Inherited) {
	for _, it := range items {
		if !it.ended {
			list, files = append(list, it), append(files, it.file)
		}
	}
	return list, files
}

// known ends those whose uid is known here, unless the row has changed since.
func (r *run) known(ctx context.Context, items []*item) error {
	list, files := open(items)
	known, err := r.Meta.InheritedAlready(ctx, files)
	if err != nil {
		return err
	}
	for _, it := range list {
		as, ok := known[it.file.UID]
		switch {
		case !ok:
		case as.Outcome != meta.InheritAlready:
			r.end(it, as.InheritResult)
		default:
			r.compare(it, as)
		}
	}
	return nil
}

// end says what became of a row.
func (r *run) end(it *item, result meta.InheritResult) {
	it.ended = true
	switch result.Outcome {
	case meta.InheritMade:
		r.sum.Imported++
		r.sum.Bytes += it.file.Size()
		return
	case meta.InheritAlready:
		r.sum.Already++
	case meta.InheritUpdated:
		r.sum.Updated++
	case meta.InheritDeleted:
		r.sum.Deleted++
	case meta.InheritRefused:
		if it.as != nil {
			it.changed(result.Why)
			return
		}
		it.fail(Failed, "%s", result.Why)
		return
	}
	it.tell = nil // it was told when the File was made
}

// locate finds the objects, some at once.
func (r *run) locate(ctx context.Context, items []*item) error {
	list, _ := open(items)
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, it := range list {
		g.Go(func() error { return r.look(within, it) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, it := range list {
		if it.same && !it.unsays(*it.as) {
			r.end(it, it.as.InheritResult)
		}
	}
	return nil
}

// find finds the objects of one row.
func (r *run) find(ctx context.Context, it *item) error {
	var size int64
	for _, p := range it.pieces() {
		o, err := r.Places.find(ctx, p.Bucket, p.Name)
		refusal, refused := errors.AsType[*refusal](err)
		switch {
		case refused:
			it.fail(refusal.outcome, "%s", refusal.why)
			return nil
		case err != nil:
			return err
		case p.Size != nil && *p.Size != o.Size:
			it.fail(OtherSize, "%s has %d bytes, its row says %d", p.object(), o.Size, *p.Size)
			return nil
		}
		it.file.Objects = append(it.file.Objects, o)
		size += o.Size
	}
	if it.size != nil && *it.size != size {
		it.fail(OtherSize, "its %d parts have %d bytes, its row says %d", len(it.file.Objects), size, *it.size)
	}
	return nil
}

// record makes the Files.
func (r *run) record(ctx context.Context, items []*item) error {
	list, files := open(items)
	if len(list) == 0 {
		return ctx.Err()
	}
	results := make([]meta.InheritResult, len(files))
	if r.DryRun {
		for i := range results {
			results[i].Outcome = meta.InheritMade
			if it := list[i]; it.as != nil {
				results[i].Outcome = meta.InheritUpdated
			}
			r.want(list[i], files[i].Size())
		}
	} else {
		var err error
		if results, err = r.Meta.Inherit(ctx, files); err != nil {
			for i, it := range list { // of none of them there is a File
				r.want(it, files[i].Size())
			}
			return err
		}
		crashpoint.Hit(crashpoint.ImportRecorded)
	}
	for i, it := range list {
		r.end(it, results[i])
	}
	return nil
}
