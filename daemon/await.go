package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

const (
	// storeTimeout is how long a store has to answer when its mark is to be read.
	storeTimeout = 30 * time.Second
	// awaitEvery is how long a store that could not be reached is left alone.
	awaitEvery = 5 * time.Second
	// awaitMax is how long one is that answered, and whose answer does not pass,
	// after some of them: each such pause is twice the one before.
	awaitMax = 5 * time.Minute
)

// claim is a store whose mark is to be read before anything else is asked of it,
// and to be set where no blob has ever been in it.
type claim struct {
	st     *store.Store
	kind   string
	before bool // the database knows it
	noted  bool // and that it is of this kind
	// bucket is what others are held to that come later, empty where there are none.
	bucket meta.NotedBucket
}

// reach makes sure that the store is this installation's and lets us work. Nothing
// is written to it before its mark was judged.
func (c claim) reach(ctx context.Context, installation string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return c.st.Reach(ctx, installation, c.before)
}

// note has the database know the store.
func (c claim) note(ctx context.Context, db *meta.DB) error {
	if !c.noted {
		if c.kind != "local" { // whose disk had the name before matters no more
			if err := db.ForgetStoreHome(ctx, c.st.Name()); err != nil {
				return err
			}
		}
		if err := errors.Join(db.RememberStore(ctx, c.st.Name()), db.NoteStoreType(ctx, c.st.Name(), c.kind)); err != nil {
			return err
		}
	}
	if c.bucket.Bucket == "" {
		return nil
	}
	return db.NoteStoreBucket(ctx, c.st.Name(), c.bucket)
}

// await opens the stores that could not be reached at the start as they come
// back, until all have or ctx ends. Until then a store is shut: requests that need
// it are told to come again, and nothing is read or written in a storage whose mark
// was not seen. One that turns out to be another installation's, or to refuse us,
// stays shut, and is asked ever less often: whoever looks at /readyz or the log
// sees why.
func (in *Installation) await(ctx context.Context, log *slog.Logger, pause func(context.Context, time.Duration) error) {
	var wg sync.WaitGroup
	for _, c := range in.awaited {
		wg.Go(func() { in.awaitStore(ctx, c, log.With("store", c.st.Name()), pause) })
	}
	wg.Wait()
}

func (in *Installation) awaitStore(ctx context.Context, c claim, log *slog.Logger, pause func(context.Context, time.Duration) error) {
	rest := awaitEvery
	log.Warn("a store cannot be reached; ospd serves what it can without it", "err", c.st.Away())
	for pause(ctx, rest) == nil {
		err := c.reach(ctx, in.ServerID)
		if err == nil {
			err = c.note(ctx, in.DB)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			c.st.Admit()
			log.Info("the store can be reached, and is used from now on")
			if note := c.st.Note(); note != "" {
				log.Warn("a store does not do all that others do", "note", note)
			}
			return
		case store.MayPass(err):
			rest = awaitEvery
		default:
			if store.MayPass(c.st.Away()) {
				log.Error("a store that could be reached again cannot be used", "err", err)
			}
			rest = min(2*rest, awaitMax)
		}
		c.st.Shut(err)
	}
}

// awaitPause is the pause of await.
func awaitPause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
