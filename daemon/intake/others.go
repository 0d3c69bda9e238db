package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/store"
)

// listed is an object as it was found. With dir it stands for all that lies in
// that, and is not to be imported.
type listed struct {
	store.Found
	dir *string
}

// folder is what an object lies in: "" or what ends with a slash. theirs: it is
// that of another store, of this installation or of another one, whose objects
// look like foreign ones from here. To own one would be to delete what its owner
// still reads.
type folder struct {
	dir    string
	theirs bool
}

// look finds out whether an object is another store's. The first that is found
// of those in one folder stands for all, the others are not told of: ok is false.
func (im *run) look(ctx context.Context, f store.Found) (l listed, ok bool, err error) {
	known := len(im.path) // how many were looked at for the objects before
	for known > 0 && !strings.HasPrefix(f.Name, im.path[known-1].dir) {
		known--
	}
	im.path = im.path[:known]
	if known > 0 && im.path[known-1].theirs {
		return l, false, nil
	}
	for dir := range foldersOf(f.Name) {
		if slices.ContainsFunc(im.path, func(p folder) bool { return p.dir == dir }) {
			continue
		}
		theirs := slices.Contains(im.src.others, dir)
		if !theirs {
			if theirs, err = im.src.Marked(ctx, dir); err != nil {
				return l, false, fmt.Errorf("look for the mark of a store below %q: %w", dir, err)
			}
		}
		im.path = append(im.path, folder{dir, theirs})
		if theirs {
			// An attempt before this one may have told of it.
			after := string(im.at.After)
			return listed{f, &dir}, after == "" || !strings.HasPrefix(after, dir), nil
		}
	}
	return listed{Found: f}, true, nil
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

// theirs is the entry of a folder that is another store's.
func (im *run) theirs(f listed) *item {
	it := &item{Found: f.Found}
	it.entry.Path = printable(im.src.path + strings.TrimPrefix(*f.dir, f.Name[:im.src.cut]))
	if len(*f.dir) < im.src.cut {
		it.entry.Path = printable(im.src.path)
	}
	it.fail("another store of ospd's lies here, to which all below belongs: nothing of it was imported")
	return it
}
