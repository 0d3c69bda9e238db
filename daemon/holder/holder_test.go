package holder_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

const other = meta.NodeID("00112233445566778899aabbccddeeff")

func TestNames(t *testing.T) {
	for instance, want := range map[string]struct {
		name string
		node meta.NodeID
	}{
		"disk":                        {"disk", ""},
		"disk@" + string(other):       {"disk", other},
		holder.Instance("big", other): {"big", other},
	} {
		if name, node := holder.Split(instance); name != want.name || node != want.node {
			t.Errorf("%s is %q of %q", instance, name, node)
		}
	}
	if err := holder.CheckName("disk"); err != nil {
		t.Error(err)
	}
	if err := holder.CheckName(holder.Instance("disk", other)); err == nil {
		t.Error("a store may be configured under the name of a node's instance")
	}
}

// TestFind: what is not this node's is elsewhere, and says nothing worse of the
// bytes; no message that crosses the wire tells where they lie.
func TestFind(t *testing.T) {
	own := holder.Instance("disk", other)
	st := store.New(own, mem.New(), store.Options{})
	stores := map[string]*store.Store{own: st}
	if got, err := holder.Find(stores, own); got != st || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	for name, node := range map[string]meta.NodeID{"disk": "", holder.Instance("disk", "ff"): "ff", "minio": ""} {
		_, err := holder.Find(stores, name)
		err = fmt.Errorf("read: %w", err)
		if e := holder.Of(err); e == nil || e.Node != node || e.Store != name {
			t.Errorf("%s: %v", name, err)
		}
		if protocol.KindOf(err) != protocol.KindStoreUnavailable || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if holder.Of(nil) != nil || holder.Of(fmt.Errorf("broken")) != nil {
		t.Error("what is no Elsewhere is one")
	}
}

func TestAll(t *testing.T) {
	stores := map[string]*store.Store{"disk": store.New("disk", mem.New(), store.Options{})}
	if err := holder.All(stores, []meta.Extent{{Store: "disk"}, {Store: "disk"}}); err != nil {
		t.Error(err)
	}
	err := holder.All(stores, []meta.Extent{{Store: "disk"}, {Store: holder.Instance("disk", other)}})
	if e := holder.Of(err); e == nil || e.Node != other {
		t.Error(err)
	}
}
