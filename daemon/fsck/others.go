package fsck

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/osproxy/osproxy/daemon/meta"
)

// Other is where a store is that lies on another node's disk.
type Other struct {
	Node meta.NodeID
	// Address is where that node was reached last, "" where it is not known.
	Address string
}

// Unchecked is a store that was not looked into, since only another node sees it.
type Unchecked struct {
	Store   string      `json:"store"`
	Node    meta.NodeID `json:"node"`
	Address string      `json:"address"`
	// Blobs is how many are to be there, or were a short while ago.
	Blobs int64 `json:"blobs"`
}

func (u Unchecked) text() string {
	at := ""
	if u.Address != "" {
		at = fmt.Sprintf(" (%s when it ran)", u.Address)
	}
	return fmt.Sprintf("UNCHECKED %s: %d blobs on the disk of node %s%s; run ospd fsck there, with the configuration of that node", u.Store, u.Blobs, u.Node, at)
}

// findOthers learns which stores are on other nodes' disks.
func (c *checker) findOthers(ctx context.Context) {
	if c.cfg.Others == nil {
		return
	}
	all, err := c.cfg.Others(ctx)
	c.database(err)
	for name, o := range all {
		c.others[name] = &Unchecked{Store: name, Node: o.Node, Address: o.Address}
	}
}

// onOther counts a blob on another node's disk as not looked at.
func (c *checker) onOther(b meta.BlobRefs) {
	if u := c.others[b.Store]; u != nil && b.State != meta.BlobGone {
		u.Blobs++
	}
}

// unchecked lists what was not looked into, by name.
func (c *checker) unchecked() (list []Unchecked) {
	for _, u := range slices.SortedFunc(maps.Values(c.others), func(a, b *Unchecked) int { return cmp.Compare(a.Store, b.Store) }) {
		list = append(list, *u)
	}
	return list
}
