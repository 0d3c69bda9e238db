package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/osproxy/osproxy/protocol"
)

// target is the file that a get makes: a name below a folder, out of which
// neither the name nor a link on the way leads.
type target struct {
	// root is the folder, open; nil while it is not there.
	root *os.Root
	dir  string // its absolute path
	// name is relative to dir. Where a whole tree is got it has folders.
	name string
	// tree is what root belongs to, nil where it is the target's own.
	tree *Tree
}

// openTarget is the target of a get of one file. Its folder is there.
func openTarget(path, stored string) (target, error) {
	path, err := targetPath(path, stored)
	if err != nil {
		return target{}, err
	}
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return target{}, localError("open "+dir, err)
	}
	return target{root: root, dir: dir, name: name}, nil
}

// close gives the folder back. The zero target has none.
func (t target) close() {
	if t.root != nil && t.tree == nil {
		t.root.Close()
	}
}

// path is the absolute path of the target, pathOf that of what lies beside it.
func (t target) path() string { return t.pathOf(t.name) }

func (t target) pathOf(name string) string { return filepath.Join(t.dir, name) }

// prepare makes the folders that the target lies in.
func (t *target) prepare() (err error) {
	if t.tree != nil {
		t.root, err = t.tree.prepare(filepath.Dir(t.name))
	}
	return err
}

// targetPath is the absolute path of the file a get makes: path itself, or,
// where that is a folder (or "", the current one), the last segment of the
// stored name in it. A symbolic link is followed, so that it stays one.
func targetPath(path, stored string) (string, error) {
	asked := path
	if path == "" {
		path = "."
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		name, err := localName(stored)
		if err != nil {
			return "", err
		}
		path = filepath.Join(path, name)
	case errors.Is(err, fs.ErrNotExist) && endsInSeparator(asked):
		return "", &protocol.Error{Kind: protocol.KindLocalMissing, Message: "there is no folder " + asked,
			Hint: "Make it first: mkdir -p " + asked}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if dir, err := os.Stat(filepath.Dir(path)); err != nil || !dir.IsDir() {
		return "", &protocol.Error{Kind: protocol.KindLocalMissing, Message: "there is no folder " + filepath.Dir(path),
			Hint: "Make it first: mkdir -p " + filepath.Dir(path), Err: err}
	}
	return absolute(path)
}

func endsInSeparator(path string) bool {
	return path != "" && os.IsPathSeparator(path[len(path)-1])
}

// localName is the last segment of a stored name, as far as it can be a
// file's name here. A name comes from the daemon, and so from whoever stored
// the file: it must not lead out of the folder.
func localName(stored string) (string, error) {
	name := protocol.LastSegment(stored)
	if refusedName(name) {
		return "", cannotBeNamed(stored)
	}
	return name, nil
}

// localPath is a whole stored name as a path below some folder, as far as it
// can be one: each of its segments must be possible as a file's name here.
func localPath(stored string) (string, error) {
	if protocol.CheckName(stored) != nil || slices.ContainsFunc(strings.Split(stored, "/"), refusedName) {
		return "", cannotBeNamed(stored)
	}
	return filepath.FromSlash(stored), nil
}

// refusedName reports whether a segment of a stored name cannot be a name here.
func refusedName(name string) bool {
	return protocol.CheckName(name) != nil || !filepath.IsLocal(name) || strings.ContainsRune(name, os.PathSeparator) ||
		runtime.GOOS == "windows" && windowsRefuses(name)
}

func cannotBeNamed(stored string) error {
	return &protocol.Error{Kind: protocol.KindBadName,
		Message: fmt.Sprintf("the stored name %q cannot be a file's name here; nothing was written", stored),
		Hint:    "Choose a name: osp get UID -o PATH"}
}

// windowsRefuses reports whether Windows would refuse a name, change it, or
// open a device or a stream by it.
func windowsRefuses(name string) bool {
	if strings.ContainsAny(name, `<>:"/\|?*`) || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") {
		return true
	}
	base, _, _ := strings.Cut(strings.ToUpper(name), ".")
	base = strings.TrimRight(base, " ")
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	for _, port := range []string{"COM", "LPT"} {
		if digit, ok := strings.CutPrefix(base, port); ok && utf8.RuneCountInString(digit) == 1 && strings.ContainsAny(digit, "0123456789¹²³") {
			return true
		}
	}
	return false
}

// maxPartName keeps the part file's name within the 255 bytes that file
// systems allow.
const maxPartName = 200

// partPath is the file a get writes into until it is complete: beside the
// target, so that a rename makes it the target.
func partPath(target string, id ID) string {
	dir, name := filepath.Split(target)
	if len(name) > maxPartName {
		name = name[:maxPartName]
		for !utf8.ValidString(name) {
			name = name[:len(name)-1]
		}
	}
	return filepath.Join(dir, "."+name+".osp-"+string(id)+".part")
}

// existing says what lies at the target.
type existing int

const (
	existsNot existing = iota
	existsSame
	existsOther
)

// look compares what lies at the target with the File, by size and then by
// digest, hashed on all cores.
func (t target) look(ctx context.Context, f protocol.File) (existing, error) {
	if t.root == nil {
		return existsNot, nil
	}
	info, err := t.root.Lstat(t.name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return existsNot, nil // where it cannot be, prepare says so
	case err != nil:
		return 0, t.failed("look at "+t.path(), err)
	case info.IsDir():
		return 0, &protocol.Error{Kind: protocol.KindUsage, Message: t.path() + " is a folder, and so cannot be a file"}
	case !info.Mode().IsRegular():
		return 0, &protocol.Error{Kind: protocol.KindUsage, Message: t.path() + " is not a regular file",
			Hint: "To write into a pipe or a device use: osp cat UID > " + t.path()}
	case info.Size() != f.Size || f.Digest == nil:
		return existsOther, nil
	}
	r, err := t.root.Open(t.name)
	if err != nil {
		return existsOther, nil // it cannot be read, so it is not known to be the same
	}
	defer r.Close()
	digest, err := digestFile(ctx, r, f.Size, func(int64) {})
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil || digest != *f.Digest:
		return existsOther, nil
	}
	return existsSame, nil
}

func alreadyThere(target string) error {
	return &protocol.Error{Kind: protocol.KindLocalExists, Message: target + " exists and has other content; it was left as it is",
		Hint: "Choose another path with -o, or replace it with -f."}
}

// publish makes the complete part file the target, durably. Unless it may
// replace, it never lands on a file that came meanwhile.
func (f *folders) publish(t target, part string, replace bool) error {
	if !replace {
		err := t.root.Link(part, t.name)
		switch {
		case err == nil:
			_ = t.root.Remove(part) // a second name of a complete file; nothing is lost if it stays
			return f.published(t, nil)
		case errors.Is(err, fs.ErrExist):
			return alreadyThere(t.path())
		}
		// A file system without hard links: look, then rename.
		if _, err := t.root.Lstat(t.name); !errors.Is(err, fs.ErrNotExist) {
			return alreadyThere(t.path())
		}
	}
	return f.published(t, t.root.Rename(part, t.name))
}

// link makes a file without a name the target, durably; never over a file that
// came meanwhile. Where the file system cannot, named is false.
func (f *folders) link(t target, u *unnamed) (named bool, err error) {
	err = u.link(t.name)
	switch {
	case errors.Is(err, fs.ErrExist):
		return false, alreadyThere(t.path())
	case err != nil:
		return false, nil
	}
	return true, f.published(t, u.Sync())
}

func (f *folders) published(t target, err error) error {
	if err == nil {
		err = f.sync(filepath.Dir(t.path()))
	}
	if err != nil {
		return t.failed("put "+t.path()+" in place", err)
	}
	return nil
}

// failed words an error of the target's folder. Where a link leads out of it,
// that is what is wrong.
func (t target) failed(op string, err error) error {
	for dir := t.name; dir != "."; dir = filepath.Dir(dir) {
		info, lerr := t.root.Lstat(dir)
		if lerr != nil || info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		if _, serr := t.root.Stat(dir); serr != nil && !errors.Is(serr, fs.ErrNotExist) {
			return &protocol.Error{Kind: protocol.KindUsage, Op: op, Err: err,
				Message: t.pathOf(dir) + " is a symbolic link that leads out of " + t.dir + "; nothing was written"}
		}
	}
	return localError(op, err)
}
