package predecessor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

// Place is a configured store in which osproxy's objects lie.
type Place struct {
	Store *store.Store
	// Folder: its objects are files of this machine.
	Folder bool
	// Others begin the names that are those of other stores of the configuration.
	Others []string
}

// Places are where osproxy's buckets are. osproxy has one for each kind of file
// (image, video, audio, doc, archive, unknown); on a disk they are folders.
type Places struct {
	// Buckets are stores that are one of the buckets each, by the bucket's name.
	Buckets map[string]Place
	// Rest has all the others: as folders of its bucket or folder, or, where it is
	// itself one of osproxy's buckets, without. nil: there is none.
	Rest *Place

	// within says how the objects of a bucket were called last in Rest: with the
	// bucket, or without.
	within *remembered[string, bool]
	// closed are the folders that were looked into for the mark of another store.
	closed *remembered[[2]string, bool]
}

// NewPlaces makes Places.
func NewPlaces(buckets map[string]Place, rest *Place) Places {
	return Places{Buckets: buckets, Rest: rest, within: &remembered[string, bool]{}, closed: &remembered[[2]string, bool]{}}
}

// refusal is why there is nothing to make a File of.
type refusal struct {
	outcome Outcome
	why     string
}

func (r *refusal) Error() string { return r.why }

func refuse(o Outcome, format string, args ...any) error {
	return &refusal{o, fmt.Sprintf(format, args...)}
}

// StoreError is that of a store that does not answer.
type StoreError struct{ error }

// Unwrap gives the cause.
func (e *StoreError) Unwrap() error { return e.error }

// candidate is where an object may be.
type candidate struct {
	Place
	name string
}

// candidates are where an object may be, the likeliest first.
func (p Places) candidates(bucket, object string) []candidate {
	if at, ok := p.Buckets[bucket]; ok {
		return []candidate{{at, object}}
	}
	if p.Rest == nil {
		return nil
	}
	list := []candidate{{*p.Rest, bucket + "/" + object}, {*p.Rest, object}}
	if within, ok := p.within.get(bucket); ok && !within {
		slices.Reverse(list)
	}
	return list
}

// find describes an object of osproxy's. A refusal is about this object alone.
func (p Places) find(ctx context.Context, bucket, object string) (o meta.HeldObject, err error) {
	for _, s := range []string{bucket, object} {
		if !fs.ValidPath(s) || s == "." || strings.ContainsRune(s, 0) {
			return o, refuse(Failed, "%q in %q is no name of an object", object, bucket)
		}
	}
	list := p.candidates(bucket, object)
	if len(list) == 0 {
		return o, refuse(Failed, "nobody said in which store the bucket %q is: give --store %s=NAME", bucket, bucket)
	}
	for _, c := range list {
		if o, err = p.describe(ctx, c); !errors.Is(err, store.ErrNotFound) {
			if err == nil {
				p.within.put(bucket, c.name != object)
			}
			return o, err
		}
	}
	return o, refuse(Missing, "there is no object %q in store %s", list[0].name, list[0].Store.Name())
}

// describe finds out how an object is. Of a folder it is opened, too: a File that
// nobody can read is worse than none.
func (p Places) describe(ctx context.Context, c candidate) (o meta.HeldObject, err error) {
	key := store.ForeignKey(c.name)
	if err := key.CheckAny(); err != nil {
		return o, refuse(Failed, "%q is no name of an object", c.name)
	}
	browser, ok := c.Store.Browser()
	if !ok {
		return o, refuse(Failed, "store %s does not have objects that are not ospd's", c.Store.Name())
	}
	f, err := browser.Describe(ctx, c.name)
	if err == nil {
		err = p.notAnothers(ctx, c, browser)
	}
	if err == nil && c.Folder {
		err = openable(ctx, c, key)
	}
	if err != nil {
		return o, c.judge(ctx, err)
	}
	return meta.HeldObject{Store: c.Store.Name(), Key: string(key), Size: f.Size, Tag: f.Tag}, nil
}

func openable(ctx context.Context, c candidate, key store.Key) error {
	rc, err := c.Store.Get(ctx, key, 0, 0)
	if err != nil {
		return err
	}
	return rc.Close()
}

// judge says which errors are about one object alone.
func (c candidate) judge(ctx context.Context, err error) error {
	_, known := errors.AsType[*refusal](err)
	switch {
	case known, ctx.Err() != nil, errors.Is(err, store.ErrNotFound):
		return err
	case errors.Is(err, fs.ErrPermission), errors.Is(err, store.ErrDenied):
		return refuse(Failed, "ospd may not read %q in store %s", c.name, c.Store.Name())
	case c.Store.Check(ctx) == nil:
		return refuse(Failed, "%q in store %s cannot be looked at, though the store answers: %q", c.name, c.Store.Name(), err.Error())
	}
	return &StoreError{fmt.Errorf("store %s: look at %q: %w", c.Store.Name(), c.name, err)}
}

// notAnothers refuses what belongs to another store of ospd's, of this
// installation or of another one: that may delete it.
func (p Places) notAnothers(ctx context.Context, c candidate, b store.Browser) error {
	for end := 0; ; {
		dir := c.name[:end]
		closed, err := p.anothers(ctx, c, b, dir)
		if err != nil {
			return err
		}
		if closed {
			return refuse(Failed, "%q lies in another store of ospd's (%q)", c.name, dir)
		}
		n := strings.IndexByte(c.name[end:], '/')
		if n < 0 {
			return nil
		}
		end += n + 1
	}
}

func (p Places) anothers(ctx context.Context, c candidate, b store.Browser, dir string) (bool, error) {
	at := [2]string{c.Store.Name(), dir}
	if closed, ok := p.closed.get(at); ok {
		return closed, nil
	}
	if slices.Contains(c.Others, dir) {
		return true, nil
	}
	closed, err := b.Marked(ctx, dir)
	if err != nil {
		return false, fmt.Errorf("look for the mark of a store in %q: %w", dir, err)
	}
	p.closed.put(at, closed)
	return closed, nil
}
