package upload

import (
	"context"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// An upload has a home where its bytes come to lie on one node's own disk: that
// node alone has the descriptors, knows who is writing which part, and can read
// back what it holds. Every other one says where that is before it takes a byte.

// here makes sure that an open upload is for this node to go on with; the error is
// a *holder.Elsewhere.
func (s *Service) here(up meta.Upload) error {
	if up.State != protocol.UploadOpen {
		return nil
	}
	if up.Node != "" && up.Node != s.cfg.Node {
		return &holder.Elsewhere{Node: up.Node}
	}
	if up.InPlace == nil {
		return nil
	}
	_, err := holder.Find(s.cfg.Stores, up.InPlace.Store)
	return err
}

// onDisk is the node on whose own disk the store is, "" where every node has it.
func (s *Service) onDisk(st *store.Store) meta.NodeID {
	if _, files := st.FileOpener(); files {
		return s.cfg.Node
	}
	return ""
}

// settleHome has an upload that began where every node reaches its bytes, or
// before uploads had homes, be at home here before anything of it is written to
// this node's own disk.
func (s *Service) settleHome(ctx context.Context, up meta.Upload, st *store.Store) error {
	if up.Node != "" || s.onDisk(st) == "" {
		return nil
	}
	home, others, err := s.db.SettleHome(ctx, up.Owner, up.UID, s.cfg.Node, s.isOwn)
	switch {
	case err != nil:
		return err
	case others != "":
		return holder.At(others)
	case home != s.cfg.Node:
		return &holder.Elsewhere{Node: home}
	}
	return nil
}

func (s *Service) isOwn(name string) bool { return s.cfg.Stores[name] != nil }

// reached makes sure that what a claim is checked against can be read by this
// node. Where the one that has it is down the claim is refused: the caller has the
// bytes, and sends them.
func (s *Service) reached(uid protocol.UID, c meta.Content) error {
	err := holder.All(s.cfg.Stores, c.Extents)
	if s.isDown(err) {
		return refused(uid)
	}
	return err
}

// isDown reports whether err is that something lies on a node that is known not to
// answer.
func (s *Service) isDown(err error) bool {
	e := holder.Of(err)
	return e != nil && s.cfg.Down != nil && s.cfg.Down(e)
}
