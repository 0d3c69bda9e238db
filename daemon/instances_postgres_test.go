//go:build postgres

package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/fsck"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// nodeOn is another node of a cluster on the database of cfg, with a data folder
// and a disk of its own under the same configured name.
func nodeOn(t *testing.T, cfg Config) Config {
	t.Helper()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	cfg.DefaultStore, cfg.Stores = "", nil
	return joining(t, cfg)
}

// joining has cfg be that of a node of a cluster.
func joining(t *testing.T, cfg Config) Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg.Cluster = ClusterConfig{PeerListen: l.Addr().String(), Key: store.NewSecret(strings.Repeat("k", minClusterKey))}
	return cfg
}

// names opens an installation and gives the names of its stores, or why it is
// refused.
func opened(t *testing.T, cfg Config) (names []string, node meta.NodeID, err error) {
	t.Helper()
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	in, err := OpenInstallation(t.Context(), &cfg, true, quiet(), unobserved)
	if err != nil {
		return nil, "", err
	}
	for name, st := range in.Stores {
		if names = append(names, name); st.Name() != name {
			t.Errorf("store %s is called %s", name, st.Name())
		}
	}
	if cfg.DefaultStore != names[0] {
		t.Errorf("new blobs go to %s", cfg.DefaultStore)
	}
	return names, in.Node, in.Close()
}

func isCalled(t *testing.T, cfg Config, home bool) meta.NodeID {
	t.Helper()
	names, node, err := opened(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := "disk"
	if !home {
		want = holder.Instance("disk", node)
	}
	if len(names) != 1 || names[0] != want {
		t.Errorf("its stores are %q, not %s", names, want)
	}
	return node
}

// TestPostgresInstances: each node's folder has a name of its own, which it keeps,
// and no node takes another's folder.
func TestPostgresInstances(t *testing.T) {
	first := joining(t, config(t))
	second := nodeOn(t, first)
	for range 2 {
		isCalled(t, first, true)
		isCalled(t, second, false)
	}
	d, stop := running(t, second)
	f := uploadTo(t, d, []byte("at the second"))
	name := holder.Instance("disk", d.in.Node)
	if s := storeOf(t, d, f.UID); s != name {
		t.Errorf("it lies in %s", s)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	marks := []string{"disk", ""}
	for _, as := range marks {
		third := nodeOn(t, first)
		third.Stores = map[string]open.Config{"disk": {Type: "local", Path: filepath.Join(first.Data, "blobs")}}
		if as == "" { // a mark of before marks had names
			path := filepath.Join(first.Data, "blobs", "STORE")
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, []byte(strings.Replace(string(text), `"store": "disk",`, "", 1)), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := opened(t, third)
		if !errors.Is(err, store.ErrForeign) || !strings.Contains(err.Error(), "a folder of its own") || strings.Contains(err.Error(), "another installation") || stageOf(err) != StageStore {
			t.Errorf("another's folder, marked %q: %v", as, err)
		}
	}
	third := nodeOn(t, first)
	third.Stores = map[string]open.Config{"disk": {Type: "local", Path: filepath.Join(second.Data, "blobs")}}
	if _, _, err := opened(t, third); !errors.Is(err, store.ErrForeign) {
		t.Errorf("the folder of one that is not the home: %v", err)
	}
	isCalled(t, first, true)
}

func storeOf(t *testing.T, d *Daemon, uid protocol.UID) string {
	t.Helper()
	_, c, err := d.in.DB.Content(t.Context(), protocol.OwnerLocal, uid)
	if err != nil || len(c.Extents) != 1 {
		t.Fatal(c, err)
	}
	return c.Extents[0].Store
}

// TestPostgresHomeIsWhoHasTheFolder: where something lay in a store before there
// were nodes, its home is who has the folder, whoever comes first.
func TestPostgresHomeIsWhoHasTheFolder(t *testing.T) {
	first := config(t)
	d, stop := running(t, first)
	f := uploadTo(t, d, []byte("of before"))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	metatest.Behind(t, first.databasePath(), `DELETE FROM settings WHERE name = 'store_home/disk'`)
	second := nodeOn(t, first)
	isCalled(t, second, false)
	first = joining(t, first)
	isCalled(t, first, true)
	isCalled(t, second, false)
	d, stop = running(t, first)
	if s := storeOf(t, d, f.UID); s != "disk" {
		t.Errorf("it lies in %s", s)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// Alone, the second could read nothing of it.
	second.Cluster = ClusterConfig{}
	if _, _, err := opened(t, second); err == nil || !strings.Contains(err.Error(), "cluster.peer_listen") || stageOf(err) != StageStore {
		t.Errorf("alone without the disk: %v", err)
	}
	// With the disk it takes the store over.
	second.Stores = map[string]open.Config{"disk": {Type: "local", Path: filepath.Join(first.Data, "blobs")}}
	node := isCalled(t, second, true)
	d, _ = running(t, second)
	if homes, err := d.in.DB.StoreHomes(t.Context()); err != nil || homes["disk"] != node {
		t.Error(homes, err)
	}
}

// TestPostgresAFolderThatWasEmptied: the home without its disk is refused, also in
// a cluster.
func TestPostgresAFolderThatWasEmptied(t *testing.T) {
	cfg := joining(t, config(t))
	d, stop := running(t, cfg)
	uploadTo(t, d, []byte("a"))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	cfg.Stores = map[string]open.Config{"disk": {Type: "local", Path: filepath.Join(t.TempDir(), "empty")}}
	if _, _, err := opened(t, cfg); !errors.Is(err, store.ErrUnmarked) {
		t.Error(err)
	}
}

// TestPostgresForgetANode: what lies on the disk of a node that is gone for good is
// given up once nothing needs it.
func TestPostgresForgetANode(t *testing.T) {
	first := joining(t, config(t))
	_, stop := running(t, first)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	second := nodeOn(t, first)
	d, stop := running(t, second)
	gone := holder.Instance("disk", d.in.Node)
	f := uploadTo(t, d, []byte("a"))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// What is on another node's disk is no finding, and not clean; it is checked there.
	checked, err := Check(t.Context(), completed(t, first), true, quiet())
	theirs := []fsck.Unchecked{{Store: gone, Node: d.in.Node, Address: second.Cluster.PeerListen, Blobs: 1}}
	if err != nil || !checked.Clean() || len(checked.Pending) != 0 || !slices.Equal(checked.Unchecked, theirs) {
		t.Errorf("%+v, %v", checked, err)
	}
	if _, err := Collect(t.Context(), completed(t, first), Collecting{ForgetStore: gone}, quiet()); stageOf(err) != StageConfig || !strings.Contains(err.Error(), "--gone-from "+string(d.in.Node)) {
		t.Errorf("a disk that the node may have: %v", err)
	}
	// Nor does it matter whether it was of a version that wrote this down.
	metatest.Behind(t, first.databasePath(), `DELETE FROM node_stores WHERE node = ?`, string(d.in.Node))
	forget := Collecting{ForgetStore: gone, GoneFrom: []string{string(d.in.Node)}}
	if _, err := Collect(t.Context(), completed(t, first), forget, quiet()); stageOf(err) != StageStore || !strings.Contains(err.Error(), "files of this installation lie in it") {
		t.Errorf("with a file in it: %v", err)
	}
	if _, err := Collect(t.Context(), completed(t, first), Collecting{ForgetStore: "disk"}, quiet()); stageOf(err) != StageConfig {
		t.Errorf("its own: %v", err)
	}
	d, stop = running(t, first)
	var lost []protocol.UID
	if err := StoreFiles(t.Context(), completed(t, first), gone, func(_ protocol.Owner, uid protocol.UID) error {
		lost = append(lost, uid)
		return nil
	}, quiet()); err != nil || !slices.Equal(lost, []protocol.UID{f.UID}) {
		t.Errorf("beside a daemon that runs, the files are %v, %v", lost, err)
	}
	if err := errors.Join(d.in.DB.DeleteFile(t.Context(), protocol.OwnerLocal, f.UID), stop()); err != nil {
		t.Fatal(err)
	}
	if checked, err = Check(t.Context(), completed(t, second), true, quiet()); err != nil || !checked.Clean() || checked.Counts.Objects != 1 {
		t.Errorf("%+v, %v", checked, err)
	}
	if r, err := Collect(t.Context(), completed(t, first), forget, quiet()); err != nil || r.GivenUp != 1 || r.Deleted != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestPostgresEachNodeWorksOnItsDisk: what is computed of files, and deleted, is by
// the node on whose disk they lie, also where it is another's turn.
func TestPostgresEachNodeWorksOnItsDisk(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	first := joining(t, config(t))
	first.SweepInterval, first.Grace, first.Scrub.Period = 20*time.Millisecond, 0, 20*time.Millisecond
	a, _ := running(t, first)
	b, stop := running(t, nodeOn(t, first))
	var files []protocol.File
	for i, d := range []*Daemon{a, b, a, b} {
		files = append(files, uploadTo(t, d, []byte(fmt.Sprint("file ", i))))
	}
	db := a.in.DB
	eventually(t, func() bool {
		done := 0
		for _, f := range files {
			now, err := db.File(t.Context(), protocol.OwnerLocal, f.UID)
			if err != nil {
				t.Fatal(err)
			}
			if now.MD5 != nil {
				done++
			}
		}
		return done == len(files)
	})
	objects := func(d *Daemon) (n int) {
		for _, st := range d.in.Stores {
			for _, err := range st.List(t.Context(), "", "") {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
		}
		return n
	}
	if objects(a) != 2 || objects(b) != 2 {
		t.Errorf("%d objects at the one and %d at the other", objects(a), objects(b))
	}
	for _, f := range files[:2] {
		if err := db.DeleteFile(t.Context(), protocol.OwnerLocal, f.UID); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return objects(a) == 1 && objects(b) == 1 })
	// What is on the disk of a node that is down waits for it.
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := db.DeleteFile(t.Context(), protocol.OwnerLocal, files[3].UID); err != nil {
		t.Fatal(err)
	}
	name := b.in.instances["disk"]
	doomed := func() (n int) {
		list, err := db.Doomed(t.Context(), "", time.Now().Add(time.Hour), nil, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, blob := range list {
			if blob.Store == name {
				n++
			}
		}
		return n
	}
	eventually(t, func() bool { return doomed() == 1 })
	for range 3 {
		if r, err := a.sweep.Sweep(t.Context()); err != nil || r.Failed != 0 || doomed() != 1 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	for _, f := range files[2:3] {
		_, mc, err := db.Content(t.Context(), protocol.OwnerLocal, f.UID)
		if err != nil || mc.State != meta.ContentLive {
			t.Errorf("%+v, %v", mc, err)
		}
	}
}
