package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// TestNobodyIsLeftWithoutAStore: what all nodes share is not moved to the disk of one
// of them, neither now nor by a job from before there were others.
func TestNobodyIsLeftWithoutAStore(t *testing.T) {
	stores := map[string]*store.Store{}
	for _, name := range []string{"shared", "more", "disk", "big"} {
		stores[name] = store.New(name, mem.New(), store.Options{})
	}
	w := New(Config{Stores: stores, Disks: map[string]bool{"disk": true, "big": true, "shared": false, "more": false},
		Pace: func(int64) *pace.Pace { return pace.New(pace.Config{}) }})
	for _, c := range []struct {
		from, to string
		strands  bool
	}{{"shared", "disk", true}, {"shared", "more", false}, {"disk", "shared", false}, {"disk", "big", false}} {
		a := Args{From: c.from, To: c.to}
		if w.strands(a) != c.strands {
			t.Errorf("from %s to %s: %t", c.from, c.to, !c.strands)
		}
		if !c.strands {
			continue
		}
		if _, err := w.Request(t.Context(), json.RawMessage(fmt.Sprintf(`{"from": %q, "to": %q}`, c.from, c.to))); protocol.KindOf(err) != protocol.KindBadRequest {
			t.Errorf("from %s to %s: %v", c.from, c.to, err)
		}
		if err := w.Do(t.Context(), &job.Run{}, a); protocol.KindOf(err) != protocol.KindBadRequest || reflect.TypeOf(err) != reflect.TypeOf(job.Hopeless(err)) {
			t.Errorf("a job from %s to %s: %v", c.from, c.to, err)
		}
	}
	alone := New(Config{Stores: stores})
	if alone.strands(Args{From: "shared", To: "disk"}) {
		t.Error("there is nobody else")
	}
}

// TestNothingIsMovedBetweenDisksOfNodes: in whatever way somebody asks for that, the
// answer says that it is not done, why, and what is done instead; and it says nothing
// that is not so, as that there is no such store.
func TestNothingIsMovedBetweenDisksOfNodes(t *testing.T) {
	stores := map[string]*store.Store{}
	for _, name := range []string{"minio", "disk@a", "big@a"} {
		stores[name] = store.New(name, mem.New(), store.Options{})
	}
	c := Config{
		Stores: stores, Disks: map[string]bool{"disk@a": true, "big@a": true}, Instances: map[string]string{"minio": "minio", "disk": "disk@a", "big": "big@a"},
		Instance: func(_ context.Context, name string) (string, bool, error) {
			return name, name == "disk" || name == "disk@b" || name == "big" || name == "big@b", nil
		},
	}
	alone := c
	alone.Stores = maps.Clone(stores)
	delete(alone.Stores, "minio")
	const between = "are not moved to one another"
	for _, ask := range []struct {
		cfg            Config
		from, to       string
		message, hints string
	}{
		{c, "disk@a", "disk@b", between, "--to minio"},
		{c, "disk@a", "disk", between, "--to minio"},
		{c, "big@a", "disk@b", between, "--to minio"},
		{alone, "disk@a", "disk@b", between, "Configure a store that all nodes share"},
		{c, "disk@a", "big@b", "disks of two nodes", "--to minio"},
		{c, "disk@a", "disk@a", "from and to are both store disk@a", ""},
		{c, "disk@a", "disk@gone", "no node has a store \"disk@gone\"", "minio"},
		{c, "disk@a", "none", "there is no store \"none\"", "minio"},
		{c, "minio", "disk@b", "the others would have no place for new blobs", "another store that all nodes share"},
	} {
		_, err := New(ask.cfg).Request(t.Context(), json.RawMessage(fmt.Sprintf(`{"from": %q, "to": %q}`, ask.from, ask.to)))
		e, ok := errors.AsType[*protocol.Error](err)
		if !ok || e.Kind != protocol.KindBadRequest || !strings.Contains(e.Message, ask.message) || !strings.HasSuffix(e.Message, "nothing was done") || !strings.Contains(e.Hint, ask.hints) {
			t.Errorf("from %s to %s: %v", ask.from, ask.to, err)
			continue
		}
		if wrong := "there is no store"; ask.message == between && (strings.Contains(e.Message, wrong) || strings.Contains(e.Message, "are both")) {
			t.Errorf("from %s to %s: %v", ask.from, ask.to, err)
		}
	}
}

// TestAnotherNodeHasTheStore: a node that has not both stores leaves the migration to
// one that has; where there are no others nobody ever will.
func TestAnotherNodeHasTheStore(t *testing.T) {
	c := Config{Stores: map[string]*store.Store{}, Pace: func(int64) *pace.Pace { return pace.New(pace.Config{}) }}
	a := Args{From: "shared", To: "more"}
	if err := New(c).Do(t.Context(), &job.Run{}, a); reflect.TypeOf(err) != reflect.TypeOf(job.Hopeless(err)) {
		t.Errorf("alone: %v", err)
	}
	c.Instance = func(_ context.Context, name string) (string, bool, error) { return name, false, nil }
	if err := New(c).Do(t.Context(), &job.Run{}, a); reflect.TypeOf(err) != reflect.TypeOf(job.Snooze(0)) {
		t.Errorf("beside others: %v", err)
	}
}
