package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/osproxy/osproxy/protocol"
)

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
	if protocol.CheckName(name) != nil || !filepath.IsLocal(name) || strings.ContainsRune(name, os.PathSeparator) ||
		runtime.GOOS == "windows" && windowsRefuses(name) {
		return "", &protocol.Error{Kind: protocol.KindBadName,
			Message: fmt.Sprintf("the stored name %q cannot be a file's name here; nothing was written", stored),
			Hint:    "Choose a name: osp get UID -o PATH"}
	}
	return name, nil
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

// lookAt compares what lies at the target with the File, by size and then by
// digest, hashed on all cores.
func lookAt(ctx context.Context, target string, f protocol.File) (existing, error) {
	info, err := os.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return existsNot, nil
	case err != nil:
		return 0, localError("look at "+target, err)
	case !info.Mode().IsRegular():
		return 0, &protocol.Error{Kind: protocol.KindUsage, Message: target + " is not a regular file",
			Hint: "To write into a pipe or a device use: osp cat UID > " + target}
	case info.Size() != f.Size || f.Digest == nil:
		return existsOther, nil
	}
	r, err := os.Open(target)
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
func (f *folders) publish(part, target string, replace bool) error {
	if !replace {
		err := os.Link(part, target)
		switch {
		case err == nil:
			os.Remove(part) // a second name of a complete file; nothing is lost if it stays
			return f.published(target, nil)
		case errors.Is(err, fs.ErrExist):
			return alreadyThere(target)
		}
		// A file system without hard links: look, then rename.
		if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
			return alreadyThere(target)
		}
	}
	return f.published(target, os.Rename(part, target))
}

func (f *folders) published(target string, err error) error {
	if err == nil {
		err = f.sync(filepath.Dir(target))
	}
	if err != nil {
		return localError("put "+target+" in place", err)
	}
	return nil
}
