package upload

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// choices bounds how often a store is chosen for one request.
const choices = 5

// choose has make name a blob in the store that takes new ones, and again where
// that was closed before there was a row.
func (s *Service) choose(ctx context.Context, make func(st *store.Store) error) error {
	for left := choices; ; left-- {
		st := s.place.Store()
		if st == nil {
			return errNowhere()
		}
		err := make(st)
		if !errors.Is(err, meta.ErrStoreClosed) || left == 1 {
			return err
		}
		if err := s.place.Load(ctx); err != nil {
			return err
		}
	}
}

// errNowhere: the store that would take new blobs is closed, and the one that
// takes its place is not in the configuration.
func errNowhere() error {
	return &protocol.Error{Kind: protocol.KindStoreUnavailable,
		Message: "no store takes new files: the one for them was emptied into another that the daemon does not have; nothing was stored",
		Hint:    "Put the other store back into the configuration, or make another one default_store, and restart the daemon."}
}

// unnamed counts the small files whose object may exist while their row does
// not; once closed there are no more of them.
type unnamed struct {
	mu sync.Mutex
	// Guarded by mu.
	n      int
	closed bool
}

// begin and end bracket the time in which a small file's object may exist
// without a row. After close nothing begins.
func (u *unnamed) begin() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return protocol.Errorf(protocol.KindDraining, "the daemon is stopping; nothing was stored")
	}
	u.n++
	return nil
}

func (u *unnamed) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n--
}

// close ends the making of small files and reports whether none is under way.
func (u *unnamed) close() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	return u.n == 0
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
			return removed, storeError(ctx, "list a reserved directory", err)
		}
		if _, known := rows[string(info.Key)]; known {
			continue
		}
		if err := st.Delete(ctx, info.Key); err != nil {
			return removed, storeError(ctx, "remove an unrecorded object", err)
		}
		removed++
	}
	return removed, nil
}
