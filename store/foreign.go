package store

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"
)

// foreignMark begins the key of an object that ospd did not name. No key made
// by NewKey has it.
const foreignMark = "@"

// maxForeign bounds a foreign name, in bytes: what S3, OSS and COS take at most.
const maxForeign = 1024

// ForeignKey is the key of an object that was in the storage before ospd knew
// it: the name it has there, verbatim, counted from the bucket or the store's
// folder and not from the configured prefix. Such objects are read, described
// and, once adopted, deleted; they are never written.
func ForeignKey(name string) Key { return Key(foreignMark + name) }

// Foreign is the name of an object that ospd did not name, if k is one's key.
func (k Key) Foreign() (name string, ok bool) {
	name, ok = strings.CutPrefix(string(k), foreignMark)
	return name, ok && name != "" && len(name) <= maxForeign && !strings.ContainsRune(name, 0)
}

// CheckAny is Check, but passes the keys of foreign objects too.
func (k Key) CheckAny() error {
	if _, ok := k.Foreign(); ok || k.Valid() {
		return nil
	}
	return fmt.Errorf("%q: %w", string(k), ErrKey)
}

// Found is an object that lies in the storage and is not ospd's.
type Found struct {
	Name string
	Size int64
	Time time.Time
	// MediaType is what the storage says of it, "" where it says nothing, or
	// says it only of each object for itself (Browser.Describe).
	MediaType string
	// Tag changes with the object's bytes: its ETag, or what a file system
	// has in place of one. It is opaque.
	Tag string
	// Err, from Browse only, says why nothing but the name is known: a folder,
	// whose name ends with a slash, in which nothing can be looked for, or a file
	// that cannot be looked at. What lies beside it is found.
	Err error
}

// Browser is a backend whose storage may hold objects that are not ospd's. Its
// Get, Stat and Delete take their keys (ForeignKey), too; that of one without
// is ErrKey.
type Browser interface {
	// Browse yields the foreign objects whose name begins with prefix, in byte
	// order of the name, strictly after the given one: all but ospd's own
	// objects and its mark.
	Browse(ctx context.Context, prefix, after string) iter.Seq2[Found, error]
	// Describe is what Browse yields of one object, with all that is known of
	// it, or ErrNotFound.
	Describe(ctx context.Context, name string) (Found, error)
	// Marked reports whether the mark of another store lies in dir, which is ""
	// or ends with a slash: all whose name begins with dir is then that store's,
	// and of no use to anybody else, though Browse yields it.
	Marked(ctx context.Context, dir string) (bool, error)
}
