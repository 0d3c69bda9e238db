package peer

import (
	"fmt"

	"github.com/osproxy/osproxy/daemon/meta"
)

// Unreached is the error of a request of which nothing was sent: there was no
// connection to the peer.
type Unreached struct {
	Node meta.NodeID
	Err  error
}

func (e *Unreached) Error() string { return fmt.Sprintf("reach node %s: %v", e.Node, e.Err) }
func (e *Unreached) Unwrap() error { return e.Err }

// Broken is the error of a request whose connection ended before the answer was
// whole.
type Broken struct {
	Node meta.NodeID
	// Begun is true where the peer may have got the request, or some of its body,
	// so that nobody knows what it did.
	Begun bool
	Err   error
}

func (e *Broken) Error() string { return fmt.Sprintf("node %s did not answer: %v", e.Node, e.Err) }
func (e *Broken) Unwrap() error { return e.Err }

// Refused is the error of a request that was not taken for one of a peer, or
// whose answer did not prove to be one.
type Refused struct {
	Node   meta.NodeID
	Status int
	// Detail is the beginning of what was answered, for the log.
	Detail string
}

func (e *Refused) Error() string {
	return fmt.Sprintf("what answers at the address of node %s did not take the request for a peer's, or is no peer: status %d, %q", e.Node, e.Status, e.Detail)
}

// BodyFailed is the error of a request whose own body could not be read. The
// peer did not get all of it.
type BodyFailed struct{ Err error }

func (e *BodyFailed) Error() string { return "read the body of the request: " + e.Err.Error() }
func (e *BodyFailed) Unwrap() error { return e.Err }

// Missing names the node that a request would have needed, in the causes of an error
// that tells its caller nothing of nodes: for the log, and for administrators.
type Missing struct {
	Peer Peer
	Err  error
}

func (e *Missing) Error() string {
	if e.Peer.Address == "" {
		return fmt.Sprintf("node %s: %v", e.Peer.Node, e.Err)
	}
	return fmt.Sprintf("node %s at %s: %v", e.Peer.Node, e.Peer.Address, e.Err)
}
func (e *Missing) Unwrap() error { return e.Err }
