package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Do asks a node, and returns its answer once the header is there. Where the node
// is down the error is KindOwnerDown, at once; where it goes down before the
// header, then, or as soon as the request's body stands still. An answer's body that
// stands still while its node is down breaks off. An error of the request's own body
// is a *peer.BodyFailed.
func (c *Cluster) Do(ctx context.Context, node meta.NodeID, r peer.Request) (*peer.Answer, error) {
	m := c.find(ctx, node)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("ask node %s: %w", node, context.Cause(ctx))
	case m == nil:
		return nil, c.down(node, errOver)
	}
	to, life := m.lives()
	if life.Err() != nil {
		return nil, c.down(node, context.Cause(life))
	}
	asked, cancel := context.WithCancelCause(ctx)
	v := c.keep(node, rule{stall: c.times.Stall, most: 10 * c.times.Stall}, cancel)
	defer v.End()
	// Nothing has moved before the body does.
	v.set(true, time.Time{})
	if r.Body != nil {
		r.Body = sending{r.Body, v}
	}
	answer, err := c.cfg.Sender.Do(asked, to, r)
	if err != nil {
		cancel(nil)
		m.ask()
		return nil, c.failure(ctx, node, err)
	}
	answer.Body = &stream{answer.Body, c.keep(node, rule{stall: c.times.Stall, fromDown: true}, cancel), cancel}
	return answer, nil
}

// find gives a node whose lease lasts. One that is not in the list may have come
// just now.
func (c *Cluster) find(ctx context.Context, node meta.NodeID) *member {
	m, sure := c.member(node)
	if !sure {
		c.lookAnew(ctx)
		m, _ = c.member(node)
	}
	return m
}

// member gives a node of the list, and whether there is no use in reading it.
func (c *Cluster) member(node meta.NodeID) (m *member, sure bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m = c.members[node]
	_, over := c.over[node]
	return m, m != nil || node == "" || over
}

// failure says what it means for the caller that a node did not answer.
func (c *Cluster) failure(ctx context.Context, node meta.NodeID, err error) error {
	if _, own := errors.AsType[*peer.BodyFailed](err); own || ctx.Err() != nil {
		return fmt.Errorf("ask node %s: %w", node, err)
	}
	if _, ours := errors.AsType[*protocol.Error](err); ours {
		return err
	}
	if refused, ok := errors.AsType[*peer.Refused](err); ok {
		c.cfg.Log.Error("a node does not take requests of this one", "node", node, "error", refused)
		return &protocol.Error{Kind: protocol.KindUnavailable, Err: c.missing(node, err), RetryAfter: c.times.Retry,
			Message: "the node that has what this needs does not take requests of this one; nothing was done with it",
			Hint:    "Try again. If it goes on, the operator finds the reason in the log: another key, a certificate that has ended, or a clock that is wrong."}
	}
	if broken, ok := errors.AsType[*peer.Broken](err); ok && broken.Begun {
		return &protocol.Error{Kind: protocol.KindOwnerDown, Err: c.missing(node, err), RetryAfter: c.times.Retry,
			Message: "the node that has what this needs went away before it answered; whether the request was done is not known",
			Hint:    "Ask for the state, then try again: what was acknowledged is not lost."}
	}
	return c.down(node, err)
}

// down is the error of whoever needs a node that is down.
func (c *Cluster) down(node meta.NodeID, why error) error {
	return &protocol.Error{Kind: protocol.KindOwnerDown, Err: c.missing(node, why), RetryAfter: c.times.Retry,
		Message: "the node that has what this needs does not answer; nothing was done, and what was acknowledged is not lost",
		Hint:    "Try again: it goes on when that node is back."}
}

// missing names the node that did not do what it was asked for, and where it was last.
func (c *Cluster) missing(node meta.NodeID, why error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &peer.Missing{Peer: peer.Peer{Node: node, Address: c.addresses[node]}, Err: why}
}

// Choose is the node for something new of that size (-1: not known): "" is this
// one, unless it drains or has no room and another has. Of those the one with the
// most room is chosen. That this one stops is no reason: what it has accepted it
// ends, and the others may be stopping too.
func (c *Cluster) Choose(size int64) meta.NodeID {
	own := c.Report()
	if !own.Draining && own.Free >= max(size, 1) {
		return ""
	}
	var best State
	for _, s := range c.States() {
		if s.takes() && s.Report.Free >= max(size, 1) && s.Report.Free > best.Report.Free {
			best = s
		}
	}
	return best.Node
}

// Down reports whether a node is known not to answer now.
func (c *Cluster) Down(node meta.NodeID) bool {
	if node == c.cfg.Self {
		return false
	}
	m, sure := c.member(node)
	return m == nil && sure || m != nil && m.state().Down
}

// States are the other nodes whose lease lasts, in no order.
func (c *Cluster) States() []State {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := make([]State, 0, len(c.members))
	for _, m := range c.members {
		states = append(states, m.state())
	}
	return states
}

// StandsAside reports whether what is new is for others: this node is drained, and
// another lives that is not.
func (c *Cluster) StandsAside() bool {
	return c.Report().Draining && slices.ContainsFunc(c.States(), State.takes)
}

// takes reports whether a node takes what is new.
func (s State) takes() bool {
	return s.Heard && !s.Down && !s.Report.Draining && !s.Report.Ending
}

// Report is how this node is doing: the answer to a ping.
func (c *Cluster) Report() Report {
	r := c.cfg.Report()
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Draining = r.Draining || c.drains
	return r
}
