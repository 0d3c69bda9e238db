package object

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/osproxy/osproxy/store"
)

// markName is the name of the mark, below the prefix. No key has it.
const markName = "OSPD-STORE"

// maxPrefix leaves room for a key in the shortest names that a vendor takes.
const maxPrefix = 512

// segment is what a prefix may have between its slashes: what no store, and no
// file system below one, needs to escape.
var segment = regexp.MustCompile(`^[A-Za-z0-9!_.*'()-]+$`)

// Names turns keys into the names of objects and back. The zero value is that
// of a store without a prefix.
type Names struct{ prefix string }

// NewNames makes the names of a store with that prefix, which may end with a
// slash or not and is none where it is empty.
func NewNames(prefix string) (Names, error) {
	if prefix == "" {
		return Names{}, nil
	}
	clean := strings.TrimSuffix(prefix, "/")
	if len(clean) > maxPrefix {
		return Names{}, fmt.Errorf("%q has more than %d bytes", prefix, maxPrefix)
	}
	for s := range strings.SplitSeq(clean, "/") {
		switch {
		case !segment.MatchString(s):
			return Names{}, fmt.Errorf("%q: between slashes there must be letters, digits and !_.*'()- only", prefix)
		case s == "." || s == "..":
			return Names{}, fmt.Errorf("%q: %q is no name", prefix, s)
		case s == markName:
			return Names{}, fmt.Errorf("%q: %s is the name of the mark that ospd puts in a store", prefix, markName)
		}
	}
	return Names{clean + "/"}, nil
}

// Prefix begins the names of all that is ospd's: "" or what ends with a slash.
func (n Names) Prefix() string { return n.prefix }

// Object is the name of the object under key.
func (n Names) Object(key store.Key) string {
	if name, ok := key.Foreign(); ok {
		return name
	}
	return n.prefix + string(key)
}

// Mark is the name of the mark.
func (n Names) Mark() string { return n.prefix + markName }

// Key is the key of the object with that name, if it has one of ospd's.
func (n Names) Key(object string) (store.Key, bool) {
	k, ok := strings.CutPrefix(object, n.prefix)
	return store.Key(k), ok && store.Key(k).Valid()
}

// Ours reports whether the object with that name is ospd's: all others are
// foreign, also those below the prefix.
func (n Names) Ours(object string) bool {
	_, ok := n.Key(object)
	return ok || object == n.Mark()
}

// Marked is store.Browser's, for a backend that describes objects so.
func (n Names) Marked(ctx context.Context, dir string, describe func(context.Context, string) (store.Found, error)) (bool, error) {
	name := dir + markName
	if name == n.Mark() || store.ForeignKey(name).CheckAny() != nil {
		return false, ctx.Err()
	}
	_, err := describe(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Nest reports whether one of two prefixes lies in the other, so that stores in
// one bucket would see each other's objects.
func Nest(a, b Names) bool {
	return strings.HasPrefix(a.prefix, b.prefix) || strings.HasPrefix(b.prefix, a.prefix)
}
