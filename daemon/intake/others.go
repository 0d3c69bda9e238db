package intake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/store"
)

// listed is an object as it was found. With dir it stands for all that lies in
// that, and is not to be imported, for the reason why.
type listed struct {
	store.Found
	dir *string
	why string
}

// folder is what an object lies in: "" or what ends with a slash. closed: it is
// that of another store, of this installation or of another one, whose objects
// look like foreign ones from here, or nobody may see whether it is. To own one
// would be to delete what its owner still reads.
type folder struct {
	dir    string
	closed bool
}

const (
	theirs = "another store of ospd's lies here, to which all below belongs: nothing of it was imported"
	unseen = "the daemon may not read it: nothing of it was imported"
)

// look finds out whether an object is another store's. The first that is found
// of those in one folder stands for all, the others are not told of: ok is false.
func (im *run) look(ctx context.Context, f store.Found) (l listed, ok bool, err error) {
	known := len(im.path) // how many were looked at for the objects before
	for known > 0 && !strings.HasPrefix(f.Name, im.path[known-1].dir) {
		known--
	}
	im.path = im.path[:known]
	if known > 0 && im.path[known-1].closed {
		return l, false, nil
	}
	name := f.Name
	if f.Err != nil {
		name = strings.TrimSuffix(name, "/") // of which is known what it is
	}
	for dir := range foldersOf(name) {
		if slices.ContainsFunc(im.path, func(p folder) bool { return p.dir == dir }) {
			continue
		}
		why, err := im.closed(ctx, dir)
		if err != nil {
			return l, false, fmt.Errorf("look for the mark of a store below %q: %w", dir, err)
		}
		im.path = append(im.path, folder{dir, why != ""})
		if why != "" {
			// An attempt before this one may have told of it.
			after := string(im.at.After)
			return listed{f, &dir, why}, after == "" || !strings.HasPrefix(after, dir), nil
		}
	}
	return listed{Found: f}, true, nil
}

// closed says why nothing is imported of a folder, or "".
func (im *run) closed(ctx context.Context, dir string) (why string, err error) {
	if slices.Contains(im.src.others, dir) {
		return theirs, nil
	}
	marked, err := im.src.Marked(ctx, dir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return unseen, nil
	case err == nil && marked:
		return theirs, nil
	}
	return "", err
}

// foldersOf yields all that an object lies in, the outermost first.
func foldersOf(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; ; {
			if !yield(name[:i]) {
				return
			}
			n := strings.IndexByte(name[i:], '/')
			if n < 0 {
				return
			}
			i += n + 1
		}
	}
}

// whole is the entry of a folder of which nothing is imported.
func (im *run) whole(f listed) *item {
	it := &item{Found: f.Found}
	it.entry.Path = printable(im.src.path + strings.TrimPrefix(*f.dir, f.Name[:im.src.cut]))
	if len(*f.dir) < im.src.cut {
		it.entry.Path = printable(im.src.path)
	}
	it.fail(f.why)
	return it
}
