package stores

import (
	"cmp"
	"context"
	"slices"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// typeLocal is the type of a store that one node alone reaches.
const typeLocal = "local"

// ListAll is List, with what other nodes answered of theirs. What lies on the disk of
// one that did not answer is in the list as unreachable.
func (s *Service) ListAll(ctx context.Context, answered []protocol.Store) (list protocol.StoreList, err error) {
	if list, err = s.List(ctx); err != nil {
		return list, err
	}
	seen := map[string]bool{}
	for _, st := range list.Stores {
		seen[st.Name] = true
	}
	add := func(st protocol.Store) {
		if !seen[st.Name] {
			seen[st.Name] = true
			list.Stores = append(list.Stores, st)
		}
	}
	for _, st := range answered {
		add(st)
	}
	silent, err := s.silent(ctx, answered)
	for _, st := range silent {
		add(st)
	}
	slices.SortFunc(list.Stores, func(a, b protocol.Store) int { return cmp.Compare(a.Name, b.Name) })
	return list, err
}

// silent describes what lies on the disks of nodes of which nothing is in answered.
// What is there no more, as far as is known, is not in it.
func (s *Service) silent(ctx context.Context, answered []protocol.Store) (list []protocol.Store, err error) {
	if s.cfg.Elsewhere == nil {
		return nil, nil
	}
	all, err := s.cfg.Elsewhere(ctx)
	if err != nil {
		return nil, err
	}
	closed, err := s.cfg.Meta.ClosedStores(ctx)
	if err != nil {
		return nil, err
	}
	heard := map[meta.NodeID]bool{}
	for _, st := range answered {
		if st.Node != nil {
			heard[meta.NodeID(*st.Node)] = true
		}
	}
	for name, node := range all {
		if heard[node] {
			continue
		}
		st := protocol.Store{Name: name, Type: typeLocal, Node: given(node), ClosedTo: closedTo(closed, name)}
		if s.count(ctx, &st); st.Blobs != nil && *st.Blobs == 0 {
			continue
		}
		why := "node " + string(node) + ", on whose disk it is, does not answer"
		st.Error = &why
		list = append(list, st)
	}
	return list, ctx.Err()
}

func closedTo(closed map[string]string, name string) *string {
	to, ok := closed[name]
	if !ok {
		return nil
	}
	return &to
}

// given is nil where there is no node.
func given(node meta.NodeID) *string {
	if node == "" {
		return nil
	}
	text := string(node)
	return &text
}
