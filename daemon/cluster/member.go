package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
)

const (
	// maxReport bounds what is read of one.
	maxReport = 4 << 10
	// fails is how many pings in a row make a node down.
	fails = 2
)

// Unlimited is the free room of a node whose store all nodes share.
const Unlimited = math.MaxInt64

// Report is how a node is doing, as it says itself.
type Report struct {
	// Draining is true of a node that is to take nothing new, Ending of one that
	// stops: what it has accepted it ends itself, and nobody gives it more.
	Draining bool `json:"draining"`
	Ending   bool `json:"ending"`
	// Free is how many bytes it has room for.
	Free int64 `json:"free"`
}

// State is how a node is, seen from here.
type State struct {
	Node meta.NodeID
	// Down is true of one that does not answer.
	Down bool
	// Report is the last that it gave. Heard is false before the first.
	Report Report
	Heard  bool
}

// The causes by which requests to a node end.
var (
	errDown = errors.New("the node answers no more")
	errOver = errors.New("the lease of the node is over")
	// errEnded is of a node that looks after the others no more.
	errEnded = errors.New("this node is ending")
)

// member is another node whose lease lasts.
type member struct {
	c   *Cluster
	ctx context.Context
	// end ends watch.
	end context.CancelFunc
	// doubt has it asked at once.
	doubt chan struct{}
	// asking bounds how many pings are under way: those that count, and one that has
	// failed and asked for the next.
	asking chan struct{}

	mu     sync.Mutex
	peer   peer.Peer
	drains bool
	ends   bool
	report Report
	heard  bool
	failed int
	// counts is when a ping has to have begun for its failing to count: one that
	// began before another failed, or was answered, tells nothing new.
	counts time.Time
	// down is when the node went down, sent when it sent a request last.
	down, sent time.Time
	// life ends when the node goes down, with the cause; another begins when it
	// answers again.
	life context.Context
	die  context.CancelCauseFunc
}

// newMember is a node that is thought to live until it was asked.
func newMember(c *Cluster, n meta.Node) *member {
	m := &member{c: c, doubt: make(chan struct{}, 1), asking: make(chan struct{}, fails+1), peer: peer.Peer{Node: n.ID}}
	m.ctx, m.end = context.WithCancel(c.run)
	m.live()
	return m
}

// live begins a life. m.mu is held, or nobody else has m.
func (m *member) live() { m.life, m.die = context.WithCancelCause(m.ctx) }

// row takes what the database says of the node.
func (m *member) row(n meta.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drains, m.ends = n.Draining, n.Ending
	if m.peer.Address != n.Address {
		m.peer.Address = n.Address
		m.ask()
	}
}

// ask has the node asked soon.
func (m *member) ask() {
	select {
	case m.doubt <- struct{}{}:
	default:
	}
}

func (m *member) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.die(errOver)
	m.end()
}

func (m *member) state() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := State{Node: m.peer.Node, Down: m.life.Err() != nil, Report: m.report, Heard: m.heard}
	s.Report.Draining, s.Report.Ending = s.Report.Draining || m.drains, s.Report.Ending || m.ends
	return s
}

// lives gives the life of the node, which is over where it is down.
func (m *member) lives() (peer.Peer, context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peer, m.life
}

// sends notes that the node has sent a request.
func (m *member) sends() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = time.Now()
}

// sentLast is when the node sent a request last.
func (m *member) sentLast() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent
}

// downSince says since when the node is down, and why; one that is not has no why.
func (m *member) downSince() (since time.Time, why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life.Err() == nil {
		return time.Time{}, nil
	}
	return m.down, context.Cause(m.life)
}

// watch asks the node whether it is there, again and again.
func (m *member) watch(ctx context.Context) {
	var pings sync.WaitGroup
	defer pings.Wait()
	tick := time.NewTicker(m.c.times.Ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.doubt:
		}
		select {
		case m.asking <- struct{}{}:
			pings.Go(func() {
				defer func() { <-m.asking }()
				m.ping(ctx)
			})
		default:
		}
	}
}

// ping asks once.
func (m *member) ping(ctx context.Context) {
	to, _ := m.lives()
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, m.c.times.Answer)
	defer cancel()
	report, err := m.c.ping(limited, to)
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.fail(began, err)
		return
	}
	m.report, m.heard, m.failed, m.counts = report, true, 0, time.Now()
	if m.life.Err() != nil {
		m.live()
		m.c.cfg.Changed("back")
		m.c.cfg.Log.Info("a node is back", "node", to.Node, "address", to.Address)
	}
}

// fail counts a ping without an answer, and has the next one sent where it is due.
// m.mu is held.
func (m *member) fail(began time.Time, err error) {
	if began.Before(m.counts) {
		return
	}
	m.counts = time.Now()
	if m.counts.Sub(began) >= m.c.times.Ping {
		m.ask()
	}
	if m.failed++; m.failed == fails && m.life.Err() == nil {
		m.down = m.counts
		m.die(errDown)
		m.c.fall()
		m.c.cfg.Changed("down")
		m.c.cfg.Log.Warn("a node is down: what it has cannot be had until it is back", "node", m.peer.Node, "address", m.peer.Address, "error", err)
	}
}

func (c *Cluster) ping(ctx context.Context, to peer.Peer) (r Report, err error) {
	answer, err := c.cfg.Pinger.Do(ctx, to, peer.Request{Method: http.MethodGet, Path: peer.PingPath})
	if err != nil {
		return r, fmt.Errorf("ping: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxReport))
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return r, fmt.Errorf("read the answer to a ping: %w", err)
	}
	if answer.Status != http.StatusOK {
		return r, fmt.Errorf("the ping was answered with status %d", answer.Status)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("read the answer to a ping: %w", err)
	}
	return r, nil
}
