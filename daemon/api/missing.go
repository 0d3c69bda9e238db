package api

import (
	"errors"
	"fmt"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/protocol"
)

// named is e as the caller is told it: who runs the installation learns which node
// is missing, and what can be done about it. Nobody else learns where bytes lie.
func (c *call) named(e *protocol.Error) *protocol.Error {
	missing, ok := errors.AsType[*peer.Missing](e)
	if !ok || !c.caller.Scopes.Has(protocol.ScopeAdmin) {
		return e
	}
	at := "at " + missing.Peer.Address
	if missing.Peer.Address == "" {
		at = "whose address is not known"
	}
	told := *e
	told.Hint = fmt.Sprintf("It is node %s %s. ", missing.Peer.Node, at)
	if e.Kind == protocol.KindOwnerDown {
		told.Hint += "Have it run again, and this goes on; where it or its disk is gone for good, docs/cluster.md says what can be done (What is left of a node). "
	}
	told.Hint += e.Hint
	return &told
}
