package protocol

import "encoding/json"

// Store is a place for blobs that the daemon is configured with.
type Store struct {
	// Name is that of the configuration; of a disk of a node that is not the store's
	// home it is NAME@NODE.
	Name string `json:"name"`
	// Node is on whose disk it is. Nil: all nodes share it, or there is one alone.
	Node *string `json:"node"`
	// Type is its storage technology: local, s3, oss or cos.
	Type string `json:"type"`
	// Default: new blobs go there, unless it is closed.
	Default bool `json:"default"`
	// Reachable: it answered just now, with this installation's mark. Error says
	// what was wrong otherwise.
	Reachable bool    `json:"reachable"`
	Error     *string `json:"error"`
	// ClosedTo is the store to which new blobs go in place of this one, since
	// what lies here is, or was, migrated there. Nil: it takes new blobs.
	ClosedTo *string `json:"closed_to"`
	// Blobs and Bytes are how much lies there that is in use, as it was counted
	// at CountedAt; nil where it could not be counted in time.
	Blobs     *int64 `json:"blobs"`
	Bytes     *int64 `json:"bytes"`
	CountedAt *Time  `json:"counted_at"`
}

// StoreList is the answer of GET /v1/stores, by name.
type StoreList struct {
	Stores []Store `json:"stores"`
}

// MarshalJSON makes nil Stores an empty list.
func (l StoreList) MarshalJSON() ([]byte, error) {
	type plain StoreList
	l.Stores = list(l.Stores)
	return json.Marshal(plain(l))
}
