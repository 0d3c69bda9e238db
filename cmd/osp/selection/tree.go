package selection

import (
	"io/fs"
	"path"
	"path/filepath"
)

// tree gives the files in a folder that was named. Their names begin with the
// folder's own. Where folders are not looked into, putting it says so.
func (sc *scan) tree(dir string) bool {
	if !sc.Recursive {
		return sc.give(Entry{Path: dir})
	}
	name, err := treeName(dir)
	if err != nil {
		return sc.fail(dir, cannot("found", dir, err))
	}
	return sc.folder(folder{path: dir, name: name, verdict: sc.Filter.root()})
}

// treeName is what a folder is called where it lies, "" for the root of a file
// system. Of . and .. that is the name of the folder they mean.
func treeName(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if last := filepath.Base(dir); err == nil && (last == ".." || last == "." && goesUp(dir)) {
		if abs, err = filepath.EvalSymlinks(dir); err == nil {
			abs, err = filepath.Abs(abs)
		}
	}
	if abs == filepath.VolumeName(abs)+string(filepath.Separator) {
		return "", err
	}
	return filepath.Base(abs), err
}

// folder is one on the way through a tree.
type folder struct {
	path string
	// name is what the names of the files in it begin with.
	name string
	// elements is where it lies in the tree.
	elements []string
	verdict  verdict
}

// folder gives the files in a folder, and then is done with it.
func (sc *scan) folder(f folder) bool {
	entries, err := sc.readDir(f.path)
	if err != nil && !sc.fail(f.path, cannot("read", f.path, err)) {
		return false
	}
	for _, e := range entries {
		if sc.ctx.Err() != nil {
			return sc.stopped()
		}
		if !sc.inFolder(f, e) {
			return false
		}
	}
	return true
}

func (sc *scan) inFolder(f folder, e fs.DirEntry) bool {
	elements := append(f.elements[:len(f.elements):len(f.elements)], e.Name())
	v := sc.Filter.child(f.verdict, elements, e.IsDir())
	p, name := below(f.path, e.Name()), path.Join(f.name, e.Name())
	switch {
	case e.IsDir() && sc.Filter.skips(v):
		return true
	case e.IsDir():
		return sc.folder(folder{path: p, name: name, elements: elements, verdict: v})
	case !v.taken:
		return true
	}
	return sc.inTree(Entry{Path: p, Name: name}, e)
}

// inTree is something that was found and not named: only regular files are
// taken, and no link is followed.
func (sc *scan) inTree(e Entry, d fs.DirEntry) bool {
	switch mode := d.Type(); {
	case mode&fs.ModeSymlink != 0:
		sc.skipped.add(sc.Warn, e.Path, "a symbolic link")
		return true
	case !mode.IsRegular():
		sc.skipped.add(sc.Warn, e.Path, "no regular file")
		return true
	}
	if info, err := d.Info(); err == nil {
		e.Size = info.Size()
	}
	return sc.give(e) // where it is gone already, putting it says so
}
