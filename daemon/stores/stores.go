// Package stores says how the configured stores are: whether they answer, and
// how much lies in each.
package stores

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

const (
	// answerTimeout is how long a store has to answer, countTimeout how long
	// counting may take.
	answerTimeout = 5 * time.Second
	countTimeout  = 10 * time.Second
	// countRest is how many times as long as it took a count is good: what takes
	// a second is done every twenty.
	countRest = 20
	// maxError bounds what is told of an error, in bytes.
	maxError = 500
)

// Records is what a Service needs of the metadata; meta.DB is the one.
type Records interface {
	ClosedStores(ctx context.Context) (map[string]string, error)
	CountStore(ctx context.Context, store string) (meta.StoreCount, error)
}

// Config is what a Service needs.
type Config struct {
	Meta Records
	// Stores are all there are, by name; Types are of which type each is.
	Stores map[string]*store.Store
	Types  map[string]string
	// Nodes are on whose disk those are that only one node reaches.
	Nodes map[string]meta.NodeID
	// Elsewhere gives those on the disks of other nodes; nil where there are none.
	Elsewhere func(ctx context.Context) (map[string]meta.NodeID, error)
	// Default is the configured store for new blobs.
	Default string
	// Installation is the id that stores are marked with.
	Installation string
	// Now is time.Now when nil, Logger slog.Default().
	Now    func() time.Time
	Logger *slog.Logger
}

// Service says how stores are. Its methods are safe for concurrent use.
type Service struct {
	cfg     Config
	counts  *counter
	readies map[string]*readiness
}

// New makes a Service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Service{cfg: cfg, counts: newCounter(cfg), readies: map[string]*readiness{}}
	for name := range cfg.Stores {
		s.readies[name] = &readiness{turn: make(chan struct{}, 1)}
	}
	return s
}

// List describes every store of this node, by name. It asks all of them at once,
// and waits for none longer than a few seconds.
func (s *Service) List(ctx context.Context) (list protocol.StoreList, err error) {
	closed, err := s.cfg.Meta.ClosedStores(ctx)
	if err != nil {
		return list, err
	}
	names := slices.Sorted(maps.Keys(s.cfg.Stores))
	list.Stores = make([]protocol.Store, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		st := &list.Stores[i]
		st.Name, st.Type, st.Default = name, s.cfg.Types[name], name == s.cfg.Default
		st.Node, st.ClosedTo = given(s.cfg.Nodes[name]), closedTo(closed, name)
		wg.Go(func() { s.ask(ctx, st) })
		wg.Go(func() { s.count(ctx, st) })
	}
	wg.Wait()
	return list, ctx.Err()
}

// ask finds out whether a store answers.
func (s *Service) ask(ctx context.Context, st *protocol.Store) {
	err := Reach(ctx, s.cfg.Stores[st.Name], s.cfg.Installation)
	if st.Reachable = err == nil; st.Reachable {
		return
	}
	if ctx.Err() == nil {
		s.cfg.Logger.WarnContext(ctx, "a store is not usable", "store", st.Name, "err", err)
	}
	text := err.Error()
	text = strings.ToValidUTF8(text[:min(len(text), maxError)], "")
	st.Error = &text
}

// Reach is nil where the store answers within a few seconds, lets us work, and
// bears the mark of the installation, which has used it before. Of one whose mark
// is still to be read it is what kept that from being done.
func Reach(ctx context.Context, st *store.Store, installation string) error {
	if err := st.Away(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return st.Reach(ctx, installation, true)
}

// count says how much lies in a store, where that is known.
func (s *Service) count(ctx context.Context, st *protocol.Store) {
	if is, at, known := s.counts.of(ctx, st.Name); known {
		counted := protocol.TimeOf(at)
		st.Blobs, st.Bytes, st.CountedAt = &is.Blobs, &is.Bytes, &counted
	}
}

// Bytes gives how much lies in a store that need not be one of this node's.
// known is false where it could not be counted in time.
func (s *Service) Bytes(ctx context.Context, name string) (bytes int64, known bool) {
	is, _, known := s.counts.of(ctx, name)
	return is.Bytes, known
}
