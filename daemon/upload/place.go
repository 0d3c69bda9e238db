package upload

import (
	"context"
	"fmt"
	"sync"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// blobsPerDir is how many blobs a directory gets before the next is begun: few
// enough to list, enough that a group of small files syncs one directory.
const blobsPerDir = 4096

// placer chooses keys for new blobs. Directories are filled in turn, and a
// directory's reservation is durable before any object is made in it: after a
// crash, an object without a row can only lie in a reserved directory, where
// settle finds it.
type placer struct {
	db    *meta.DB
	store *store.Store

	mu sync.Mutex
	// Guarded by mu: the directory being filled ("" before the first key),
	// how many keys it got, and the next one once it is reserved.
	dir      store.Dir
	used     int
	reserved store.Dir
	// unnamed counts the small files whose object may exist while their row
	// does not; once closed there are no more of them.
	unnamed int
	closed  bool
}

func newPlacer(db *meta.DB, s *store.Store) *placer { return &placer{db: db, store: s} }

// begin and end bracket the time in which a small file's object may exist
// without a row. After close nothing begins.
func (p *placer) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return protocol.Errorf(protocol.KindDraining, "the daemon is stopping; nothing was stored")
	}
	p.unnamed++
	return nil
}

func (p *placer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unnamed--
}

// close ends the making of small files and reports whether none is under way.
func (p *placer) close() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return p.unnamed == 0
}

// key makes a key in the directory being filled.
func (p *placer) key(ctx context.Context) (store.Key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dir == "" || p.used >= blobsPerDir {
		if err := p.next(ctx); err != nil {
			return "", err
		}
	}
	p.used++
	return store.NewKey(p.dir), nil
}

// next reserves and makes the next directory. One that could not be made is
// tried again, so that a failing store does not use numbers up. The caller
// holds mu.
func (p *placer) next(ctx context.Context) error {
	if p.reserved == "" {
		n, err := p.db.ReserveDir(ctx, p.store.Name())
		if err != nil {
			return fmt.Errorf("reserve a directory: %w", err)
		}
		crashpoint.Hit(crashpoint.PutDirReserved)
		p.reserved = store.DirOf(n)
	}
	if m, ok := p.store.DirMaker(); ok {
		if err := m.MakeDir(ctx, p.reserved); err != nil {
			return storeError("make a directory", err)
		}
	}
	p.dir, p.used, p.reserved = p.reserved, 0, ""
	return nil
}

// Settle removes what a crash left in the reserved directories: objects that
// were written but whose file was never recorded, and ends the reservations. It
// also cuts objects that are longer than their blobs. It runs before the daemon
// serves and after, when nobody writes, and returns how many objects it removed.
func (s *Service) Settle(ctx context.Context) (removed int, err error) {
	for _, st := range s.cfg.Stores {
		n, err := s.settleStore(ctx, st)
		removed += n
		if err == nil {
			err = s.settleCuts(ctx, st)
		}
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (s *Service) settleStore(ctx context.Context, st *store.Store) (removed int, err error) {
	dirs, err := s.db.OpenDirs(ctx, st.Name())
	if err != nil {
		return 0, fmt.Errorf("list reserved directories: %w", err)
	}
	for _, n := range dirs {
		k, err := s.settleDir(ctx, st, store.DirOf(n))
		removed += k
		if err != nil {
			return removed, err
		}
		if err := s.db.CloseDir(ctx, st.Name(), n); err != nil {
			return removed, fmt.Errorf("close a directory's reservation: %w", err)
		}
	}
	return removed, nil
}

func (s *Service) settleDir(ctx context.Context, st *store.Store, dir store.Dir) (removed int, err error) {
	prefix := string(dir) + "/"
	rows, err := s.db.BlobsIn(ctx, st.Name(), prefix)
	if err != nil {
		return 0, fmt.Errorf("list the blobs of a directory: %w", err)
	}
	for info, err := range st.List(ctx, prefix, "") {
		if err != nil {
			return removed, storeError("list a reserved directory", err)
		}
		if _, known := rows[string(info.Key)]; known {
			continue
		}
		if err := st.Delete(ctx, info.Key); err != nil {
			return removed, storeError("remove an unrecorded object", err)
		}
		removed++
	}
	return removed, nil
}
