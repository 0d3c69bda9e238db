package selection

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/osproxy/osproxy/protocol"
)

// errEnough ends a walk whose taker wants no more.
var errEnough = errors.New("enough")

// glob gives what a pattern matches that no shell expanded, as a shell would:
// names that begin with a dot only where the pattern says so. What it matches
// counts as named, but for a pattern with **: that one finds files, as -r does.
func (sc *scan) glob(text string) bool {
	base, pattern := doublestar.SplitPattern(filepath.ToSlash(text))
	deep := strings.Contains(pattern, anyDepth)
	options := []doublestar.GlobOption{doublestar.WithNoHidden()}
	if deep {
		options = append(options, doublestar.WithFilesOnly(), doublestar.WithNoFollow())
	}
	matched, on := 0, true
	dir := &reporting{FS: os.DirFS(base), failed: func(name string, err error) {
		path := below(base, filepath.FromSlash(name))
		on = on && sc.fail(path, cannot("read", path, err))
	}}
	err := doublestar.GlobWalk(dir, pattern, func(name string, d fs.DirEntry) error {
		matched++
		path := below(base, filepath.FromSlash(name))
		switch {
		case !on:
		case sc.ctx.Err() != nil:
			on = false
			sc.stopped()
		case !deep:
			on = sc.named(path, false)
		case sc.Filter.file([]string{filepath.Base(path)}):
			on = sc.inTree(Entry{Path: path}, d)
		}
		if !on {
			return errEnough
		}
		return nil
	}, options...)
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return sc.fail(text, &protocol.Error{Kind: protocol.KindLocalMissing,
			Message: fmt.Sprintf("there is no file %s, and it is no pattern either", text), Err: err})
	case err == nil && matched == 0:
		return sc.fail(text, &protocol.Error{Kind: protocol.KindLocalMissing, Message: "no file matches " + text})
	}
	return on
}

// reporting is a folder that tells of what in it cannot be read, where package
// doublestar would leave it out in silence or give up all the rest.
type reporting struct {
	fs.FS
	failed func(name string, err error)
}

// ReadDir is fs.ReadDirFS.
func (r *reporting) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(r.FS, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
		r.failed(name, err)
		return nil, nil
	}
	return entries, err
}

// Stat is fs.StatFS: to look at a pipe it must not be opened.
func (r *reporting) Stat(name string) (fs.FileInfo, error) { return fs.Stat(r.FS, name) }
