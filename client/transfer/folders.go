package transfer

import "sync"

// folders syncs folders in which several gets end at once: those that wait
// share one sync. The zero value is ready.
type folders struct {
	run  func(dir string) error // syncDir where it is nil
	mu   sync.Mutex
	used map[string]*folder // by those who sync it now
}

// folder numbers the calls that want it synced.
type folder struct {
	users, asked int // guarded by folders.mu

	mu      sync.Mutex
	covered int   // guarded by mu: the last call that the last sync began after
	err     error // guarded by mu: how that sync ended
}

// sync makes the names durable that were made in dir before the call.
func (f *folders) sync(dir string) error {
	f.mu.Lock()
	if f.used == nil {
		f.used = map[string]*folder{}
	}
	d := f.used[dir]
	if d == nil {
		d = &folder{}
		f.used[dir] = d
	}
	d.users++
	d.asked++
	mine := d.asked
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if d.users--; d.users == 0 {
			delete(f.used, dir)
		}
	}()

	d.mu.Lock()
	defer d.mu.Unlock()
	if d.covered < mine {
		f.mu.Lock()
		d.covered = d.asked
		f.mu.Unlock()
		d.err = f.syncNow(dir)
	}
	return d.err
}

func (f *folders) syncNow(dir string) error {
	if f.run != nil {
		return f.run(dir)
	}
	return syncDir(dir)
}
