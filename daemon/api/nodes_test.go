package api

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// someNodes are two nodes, of which one is told all there is.
type someNodes struct{}

func (someNodes) List(context.Context) (protocol.NodeList, error) {
	at, address, held := protocol.TimeOf(time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)), "127.0.0.2:9101", int64(5)
	return protocol.NodeList{Nodes: []protocol.Node{
		{ID: "aaaa", Address: &address, Version: "v1", Worker: 7, Since: at, LeaseUntil: at, Living: true, Draining: true, Load: 3, HeldBytes: &held, OpenUploads: 2},
		{ID: "bbbb", Since: at, LeaseUntil: at},
	}}, nil
}

// Drain knows the first of them, which is the last that takes what is new; for the
// second there is no room in the database.
func (n someNodes) Drain(ctx context.Context, id string, drain *bool) (protocol.Node, error) {
	list, err := n.List(ctx)
	switch {
	case id == list.Nodes[1].ID:
		return protocol.Node{}, protocol.Errorf(protocol.KindStoreFull, "the database is full; nothing was changed")
	case id != list.Nodes[0].ID:
		return protocol.Node{}, protocol.Errorf(protocol.KindNotFound, "there is no node of that id; nothing was changed")
	case drain != nil && *drain:
		return protocol.Node{}, protocol.Errorf(protocol.KindConflict, "this is the last node")
	}
	node := list.Nodes[0]
	if drain != nil {
		node.Draining = *drain
	}
	return node, err
}

// TestPatchNode: what the body says is asked for, and nothing else.
func TestPatchNode(t *testing.T) {
	o := startOspd(t)
	patch := func(id, body string) answer {
		return o.do("PATCH", "/v1/nodes/"+id, body, "Content-Type", "application/json")
	}
	for body, want := range map[string]bool{`{"draining": false}`: false, `{}`: true, `{"draining": null}`: true} {
		if got := into[protocol.Node](t, patch("aaaa", body), http.StatusOK); got.Draining != want || got.OpenUploads != 2 {
			t.Errorf("%s: %+v", body, got)
		}
	}
	patch("aaaa", `{"draining": true}`).problem(t, protocol.KindConflict)
	patch("cccc", `{"draining": false}`).problem(t, protocol.KindNotFound)
	patch("aaaa", `{"load": 1}`).problem(t, protocol.KindUnknownField)
	patch("aaaa", `{"draining": 1}`).problem(t, protocol.KindBadRequest)
	patch("aaaa", ``).problem(t, protocol.KindBadRequest)
}

func TestListNodes(t *testing.T) {
	o := startOspd(t)
	got := into[protocol.NodeList](t, o.do("GET", "/v1/nodes", ""), http.StatusOK)
	if len(got.Nodes) != 2 || got.Nodes[0].Worker != 7 || *got.Nodes[0].HeldBytes != 5 || got.Nodes[1].Address != nil {
		t.Errorf("got %+v", got)
	}
}
