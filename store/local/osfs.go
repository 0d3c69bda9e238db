package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// osFS is FS over a real folder. It holds the folder open, so that a disk
// cannot be unmounted under it and no name leads out of it.
type osFS struct {
	path string

	mu   sync.Mutex
	root *os.Root // nil until the folder is there
}

// newOSFS is the FS of the folder at path, which need not exist yet.
func newOSFS(path string) (*osFS, error) {
	if path == "" {
		return nil, errors.New("a local store needs a path")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("path of local store: %w", err)
	}
	f := &osFS{path: abs}
	if _, err := f.open(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open local store: %w", err)
	}
	return f, nil
}

func (f *osFS) open() (*os.Root, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.root != nil {
		return f.root, nil
	}
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return nil, err
	}
	f.root = root
	return root, nil
}

func (f *osFS) HasRoot() error {
	_, err := f.open()
	return err
}

func (f *osFS) MakeRoot() error {
	var missing []string
	for dir := f.path; ; dir = filepath.Dir(dir) {
		_, err := os.Stat(dir)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return err
		}
		missing = append(missing, dir)
	}
	for _, dir := range slices.Backward(missing) {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	// The folder may be there and its name not durable, after a crash of the
	// process that made it: its parent is synced in any case.
	for _, dir := range append(missing, f.path) {
		if err := syncPath(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	_, err := f.open()
	return err
}

func (f *osFS) Open(name string, flag int) (File, error) {
	root, err := f.open()
	if err != nil {
		return nil, err
	}
	file, err := root.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return &osFile{file}, nil
}

func (f *osFS) OpenOS(name string) (*os.File, error) {
	root, err := f.open()
	if err != nil {
		return nil, err
	}
	return root.Open(name)
}

func (f *osFS) Mkdir(name string) error {
	root, err := f.open()
	if err != nil {
		return err
	}
	return root.Mkdir(name, 0o700)
}

func (f *osFS) Link(oldname, newname string) error {
	root, err := f.open()
	if err != nil {
		return err
	}
	return root.Link(oldname, newname)
}

func (f *osFS) Remove(name string) error {
	root, err := f.open()
	if err != nil {
		return err
	}
	return root.Remove(name)
}

func (f *osFS) Stat(name string) (fs.FileInfo, error) {
	root, err := f.open()
	if err != nil {
		return nil, err
	}
	return root.Lstat(name)
}

func (f *osFS) ReadDir(name string) ([]fs.DirEntry, error) {
	dir, err := f.OpenOS(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

func (f *osFS) SyncDir(name string) error {
	dir, err := f.OpenOS(name)
	if err != nil {
		return err
	}
	return syncDir(dir)
}

func (f *osFS) Free() (int64, error) {
	if err := f.HasRoot(); err != nil {
		return 0, err
	}
	return free(f.path)
}

func (f *osFS) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.root == nil {
		return nil
	}
	return f.root.Close()
}

// syncPath is syncDir of the directory at an absolute path.
func syncPath(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in dir durable, and closes it. Windows has no such
// call: NTFS journals names by itself.
func syncDir(dir *os.File) error {
	var err error
	if runtime.GOOS != "windows" {
		err = dir.Sync()
	}
	return errors.Join(err, dir.Close())
}

// osFile is File over an *os.File; Sync and Flush differ by system.
type osFile struct{ *os.File }

func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
