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
		{ID: "aaaa", Address: &address, Version: "v1", Worker: 7, Since: at, LeaseUntil: at, Living: true, Draining: true, Load: 3, HeldBytes: &held},
		{ID: "bbbb", Since: at, LeaseUntil: at},
	}}, nil
}

func TestListNodes(t *testing.T) {
	o := startOspd(t)
	got := into[protocol.NodeList](t, o.do("GET", "/v1/nodes", ""), http.StatusOK)
	if len(got.Nodes) != 2 || got.Nodes[0].Worker != 7 || *got.Nodes[0].HeldBytes != 5 || got.Nodes[1].Address != nil {
		t.Errorf("got %+v", got)
	}
}
