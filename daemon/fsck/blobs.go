package fsck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

// blob checks one row against what refers to it, and hands the look at its
// object to looks.
func (c *checker) blob(ctx context.Context, looks *errgroup.Group, b meta.BlobRefs) error {
	c.count(func(n *Counts) { n.Blobs++ })
	c.onOther(b)
	used := b.Extents+b.Parts > 0
	switch b.State {
	case meta.BlobWriting:
		if b.OpenUpload == 0 && b.Job == 0 {
			c.pending(b.Store, b.Key, "its writer is gone; the sweep removes it")
		}
		if b.Extents > 0 {
			c.found(c.ofBlob(b, KindExtents, "contents refer to a blob that is still being written"))
		}
	case meta.BlobLive:
		switch {
		case used || b.OpenUpload != 0:
		case b.Offered:
			c.pending(b.Store, b.Key, "nothing refers to it any more; the sweep removes it")
		default:
			c.found(c.ofBlob(b, KindUnreferenced, "nothing refers to this blob, and the sweep does not know of it"))
		}
	case meta.BlobDoomed:
		if b.DoomedAt == nil || c.now.Sub(*b.DoomedAt) >= c.cfg.Grace {
			c.pending(b.Store, b.Key, "doomed, and its grace period is over; the sweep removes it")
		}
	}
	if used && (b.State == meta.BlobDoomed || b.State == meta.BlobGone) {
		c.found(c.ofBlob(b, KindDoomed, "bytes in use are in a blob that is "+string(b.State)))
	}
	if b.Extents == 0 {
		return nil // parts look after their bytes themselves
	}
	looks.Go(func() error { return c.bytesOf(ctx, b) })
	return ctx.Err()
}

// bytesOf checks that the object of a blob that contents refer to is there, and
// as long as it is to be.
func (c *checker) bytesOf(ctx context.Context, b meta.BlobRefs) error {
	st := c.store(b.Store)
	if st == nil {
		return nil
	}
	info, err := st.Stat(ctx, store.Key(b.Key))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, store.ErrNotFound):
		c.found(c.ofBlob(b, KindMissing, "the object is not in the store; put the files again to heal them"))
	case err != nil:
		c.found(c.ofBlob(b, KindStore, "the object cannot be looked at: "+err.Error()))
	case b.Parts > 0: // they look after their bytes themselves
	case info.Size < b.MaxEnd:
		c.found(c.ofBlob(b, KindTruncated, fmt.Sprintf("the object has %d bytes, of which the first %d are in use; put the files again to heal them", info.Size, b.MaxEnd)))
	case info.Size > b.Size && b.Overlong:
		c.pending(b.Store, b.Key, fmt.Sprintf("%d bytes beyond its end are of no use; the daemon cuts them off", info.Size-b.Size))
	case info.Size > b.Size:
		c.found(c.ofBlob(b, KindOverlong, fmt.Sprintf("the object has %d bytes and is to have %d; what is beyond is of no use", info.Size, b.Size)))
	}
	return nil
}

func (c *checker) ofBlob(b meta.BlobRefs, k Kind, detail string) Finding {
	return Finding{Kind: k, UIDs: b.UIDs, Store: b.Store, Key: b.Key, Detail: detail}
}

// objects checks that a store holds nothing but the objects of blobs. It knows
// the blobs of one directory at a time.
func (c *checker) objects(ctx context.Context, name string, st *store.Store) {
	reserved, err := c.cfg.Meta.OpenDirs(ctx, name)
	if err != nil {
		c.database(err)
		return
	}
	open := map[store.Dir]bool{}
	for _, n := range reserved {
		open[store.DirOf(n)] = true
	}
	var dir store.Dir
	var blobs map[string]meta.BlobState
	for info, err := range st.List(ctx, "", "") {
		if err != nil {
			if ctx.Err() == nil {
				c.unusableStore(name, err.Error())
			}
			return
		}
		c.count(func(n *Counts) { n.Objects++ })
		if d := info.Key.Dir(); d != dir {
			if blobs, err = c.cfg.Meta.BlobsIn(ctx, name, string(d)+"/"); err != nil {
				c.database(err)
				return
			}
			dir = d
		}
		c.object(name, info, blobs, open[dir])
	}
	c.strays(ctx, name, st)
	c.unfinished(ctx, name, st)
}

// unfinished looks for what was begun in a store, and will be ended by the sweep
// since nobody finishes it: the storage keeps, and charges for, what was copied.
func (c *checker) unfinished(ctx context.Context, name string, st *store.Store) {
	composer, ok := st.Composer()
	if !ok {
		return
	}
	for u, err := range composer.Unfinished(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				c.found(Finding{Kind: KindStore, Store: name, Detail: err.Error()})
			}
			return
		}
		going, err := c.cfg.Meta.Composing(ctx, name, string(u.Key), string(u.ID))
		if err != nil {
			c.database(err)
			return
		}
		if !going {
			c.pending(name, string(u.Key), "an upload to the store that was begun "+u.Begun.UTC().Format(time.RFC3339)+" and that nobody finishes; the sweep ends it, a day after it was begun where no blob has the name")
		}
	}
}

// object checks one object against the rows of its directory.
func (c *checker) object(name string, info store.Info, blobs map[string]meta.BlobState, reserved bool) {
	key := string(info.Key)
	state, ok := blobs[key]
	switch {
	case ok && state == meta.BlobGone:
		c.pending(name, key, "removed once, and there again; the sweep removes it")
	case ok:
	case reserved:
		c.pending(name, key, "a put that was not finished left it; the daemon removes it when it starts")
	default:
		c.found(Finding{Kind: KindExtra, Store: name, Key: key,
			Detail: fmt.Sprintf("no blob has this object of %d bytes, last written %s", info.Size, info.Time.UTC().Format(time.RFC3339))})
	}
}

// strays checks that nothing else lies there. In a store with foreign objects
// that files use others lie beside them: only what lies in a directory of keys is
// a stray then, and not where such an object lies in that.
func (c *checker) strays(ctx context.Context, name string, st *store.Store) {
	lister, ok := st.StrayLister()
	if !ok {
		return
	}
	shared, err := c.cfg.Meta.HasForeign(ctx, name, "")
	if err != nil {
		c.database(err)
		return
	}
	besides := c.besides(name)
	for stray, err := range lister.Strays(ctx) {
		if err != nil {
			if ctx.Err() == nil {
				c.found(Finding{Kind: KindStore, Store: name, Detail: err.Error()})
			}
			return
		}
		if shared {
			theirs, err := besides(ctx, stray)
			if err != nil {
				c.database(err)
				return
			}
			if theirs {
				continue
			}
		}
		c.found(Finding{Kind: KindStray, Store: name, Key: stray, Detail: "ospd did not put this here; move it away if nothing needs it"})
	}
}

// besides reports of a stray of a store with foreign objects whether it lies
// beside some. It remembers the directory of the one before.
func (c *checker) besides(name string) func(ctx context.Context, stray string) (bool, error) {
	var last string
	var theirs bool
	return func(ctx context.Context, stray string) (bool, error) {
		dir, _, below := strings.Cut(stray, "/")
		if !below || !store.Dir(dir).Valid() {
			return true, nil
		}
		if dir == last {
			return theirs, nil
		}
		last = dir
		var err error
		theirs, err = c.cfg.Meta.HasForeign(ctx, name, dir+"/")
		return theirs, err
	}
}
