//go:build postgres

package daemon

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store/open"
)

// withTwoDisks has cfg be that of a node with two local stores.
func withTwoDisks(t *testing.T, cfg Config) Config {
	t.Helper()
	dir := t.TempDir()
	cfg.DefaultStore = "disk"
	cfg.Stores = map[string]open.Config{}
	for _, name := range []string{"disk", "big"} {
		cfg.Stores[name] = open.Config{Type: "local", Path: filepath.Join(dir, name)}
	}
	return cfg
}

// TestPostgresMigrationsOfEachNodesDisk: whichever node is asked, what lies on a
// node's disk is moved by that node, to a disk of its own; and so are digests found
// out for it that are not known.
func TestPostgresMigrationsOfEachNodesDisk(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	first := joining(t, config(t))
	a, _ := running(t, withTwoDisks(t, first))
	b, stop := running(t, withTwoDisks(t, nodeOn(t, first)))
	one, other := uploadTo(t, a, []byte("at the first")), uploadTo(t, b, []byte("at the other"))
	theirs := holder.Instance("disk", b.in.Node)
	listed := func() map[string]bool {
		t.Helper()
		var list protocol.StoreList
		_, answer := asked(t, http.MethodGet, a.URL()+"/v1/stores", nil)
		decoded(t, answer, &list)
		reachable := map[string]bool{}
		for _, st := range list.Stores {
			node := a.in.Node
			if _, of := holder.Split(st.Name); of != "" {
				node = b.in.Node
			}
			if st.Reachable == (st.Error != nil) || st.Node == nil || *st.Node != string(node) || st.Type != "local" || st.Blobs == nil {
				t.Errorf("%+v", st)
			}
			reachable[st.Name] = st.Reachable
		}
		return reachable
	}
	every := map[string]bool{"disk": true, "big": true, theirs: true, holder.Instance("big", b.in.Node): true}
	eventually(t, func() bool { return maps.Equal(listed(), every) })
	ask := func(d *Daemon, from, to string, want int) (j protocol.Job) {
		t.Helper()
		status, answer := asked(t, http.MethodPost, d.URL()+"/v1/jobs", []byte(fmt.Sprintf(`{"kind": "migrate", "args": {"from": %q, "to": %q}}`, from, to)))
		if status != want {
			t.Fatalf("from %s to %s: %d %s", from, to, status, answer)
		}
		decoded(t, answer, &j)
		return j
	}
	for _, no := range [][2]string{{"disk@none", "big"}, {"none", "big"}, {"disk", "none"}, {theirs, "none"}, {theirs, holder.Instance("big", a.in.Node)}} {
		ask(a, no[0], no[1], http.StatusBadRequest)
	}
	// Between disks of nodes nothing is moved, whoever is asked and in whatever words.
	for _, no := range [][2]string{{"disk", theirs}, {theirs, "disk@" + string(a.in.Node)}, {theirs, "disk"}, {"disk@" + string(a.in.Node), theirs}} {
		for _, d := range []*Daemon{a, b} {
			status, answer := asked(t, http.MethodPost, d.URL()+"/v1/jobs", []byte(fmt.Sprintf(`{"kind": "migrate", "args": {"from": %q, "to": %q}}`, no[0], no[1])))
			if status != http.StatusBadRequest || !strings.Contains(string(answer), "not moved to one another") {
				t.Errorf("from %s to %s: %d %s", no[0], no[1], status, answer)
			}
		}
	}
	for _, m := range []struct {
		at, by   *Daemon
		from, to string
	}{{a, b, theirs, "big"}, {b, a, holder.Instance("disk", a.in.Node), "big"}, {b, a, "big", "disk"}} {
		j := ask(m.at, m.from, m.to, http.StatusCreated)
		if j.Node == nil || *j.Node != string(m.by.in.Node) {
			t.Errorf("from %s it is a job of %v", m.from, j.Node)
		}
		eventually(t, func() bool {
			now, err := a.in.DB.Job(t.Context(), meta.AnyOwner, j.ID)
			if err != nil || now.State == protocol.JobDead {
				t.Fatalf("%+v, %v", now, err)
			}
			return now.State == protocol.JobDone
		})
	}
	if in := storeOf(t, b, other.UID); in != holder.Instance("big", b.in.Node) {
		t.Errorf("the other's lies in %s", in)
	}
	if in := storeOf(t, a, one.UID); in != "disk" {
		t.Errorf("the first's, moved there and back, lies in %s", in)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// Nobody answers for what lies there.
	if reachable, is := listed()[holder.Instance("big", b.in.Node)]; reachable || !is {
		t.Errorf("without its node a store is listed %t, as reachable %t", is, reachable)
	}
	for _, d := range []*Daemon{a, b} {
		for _, name := range d.in.instances {
			if j := d.cfg.digestsOf(d.in.Node, name); j.Node != string(d.in.Node) {
				t.Errorf("the digests of what lies in %s are found out by %+v", name, j)
			}
		}
	}
}
