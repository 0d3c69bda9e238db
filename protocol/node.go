package protocol

import "encoding/json"

// Node is one of the daemons that work on the database, or have.
type Node struct {
	ID string `json:"id"`
	// Address is where the other nodes reach it, nil of one that is alone.
	Address *string `json:"address"`
	Version string  `json:"version"`
	// Worker is the number in the uids that it mints.
	Worker int `json:"worker"`
	// Since is when it started, LeaseUntil when it is taken for dead unless it
	// gives a sign of life before, or was. Living says that this is to come.
	Since      Time `json:"since"`
	LeaseUntil Time `json:"lease_until"`
	Living     bool `json:"living"`
	// Reachable says whether it answers the node that was asked, which is known
	// before its lease ends; nil where that node does not ask it.
	Reachable *bool `json:"reachable"`
	// Draining: it is to take nothing new, until that is taken back.
	Draining bool `json:"draining"`
	// Stopping: it ends once the requests have that it is at work on.
	Stopping bool `json:"stopping"`
	// Load is how many requests it was at work on at its last sign of life.
	Load int64 `json:"load"`
	// HeldBytes is how much lies on its own disks, and so cannot be read without
	// it; nil where it could not be counted in time.
	HeldBytes *int64 `json:"held_bytes"`
	// OpenUploads is how many uploads go on with it alone, since their bytes lie on
	// its disks.
	OpenUploads int64 `json:"open_uploads"`
}

// PatchNode is the body of PATCH /v1/nodes/{id}. A nil Draining stays as it is.
type PatchNode struct {
	Draining *bool `json:"draining"`
}

// NodeList is the answer of GET /v1/nodes, by id. A daemon on SQLite has none
// beside it, and is not in it either.
type NodeList struct {
	Nodes []Node `json:"nodes"`
}

// MarshalJSON makes nil Nodes an empty list.
func (l NodeList) MarshalJSON() ([]byte, error) {
	type plain NodeList
	l.Nodes = list(l.Nodes)
	return json.Marshal(plain(l))
}
