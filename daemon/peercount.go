package daemon

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// peerCounts counts what this node hands to others; *metrics.Metrics does.
type peerCounts interface {
	PeerHanded(outcome string)
	PeerBytes(sent, received int64)
	PeerInFlight(side string, delta int)
	PeerChanged(change string)
	// PeerCertificateEnds says when the node's certificate does.
	PeerCertificateEnds(at time.Time)
}

// handOn hands a request to a node, and counts it.
func (p *peering) handOn(ctx context.Context, node meta.NodeID, r peer.Request) (*peer.Answer, error) {
	p.counts.PeerInFlight("handed", 1)
	sent := &countedReader{Reader: r.Body}
	if r.Body != nil {
		r.Body = sent
	}
	answer, err := p.cluster.Do(ctx, node, r)
	if err != nil {
		p.counted(outcomeOf(err), sent.n.Load(), 0)
		return nil, err
	}
	answer.Body = &countedAnswer{ReadCloser: answer.Body, end: func(outcome string, received int64) { p.counted(outcome, sent.n.Load(), received) }}
	return answer, nil
}

func (p *peering) counted(outcome string, sent, received int64) {
	p.counts.PeerHanded(outcome)
	p.counts.PeerBytes(sent, received)
	p.counts.PeerInFlight("handed", -1)
}

// outcomeOf is what came of a request that has no answer.
func outcomeOf(err error) string {
	if _, own := errors.AsType[*peer.BodyFailed](err); own {
		return "body"
	}
	if _, refused := errors.AsType[*peer.Refused](err); refused {
		return "refused"
	}
	if broken, ok := errors.AsType[*peer.Broken](err); ok && broken.Begun {
		return "broken"
	}
	if protocol.KindOf(err) == protocol.KindOwnerDown {
		return "owner_down"
	}
	return "cut" // who asked went away
}

// countedReader counts what is read of a request's body.
type countedReader struct {
	io.Reader
	n atomic.Int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// countedAnswer counts what is read of an answer's body, and tells of its end.
type countedAnswer struct {
	io.ReadCloser
	end func(outcome string, received int64)

	once sync.Once
	n    int64
	cut  bool
}

func (c *countedAnswer) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	c.cut = c.cut || err != nil && err != io.EOF
	return n, err
}

func (c *countedAnswer) Close() error {
	err := c.ReadCloser.Close()
	c.once.Do(func() {
		outcome := "answered"
		if c.cut {
			outcome = "cut"
		}
		c.end(outcome, c.n)
	})
	return err
}
