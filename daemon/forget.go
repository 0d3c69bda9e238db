package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/sweep"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// forgetPage is how many rows one transaction forgets.
	forgetPage = 1000
	// namedInTheWay is how many of the uploads, or files, that are in the way an error
	// names.
	namedInTheWay = 5
)

// forget gives up the objects of a store that is gone for good, and counts them.
// What is past its time is ended before, since it is in the way else, and nothing
// opens the installation without the store but this; ended tells of that.
func (in *Installation) forget(ctx context.Context, sweeper *sweep.Sweeper, o Collecting, abandonAfter time.Duration) (objects int64, ended sweep.Report, err error) {
	name := o.ForgetStore
	if err := isKnown(ctx, in.DB, name); err != nil {
		return 0, ended, err
	}
	if err := in.stillAt(ctx, name, o.GoneFrom); err != nil {
		return 0, ended, err
	}
	if ended, err = sweeper.Expire(ctx); err != nil {
		return 0, ended, at(StageDatabase, err)
	}
	if ended.Held != "" {
		return 0, ended, fmt.Errorf("%w: %s", ErrClock, ended.Held)
	}
	if err := whole(ctx, in.DB.DoomOffered, in.DB.DoomOrphans); err != nil {
		return 0, ended, err
	}
	if o.EndUploads {
		n, err := in.endUploads(ctx, name)
		if ended.Abandoned += n; err != nil {
			return 0, ended, err
		}
	}
	if err := in.inTheWay(ctx, name, abandonAfter); err != nil {
		return 0, ended, err
	}
	endJobs := func(ctx context.Context, limit int) (int, error) { return in.DB.EndJobsInStore(ctx, name, limit) }
	if err := whole(ctx, endJobs, in.DB.DoomOrphans); err != nil {
		return 0, ended, err
	}
	objects, err = in.forgetRows(ctx, name)
	for _, node := range o.GoneFrom {
		if err == nil {
			err = at(StageDatabase, in.DB.ForgetSaidStore(ctx, meta.NodeID(node), nameOf(name)))
		}
	}
	return objects, ended, err
}

// endUploads ends the uploads that are open in a store, none where files keep it from
// being forgotten.
func (in *Installation) endUploads(ctx context.Context, name string) (ended int, err error) {
	use, err := in.DB.StoreUse(ctx, name)
	if err != nil || use == meta.StoreUsed {
		return 0, at(StageDatabase, err)
	}
	node, err := in.othersDisk(ctx, name)
	if err != nil {
		return 0, at(StageDatabase, err)
	}
	err = whole(ctx, func(ctx context.Context, limit int) (int, error) {
		n, err := in.DB.EndUploadsIn(ctx, name, node, limit)
		ended += n
		return n, err
	}, in.DB.DoomOffered, in.DB.DoomOrphans)
	return ended, err
}

// whole calls each, one after the other, until there is nothing more for it to do.
func whole(ctx context.Context, each ...func(context.Context, int) (int, error)) error {
	for _, do := range each {
		for n := 1; n > 0; {
			var err error
			if n, err = do(ctx, forgetPage); err != nil {
				return at(StageDatabase, err)
			}
		}
	}
	return nil
}

// isKnown is an error for a store that nothing tells of: a mistake. One that was
// always away has rows and is not known.
func isKnown(ctx context.Context, db *meta.DB, name string) error {
	known, err := db.KnownStores(ctx)
	if err != nil {
		return at(StageDatabase, err)
	}
	use, err := db.StoreUse(ctx, name)
	if err != nil {
		return at(StageDatabase, err)
	}
	if _, ok := known[name]; !ok && use == meta.StoreUnused {
		return at(StageConfig, fmt.Errorf("this installation knows no store %q; nothing was done", name))
	}
	return nil
}

// inTheWay is why a store cannot be forgotten, nil where files and uploads are not
// why.
func (in *Installation) inTheWay(ctx context.Context, name string, abandonAfter time.Duration) error {
	use, err := in.DB.StoreUse(ctx, name)
	if err != nil {
		return at(StageDatabase, err)
	}
	if use == meta.StoreUsed {
		return in.filesInTheWay(ctx, name)
	}
	if use != meta.StoreOpen {
		return nil
	}
	uids, err := in.DB.OpenUploadsIn(ctx, name, namedInTheWay+1)
	if err != nil {
		return at(StageDatabase, err)
	}
	var which []string
	for _, uid := range uids[:min(len(uids), namedInTheWay)] {
		which = append(which, uid.String())
	}
	if len(uids) > namedInTheWay {
		which = append(which, "and others")
	}
	return at(StageStore, fmt.Errorf("store %s: uploads are open that have bytes in it, or write there: %s; nothing of it was given up; "+
		"abort them, for which ospd has to run with the store configured, or run this again once they are abandoned, %s (abandon_after) after their last part; "+
		"where their bytes are lost, --end-uploads ends them now", name, strings.Join(which, ", "), abandonAfter))
}

// forgetRows gives up the rows of a store, a page at a time.
func (in *Installation) forgetRows(ctx context.Context, name string) (objects int64, err error) {
	for more := true; more; {
		c, goesOn, err := in.DB.ForgetStore(ctx, name, forgetPage)
		if protocol.KindOf(err) == protocol.KindConflict {
			return objects, at(StageStore, err)
		}
		if err != nil {
			return objects, at(StageDatabase, err)
		}
		objects, more = objects+c.Blobs, goesOn
	}
	return objects, nil
}
