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
	// Draining: it ends once the requests have that it is at work on.
	Draining bool `json:"draining"`
	// Load is how many requests it was at work on at its last sign of life.
	Load int64 `json:"load"`
	// HeldBytes is how much lies on its own disks, and so cannot be read without
	// it; nil where it could not be counted in time.
	HeldBytes *int64 `json:"held_bytes"`
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
