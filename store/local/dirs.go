package local

import (
	"errors"
	"io/fs"
	"sync"
)

// maxDurable bounds how many directories are remembered as durable. Forgetting
// one costs one sync of the root.
const maxDurable = 1 << 16

// dirs makes and syncs the directories of keys.
type dirs struct {
	fs FS

	mu      sync.Mutex
	syncing map[string]*sharedGroup // directories that are being synced
	durable map[string]bool         // directories whose own name is durable
}

// sharedGroup is a group that lives as long as someone uses it.
type sharedGroup struct {
	group
	users int
}

func newDirs(f FS) *dirs {
	return &dirs{fs: f, syncing: map[string]*sharedGroup{}, durable: map[string]bool{}}
}

// sync makes the names in directory name durable. Concurrent calls for one
// directory share a sync that started after each of them.
func (d *dirs) sync(name string) error {
	d.mu.Lock()
	g := d.syncing[name]
	if g == nil {
		g = &sharedGroup{group: group{run: func() error { return d.fs.SyncDir(name) }}}
		d.syncing[name] = g
	}
	g.users++
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if g.users--; g.users == 0 {
			delete(d.syncing, name)
		}
	}()
	return g.do()
}

// ensure makes the directory name and its name durable. A directory that is
// there already is not trusted before this process has synced the root once
// after seeing it: the one that made it may have died before its sync.
func (d *dirs) ensure(name string) error {
	d.mu.Lock()
	known := d.durable[name]
	d.mu.Unlock()
	if known {
		return nil
	}
	if err := d.fs.Mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.sync("."); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.durable) >= maxDurable {
		clear(d.durable)
	}
	d.durable[name] = true
	return nil
}

// forget drops what is known of a directory that turned out to be missing.
func (d *dirs) forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.durable, name)
}
