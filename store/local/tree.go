package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/osproxy/osproxy/store"
)

// tree is the regular files of a folder, by names that are separated by
// slashes. What leaveOut names is not among them, and symbolic links are not
// followed.
type tree struct {
	fs       FS
	leaveOut func(name string) bool
}

// browse yields what is in the tree in byte order of whole names, which is not
// the order of a walk: "a.txt" comes before "a/b".
func (t tree) browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		w := walker{tree: t, ctx: ctx, prefix: prefix, after: after, yield: yield}
		if w.dir("") && ctx.Err() != nil {
			yield(store.Found{}, fmt.Errorf("browse: %w", ctx.Err()))
		}
	}
}

// walker is a walk through a tree.
type walker struct {
	tree
	ctx           context.Context
	prefix, after string
	yield         func(store.Found, error) bool
}

// dir walks the directory called name, "" or ending in a slash, and reports
// whether to go on.
func (w *walker) dir(name string) bool {
	at := "."
	if name != "" {
		at = strings.TrimSuffix(name, "/")
	}
	entries, err := w.fs.ReadDir(at)
	switch {
	case errors.Is(err, fs.ErrNotExist) && name != "":
		return true // deleted meanwhile
	case errors.Is(err, fs.ErrPermission) && name != "":
		return w.closed(name, err)
	case err != nil:
		return w.fail(err)
	}
	for _, whole := range inOrder(name, entries) {
		if w.ctx.Err() != nil {
			return true
		}
		goesOn := true
		switch {
		case w.passedOver(whole):
		case strings.HasSuffix(whole, "/"):
			goesOn = w.dir(whole)
		default:
			goesOn = w.file(whole)
		}
		if !goesOn {
			return false
		}
	}
	return true
}

// inOrder are the names of regular files and directories in a directory, the
// latter with a slash behind, in the order of all that lies below.
func inOrder(dir string, entries []fs.DirEntry) (names []string) {
	for _, e := range entries {
		switch {
		case e.IsDir():
			names = append(names, dir+e.Name()+"/")
		case e.Type().IsRegular():
			names = append(names, dir+e.Name())
		}
	}
	slices.Sort(names)
	return names
}

// passedOver reports whether nothing that is asked for is, or lies in, name.
func (w *walker) passedOver(name string) bool {
	if w.leaveOut(name) {
		return true
	}
	if strings.HasSuffix(name, "/") {
		return !strings.HasPrefix(name, w.prefix) && !strings.HasPrefix(w.prefix, name) ||
			name <= w.after && !strings.HasPrefix(w.after, name)
	}
	return name <= w.after || !strings.HasPrefix(name, w.prefix)
}

func (w *walker) file(name string) bool {
	f, err := w.describe(name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return true // deleted meanwhile
	case errors.Is(err, fs.ErrPermission):
		return w.closed(name, err)
	case err != nil:
		return w.fail(err)
	}
	return w.yield(f, nil)
}

// closed yields what may not be looked at, by its name, unless all that is asked
// for lies in it. That root alone may look at what a repair of the disk left is
// how a disk is made, and tells nothing.
func (w *walker) closed(name string, err error) bool {
	switch {
	case name == lostAndFound+"/", name == w.after:
		return true
	case name < w.after, !strings.HasPrefix(name, w.prefix):
		return w.fail(err)
	}
	return w.yield(store.Found{Name: name, Err: fmt.Errorf("browse: %w", classify(err))}, nil)
}

func (w *walker) fail(err error) bool {
	w.yield(store.Found{}, fmt.Errorf("browse: %w", classify(err)))
	return false
}

// describe is what is known of a file: of its media type a disk says nothing.
func (t tree) describe(name string) (store.Found, error) {
	info, err := t.stat(name)
	if err != nil {
		return store.Found{}, failed("describe", store.ForeignKey(name), err)
	}
	return store.Found{
		Name: name, Size: info.Size(), Time: info.ModTime(),
		Tag: fmt.Sprintf("%x-%x-%x", info.ModTime().UnixNano(), info.Size(), inode(info)),
	}, nil
}

// marked reports whether the mark of a store lies in dir: a file of that name,
// that says whose store it is.
func (t tree) marked(dir string) (bool, error) {
	f, err := t.open(dir + markName)
	if err == nil {
		var installation string
		installation, _, err = parseMark(f)
		if err = errors.Join(err, f.Close()); err == nil {
			return installation != "", nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, fmt.Errorf("marked: %w", classify(err))
}

// stat describes a regular file; all else is not there, and so is a name that
// is not the one spelling of a path. Its bytes need not be UTF-8, as Localize
// has it: a file that can be listed can be told of.
func (t tree) stat(name string) (fs.FileInfo, error) {
	if _, err := filepath.Localize(strings.ToValidUTF8(name, "_")); err != nil || t.leaveOut(name) {
		return nil, fs.ErrNotExist
	}
	info, err := t.fs.Stat(name)
	switch {
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG), err == nil && !info.Mode().IsRegular():
		err = fs.ErrNotExist
	}
	return info, err
}

// open opens a regular file for reading. What is none is not opened: to open a
// pipe may take for ever.
func (t tree) open(name string) (File, error) {
	if _, err := t.stat(name); err != nil {
		return nil, err
	}
	return t.fs.Open(name, os.O_RDONLY)
}
