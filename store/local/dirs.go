package local

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// maxDurable bounds how many directories are remembered as durable. Forgetting
// one costs one sync of the root.
const maxDurable = 1 << 16

// dirs makes and syncs the directories of keys.
type dirs struct {
	fs FS

	mu       sync.Mutex
	syncing  map[string]*sharedGroup // directories that are being synced
	durable  map[string]bool         // directories whose own name is durable
	failures int                     // syncs that failed, of any directory
}

// sharedGroup is a group that lives as long as someone uses it.
type sharedGroup struct {
	group
	users int
}

func newDirs(f FS) *dirs {
	return &dirs{fs: f, syncing: map[string]*sharedGroup{}, durable: map[string]bool{}}
}

// mark is taken before a name is made and given to the sync that is to make the
// name durable.
func (d *dirs) mark() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failures
}

// sync makes the names in directory name durable that were made since mark was
// taken. Concurrent calls for one directory share a sync that started after
// each of them. Where any sync has failed since mark, so does this one: the
// failed one may have dropped the name, and another would not bring it back.
func (d *dirs) sync(name string, mark int) error {
	d.mu.Lock()
	g := d.syncing[name]
	if g == nil {
		g = &sharedGroup{group: group{run: func() error { return d.syncNow(name) }}}
		d.syncing[name] = g
	}
	g.users++
	d.mu.Unlock()
	err := g.do()
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(d.syncing, name)
	}
	if err != nil {
		return err
	}
	if d.failures != mark {
		return fmt.Errorf("sync of directory %s came after another had failed", name)
	}
	return nil
}

// syncNow is one sync of a directory. A failure is counted before any later
// sync can begin.
func (d *dirs) syncNow(name string) error {
	err := d.fs.SyncDir(name)
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.failures++
	}
	return err
}

// ensure makes the directory name and its name durable. A directory that is
// there already is not trusted before this process has synced the root once
// after seeing it: the one that made it may have died before its sync.
func (d *dirs) ensure(name string) error {
	d.mu.Lock()
	known, mark := d.durable[name], d.failures
	d.mu.Unlock()
	if known {
		return nil
	}
	if err := d.fs.Mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.sync(".", mark); err != nil {
		// Whoever comes next must make the name anew. A directory that
		// holds something stays, and was durable before.
		_ = d.fs.Remove(name)
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
