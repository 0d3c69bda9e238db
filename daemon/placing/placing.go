// Package placing chooses where new blobs go: in which store, and under which
// key there. Whoever makes blobs asks the one Placer of the process.
package placing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/store"
)

// blobsPerDir is how many blobs a directory gets before the next is begun: few
// enough to list, enough that a group of small files syncs one directory.
const blobsPerDir = 4096

// spreadShift leaves the first three digits of a directory to chance where
// keys are spread: storages that throttle by the beginnings of keys see 4,096 of
// them, and fsck asks for the rows of as many directories.
const spreadShift = 20

// Spread reports whether the keys of a store are spread, as those of object
// stores are, and not in directories that are filled in turn. No directory is
// reserved there that could stand for a row: each object has its row first.
func Spread(st *store.Store) bool {
	_, dirs := st.DirMaker()
	_, assembles := st.Assembler()
	return !dirs && !assembles
}

// Records is what a Placer needs of the metadata; meta.DB is the one.
type Records interface {
	ReserveDir(ctx context.Context, store string) (uint32, error)
	ClosedStores(ctx context.Context) (map[string]string, error)
}

// Placer chooses stores and keys. Its methods are safe for concurrent use.
type Placer struct {
	records Records
	stores  map[string]*store.Store
	chosen  string

	// loading has what was read last be what is said last.
	loading sync.Mutex

	mu sync.Mutex
	// closed says of stores that take no new blobs which one does in their
	// place. Guarded by mu.
	closed map[string]string
	// dirs are those being filled, by store. Guarded by mu, and not what they
	// point to.
	dirs map[string]*filling
}

// filling is the directory of a store that is being filled. They are filled in
// turn, and a directory's reservation is durable before any object is made in
// it: after a crash, an object without a row can only lie in a reserved
// directory.
type filling struct {
	mu sync.Mutex
	// Guarded by mu: the directory ("" before the first key), how many keys it
	// got, and the next one once it is reserved.
	dir      store.Dir
	used     int
	reserved store.Dir
}

// New makes a Placer that has new blobs go to the store named, one of stores.
func New(records Records, stores map[string]*store.Store, into string) *Placer {
	return &Placer{records: records, stores: stores, chosen: into, closed: map[string]string{}, dirs: map[string]*filling{}}
}

// Store takes new blobs now. A blob's store and its key are chosen together:
// the next call may give another store. It is nil where that is not configured,
// or where each of those that stores were closed for is closed itself.
func (p *Placer) Store() *store.Store {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := p.chosen
	for range p.closed {
		to, closed := p.closed[name]
		if !closed {
			break
		}
		name = to // which may have been taken out of the configuration
	}
	if _, closed := p.closed[name]; closed {
		return nil
	}
	return p.stores[name]
}

// Close says which stores take no new blobs, and which one takes them in the
// place of each. It replaces what was said before. Load says what the database
// does.
func (p *Placer) Close(closed map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = closed
}

// Load reads which stores are closed. Who was told meta.ErrStoreClosed chooses
// again after it.
func (p *Placer) Load(ctx context.Context) error {
	p.loading.Lock()
	defer p.loading.Unlock()
	closed, err := p.records.ClosedStores(ctx)
	if err == nil {
		p.Close(closed)
	}
	return err
}

// Key makes a key, in the directory of the store that is being filled where it
// has such. Errors are those of the metadata and of the store, as they are.
func (p *Placer) Key(ctx context.Context, st *store.Store) (store.Key, error) {
	if Spread(st) {
		return store.NewKey(store.DirOf(rand.Uint32() << spreadShift)), nil
	}
	p.mu.Lock()
	f := p.dirs[st.Name()]
	if f == nil {
		f = &filling{}
		p.dirs[st.Name()] = f
	}
	p.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dir == "" || f.used >= blobsPerDir {
		if err := p.next(ctx, st, f); err != nil {
			return "", err
		}
	}
	f.used++
	return store.NewKey(f.dir), nil
}

// next reserves and makes the next directory. One that could not be made is
// tried again, so that a failing store does not use numbers up. The caller
// holds f.mu.
func (p *Placer) next(ctx context.Context, st *store.Store, f *filling) error {
	if f.reserved == "" {
		n, err := p.records.ReserveDir(ctx, st.Name())
		if err != nil {
			return fmt.Errorf("reserve a directory: %w", err)
		}
		crashpoint.Hit(crashpoint.PutDirReserved)
		f.reserved = store.DirOf(n)
	}
	if m, ok := st.DirMaker(); ok {
		if err := m.MakeDir(ctx, f.reserved); err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
	}
	f.dir, f.used, f.reserved = f.reserved, 0, ""
	return nil
}
