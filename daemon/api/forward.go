package api

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/protocol"
)

// Where what a request needs lies on another node's disk, the service says so
// (holder.Elsewhere) before it took a byte of the body and before a byte of the
// answer is written. The request then goes to that node, made anew of what was
// understood of it, and the answer comes back the same way; both stream. There the
// same handler runs, and never hands it on.

// elsewhere hands the request to the node that err says has what it needs. Other
// errors it gives back.
func (c *call) elsewhere(err error) error {
	to := holder.Of(err)
	switch {
	case to == nil:
		return err
	case c.door.peers:
		return disagree(to)
	case c.srv.cfg.Peers == nil:
		return err
	case c.streaming || !c.match.endpoint.handed:
		return fmt.Errorf("a request of %s cannot be handed to another node: %w", c.match.name, errHanded)
	case c.form != nil && !c.form.begun:
		return c.forward(to)
	case c.body.got != int64(len(c.held)):
		return fmt.Errorf("%d bytes of the body were read before the request was to be handed to another node: %w", c.body.got, errHanded)
	}
	return c.forward(to)
}

// errHanded is a mistake of ours, not of the bytes' place.
var errHanded = errors.New("what it needs is on another node")

// forward hands the request to another node and its answer to the client.
func (c *call) forward(to *holder.Elsewhere) error {
	r := peer.Request{Method: string(c.http.Method()), Path: c.canonicalPath(), Query: c.canonicalQuery(), Fields: c.fields()}
	switch {
	case c.form != nil:
		c.form.handOn(&r)
		c.interrupts(&r)
	case c.held != nil:
		r.Body, r.Length = bytes.NewReader(c.held), int64(len(c.held))
	case c.body.want > 0:
		r.Body, r.Length = c.body, c.body.want
		c.interrupts(&r)
	}
	c.handedTo = to
	answer, err := c.srv.cfg.Peers.Do(c.ctx, to, r)
	if _, own := errors.AsType[*peer.BodyFailed](err); !own && c.body.err != nil {
		// The peer wants no more of it: it was stopped in the middle of a read.
		c.body.err, c.body.ended = nil, true
		c.closeAfter()
	}
	if err != nil {
		return notHanded(err)
	}
	return c.handBack(answer)
}

// notHanded says what it means that a peer did not answer.
func notHanded(err error) error {
	if _, ok := errors.AsType[*protocol.Error](err); ok {
		return err
	}
	e := &protocol.Error{Kind: protocol.KindOwnerDown, Err: err, Hint: "Try again: nothing that was acknowledged is lost.",
		Message: "the node that has what this needs cannot be reached now; nothing was done"}
	if broken, ok := errors.AsType[*peer.Broken](err); ok && broken.Begun {
		e.Message = "the node that has what this needs went away in the middle; whether the request was done is not known"
	}
	return e
}

// interrupts has the sending of the client's body end when the peer wants no more
// of it.
func (c *call) interrupts(r *peer.Request) {
	r.Interrupt = func() { _ = c.http.Conn().SetReadDeadline(time.Unix(1, 0)) } // a connection that takes none is gone
	// That the body fails ends the sending of it; what is answered to that may still
	// come.
	c.body.cancel = func(error) {}
}

// canonicalPath is the path as the table of routes spells it.
func (c *call) canonicalPath() string {
	return strings.NewReplacer("{uid}", c.uid.String(), "{number}", strconv.Itoa(int(c.number)), "{token}", c.match.token).Replace(c.match.path)
}

// canonicalQuery is the query that was understood. It is no longer than the one that
// came, so that what fitted into a header here does so there: no byte is escaped that
// need not be.
func (c *call) canonicalQuery() string {
	var q strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.query)) {
		if q.Len() > 0 {
			q.WriteByte('&')
		}
		escapeInto(&q, name)
		q.WriteByte('=')
		escapeInto(&q, c.query[name])
	}
	return q.String()
}

// escapeInto writes a name or a value of a query.
func escapeInto(q *strings.Builder, text string) {
	for i := range len(text) {
		switch b := text[i]; {
		case b == ' ':
			q.WriteByte('+')
		case b < ' ' || b == 0x7f || strings.IndexByte("%&=+#;", b) >= 0:
			fmt.Fprintf(q, "%%%02X", b)
		default:
			q.WriteByte(b)
		}
	}
}

// handedFields are those of the header that count for a handler. No other is
// handed on.
func handedFields() []string {
	return []string{"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range",
		"Content-Type", "Content-Digest", protocol.HeaderXXH3, protocol.HeaderIdempotencyKey}
}

// fields say for whom the request is, and what else of its header counts.
func (c *call) fields() []peer.Field {
	fields := []peer.Field{
		{Name: peer.HeaderOwner, Value: string(c.caller.Owner)},
		{Name: peer.HeaderScopes, Value: c.caller.Scopes.String()},
		{Name: peer.HeaderRequestID, Value: c.id},
		{Name: peer.HeaderTrace, Value: c.trace.String()},
	}
	if c.caller.TokenID != "" {
		fields = append(fields, peer.Field{Name: peer.HeaderToken, Value: c.caller.TokenID})
	}
	if c.linkText != "" && c.match.guard.access == byToken {
		fields = append(fields, peer.Field{Name: peer.HeaderLink, Value: c.linkText})
	}
	for _, name := range handedFields() {
		if c.given(name) {
			fields = append(fields, peer.Field{Name: name, Value: strings.ReplaceAll(c.header(name), "\t", " ")})
		}
	}
	return fields
}
