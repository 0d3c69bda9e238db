package transfer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/osproxy/osproxy/protocol"
)

// Tree is a folder that Files are got into under their whole stored names.
// Names come from the daemon, and so from whoever stored the files: none leads
// out of the folder, nor does any symbolic link in it. Safe for concurrent use.
type Tree struct {
	dir string // absolute

	mu   sync.Mutex
	root *os.Root // nil while dir is not there
	// made are the folders below that are there, and durable if we made them.
	made map[string]bool
}

// OpenTree opens the folder. Where it is missing the first get that writes
// makes it.
func OpenTree(dir string) (*Tree, error) {
	dir, err := absolute(dir)
	if err != nil {
		return nil, err
	}
	t := &Tree{dir: dir, made: map[string]bool{}}
	if err := t.open(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return t, nil
}

func (t *Tree) open() error {
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return localError("open the folder "+t.dir, err)
	}
	t.root, t.made["."] = root, true
	return nil
}

// Close gives the folder back. Gets into it must have ended.
func (t *Tree) Close() {
	if t.root != nil {
		t.root.Close()
	}
}

// path is the absolute path of the folder, "" without one.
func (t *Tree) path() string {
	if t == nil {
		return ""
	}
	return t.dir
}

// target is where the File of that stored name is to be.
func (t *Tree) target(stored string) (target, error) {
	name, err := localPath(stored)
	t.mu.Lock()
	defer t.mu.Unlock()
	return target{root: t.root, dir: t.dir, name: name, tree: t}, err
}

// prepare makes a folder below, with all on the way to it, and their names
// durable.
func (t *Tree) prepare(dir string) (*os.Root, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.root == nil {
		if err := os.MkdirAll(t.dir, 0o777); err != nil {
			return nil, localError("make the folder "+t.dir, err)
		}
		if err := t.open(); err != nil {
			return nil, err
		}
	}
	return t.root, t.prepareLocked(dir)
}

func (t *Tree) prepareLocked(dir string) error {
	if t.made[dir] {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := t.prepareLocked(parent); err != nil {
		return err
	}
	at := target{root: t.root, dir: t.dir, name: dir, tree: t}
	err := t.root.Mkdir(dir, 0o777)
	switch {
	case err == nil:
		err = syncDir(filepath.Join(t.dir, parent))
	case errors.Is(err, fs.ErrExist):
		var info fs.FileInfo
		if info, err = t.root.Stat(dir); err == nil && !info.IsDir() {
			return &protocol.Error{Kind: protocol.KindLocalExists, Message: at.path() + " is no folder, and so nothing can be in it; it was left as it is"}
		}
	}
	if err != nil {
		return at.failed("make the folder "+at.path(), err)
	}
	t.made[dir] = true
	return nil
}
