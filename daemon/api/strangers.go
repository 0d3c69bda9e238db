package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
)

const (
	// strangerQuiet is how long the log says nothing more of one who is no peer: a
	// node whose certificate has ended asks twice a second.
	strangerQuiet = time.Minute
	// mostStrangers bounds how many are told apart; those beyond are one.
	mostStrangers = 256
	// maxClaimed bounds what is kept of the name that one gives itself.
	maxClaimed = 64
)

// stranger is who sent what is not a peer's.
type stranger struct {
	host string
	// node is who it says it is, which is not believed: "" where it says nothing.
	node   string
	reason peer.Reason
}

// told is when the log was told of one, and how often it came since.
type told struct {
	last   time.Time
	unsaid int
}

// strangers tell the log of those who come in by the side and are no peers.
type strangers struct {
	log *slog.Logger
	now func() time.Time

	mu  sync.Mutex
	all map[stranger]told
}

func newStrangers(log *slog.Logger) *strangers {
	return &strangers{log: log, now: time.Now, all: map[stranger]told{}}
}

// tell is called with each request, or connection, that was refused, and why.
func (s *strangers) tell(ctx context.Context, remote net.Addr, node string, err error) {
	who := stranger{host: hostOf(remote), node: node[:min(len(node), maxClaimed)]}
	if reason, ok := errors.AsType[peer.Reason](err); ok {
		who.reason = reason
	}
	if unsaid, due := s.due(who); due {
		s.log.LogAttrs(ctx, slog.LevelWarn, "not a peer", slog.String("remote", remote.String()), slog.String("sender", who.node),
			slog.Int("unsaid", unsaid), slog.Any("error", err))
	}
}

// due reports whether the log is to be told of one who came now, and how often it
// came since it was told last.
func (s *strangers) due(who stranger) (unsaid int, due bool) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.all[who]
	if !known && len(s.all) >= mostStrangers {
		for other, t := range s.all {
			if now.Sub(t.last) >= strangerQuiet {
				delete(s.all, other)
			}
		}
		if len(s.all) >= mostStrangers {
			who = stranger{}
			t, known = s.all[who]
		}
	}
	if known && now.Sub(t.last) < strangerQuiet {
		s.all[who] = told{t.last, t.unsaid + 1}
		return 0, false
	}
	s.all[who] = told{last: now}
	return t.unsaid, true
}

// hostOf is the address of a machine, whatever the port.
func hostOf(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return a.String()
}
