package daemon

import (
	"context"
	"errors"
	"testing"

	"github.com/osproxy/osproxy/daemon/cluster"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/placing"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/mem"
)

// closing says which stores are closed, and for which.
type closing struct {
	placing.Records
	stores map[string]string
	err    error
}

func (c *closing) ClosedStores(context.Context) (map[string]string, error) { return c.stores, c.err }

// TestRoomIsMeasuredWhereNewBlobsGo: during a migration and after it that is not in
// default_store, and it may be in a store that this node does not have.
func TestRoomIsMeasuredWhereNewBlobsGo(t *testing.T) {
	disk, err := local.New(local.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	stores := map[string]*store.Store{"disk": store.New("disk", disk, store.Options{}), "bucket": store.New("bucket", mem.New(), store.Options{})}
	defer func() {
		if err := stores["disk"].Close(); err != nil {
			t.Error(err)
		}
	}()
	records := &closing{}
	p := &peering{place: placing.New(records, stores, "disk")}
	measure := func() int64 {
		p.measure(t.Context())
		return p.free.Load()
	}
	if free := measure(); free == cluster.Unlimited || free < 1 {
		t.Errorf("the disk has room for %d", free)
	}
	records.stores = map[string]string{"disk": "bucket"}
	if free := measure(); free != cluster.Unlimited {
		t.Errorf("the store that takes new blobs in its place has room for %d", free)
	}
	records.err = errors.New("the database does not answer")
	if free := measure(); free != cluster.Unlimited {
		t.Errorf("what is not known is as it was: %d", free)
	}
	records.stores, records.err = map[string]string{"disk": "bucket", "bucket": "the disk of another node"}, nil
	if free := measure(); free != 0 {
		t.Errorf("no store of this node takes new blobs, and there is room for %d", free)
	}
}

// oneHome counts how often it is asked for homes.
type oneHome int

func (h *oneHome) StoreHomes(context.Context) (map[string]meta.NodeID, error) {
	*h++
	return map[string]meta.NodeID{"disk": "the home"}, nil
}

func (h *oneHome) SaidStores(context.Context) ([]meta.SaidStore, error) {
	shared, disk := meta.NodeStore{Name: "new", Type: "s3", Bucket: "new"}, meta.NodeStore{Name: "disk", Type: "local"}
	return []meta.SaidStore{
		{NodeStore: shared, Node: "gone"}, {NodeStore: shared, Node: "has it", Lives: true}, {NodeStore: shared, Node: "here", Lives: true},
		{NodeStore: disk, Node: "has a disk", Lives: true}, {NodeStore: meta.NodeStore{Name: "big", Type: "local"}, Node: "has a disk", Lives: true},
	}, nil
}

// TestHomesAreRemembered: whether a node is down is asked for within transactions, and
// asks the database for nothing.
func TestHomesAreRemembered(t *testing.T) {
	var asked oneHome
	p := &peering{self: "here", homes: homes{records: &asked}, cluster: cluster.New(cluster.Config{Self: "here"})}
	if p.down(&holder.Elsewhere{Store: "disk"}) || asked != 0 {
		t.Errorf("the database was asked %d times", asked)
	}
	for range 2 {
		if node, err := p.nodeOf(t.Context(), &holder.Elsewhere{Store: "disk"}); node != "the home" || err != nil {
			t.Errorf("%s, %v", node, err)
		}
	}
	if p.down(&holder.Elsewhere{Store: "disk"}) || asked != 1 {
		t.Errorf("the database was asked %d times", asked)
	}
	for name, want := range map[string]meta.NodeID{"another": "", "big": "", "new": "has it", "disk@there": ""} {
		to := &holder.Elsewhere{Store: name}
		if name == "disk@there" {
			to, want = holder.At(name), "there"
		}
		if node, err := p.nodeOf(t.Context(), to); node != want || err != nil || asked > 3 {
			t.Errorf("%s: %s, %v, asked %d times", name, node, err, asked)
		}
	}
}
