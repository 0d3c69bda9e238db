package meta

import "github.com/osproxy/osproxy/protocol"

// AnyOwner stands for all owners, and for what is the daemon's own, in verbs
// about jobs and webhooks. No owner can have that name (protocol.CheckOwner).
const AnyOwner protocol.Owner = "*"

// Caller is who asks about jobs or webhooks.
type Caller struct {
	Owner protocol.Owner
	// All: who runs the installation reaches every owner's, and the daemon's.
	All bool
}

// Reach is whose the caller may see and change.
func (c Caller) Reach() protocol.Owner {
	if c.All {
		return AnyOwner
	}
	return c.Owner
}
