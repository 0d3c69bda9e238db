// Package holder says who holds what lies in a local store, where each node of a
// cluster has a folder of its own under one configured name.
//
// In the database each of these folders, an instance, has a name of its own, and
// whoever keeps something in it keeps it under that: the instance of the store's
// home is called as the store is configured, that of any other node
// NAME@<node id>. A store that all nodes share is called as it is configured
// everywhere. So a node finds among its stores none that is another's, and can
// neither take bytes that it does not see for missing nor its own for another's.
package holder

import (
	"errors"
	"fmt"
	"strings"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// separator is between a configured name and a node's id, and in no configured name.
const separator = "@"

// CheckName reports what is wrong with the name of a configured store.
func CheckName(name string) error {
	if strings.Contains(name, separator) {
		return fmt.Errorf("a store's name has no %q: what follows it names the node of a cluster on whose disk the store is", separator)
	}
	return nil
}

// Instance names the folder of a node, under the configured name, that is not
// the store's home.
func Instance(name string, node meta.NodeID) string { return name + separator + string(node) }

// Split gives the configured name of an instance and the node that it is named
// after, "" of a shared store and at a store's home.
func Split(instance string) (name string, node meta.NodeID) {
	name, id, _ := strings.Cut(instance, separator)
	return name, meta.NodeID(id)
}

// Elsewhere is the error of whoever needs bytes that lie in a store which this
// node does not have. Nothing was read, written or changed on its account, and it
// says nothing of the bytes but where they are: they are neither missing nor
// damaged. Its kind is KindStoreUnavailable.
type Elsewhere struct {
	// Node has the bytes; "" where only the store's name tells.
	Node meta.NodeID
	// Store is the instance, "" where only the node is known.
	Store string
}

func (e *Elsewhere) Error() string {
	switch {
	case e.Store == "":
		return fmt.Sprintf("what this needs is on node %s", e.Node)
	case e.Node == "":
		return fmt.Sprintf("store %q is not one of this node's", e.Store)
	}
	return fmt.Sprintf("store %q is not one of this node's, but of node %s", e.Store, e.Node)
}

// Unwrap gives the error that the caller is told where nobody can be asked in
// this node's place.
func (e *Elsewhere) Unwrap() error {
	return &protocol.Error{
		Kind:    protocol.KindStoreUnavailable,
		Message: "the bytes lie in a store that is not configured here, or on another node; they are not lost",
		Hint:    "Try again; if it goes on, ask the operator to see that the node that has them runs, or to configure that store again.",
	}
}

// Find gives a store of this node by its instance's name; an *Elsewhere is the
// error where it has none.
func Find(stores map[string]*store.Store, instance string) (*store.Store, error) {
	if st := stores[instance]; st != nil {
		return st, nil
	}
	return nil, At(instance)
}

// At is the error that sends to where an instance is.
func At(instance string) *Elsewhere {
	_, node := Split(instance)
	return &Elsewhere{Node: node, Store: instance}
}

// All makes sure that every extent lies in a store of this node's. The error is
// an *Elsewhere.
func All(stores map[string]*store.Store, extents []meta.Extent) error {
	for i := range extents {
		if _, err := Find(stores, extents[i].Store); err != nil {
			return err
		}
	}
	return nil
}

// Of gives the *Elsewhere in err's chain, nil where there is none.
func Of(err error) *Elsewhere {
	e, _ := errors.AsType[*Elsewhere](err)
	return e
}
