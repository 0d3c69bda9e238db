//go:build postgres

package daemon

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// blobsOf is cfg with another data folder, and the disk of the one it had.
func blobsOf(t *testing.T, cfg Config) Config {
	t.Helper()
	cfg.Stores = map[string]open.Config{"disk": {Type: "local", Path: filepath.Join(cfg.Data, "blobs")}}
	cfg.Data, cfg.DefaultStore = filepath.Join(t.TempDir(), "data"), "disk"
	return cfg
}

// TestPostgresADataFolderThatWasLost: a node of which only the disk is left comes back
// with its id, which whoever refuses the disk tells; nobody takes it by mistake.
func TestPostgresADataFolderThatWasLost(t *testing.T) {
	first := joining(t, config(t))
	second := nodeOn(t, first)
	for _, cfg := range []Config{first, second} {
		d, stop := running(t, cfg)
		f, id := uploadTo(t, d, []byte("on the disk that is left")), d.in.Node
		in := storeOf(t, d, f.UID)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		after := blobsOf(t, cfg)
		path := filepath.Join(after.Data, "node")
		_, _, err := opened(t, after)
		if !errors.Is(err, store.ErrForeign) || !strings.Contains(err.Error(), "write "+string(id)+" into "+path) {
			t.Fatalf("%s, with another data folder: %v", in, err)
		}
		if err := os.WriteFile(path, []byte(string(id)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		d, stop = running(t, after)
		if d.in.Node != id || d.in.instances["disk"] != in || storeOf(t, d, f.UID) != in {
			t.Errorf("node %s comes back as %s with %v", id, d.in.Node, d.in.instances)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPostgresAHomeStaysWhereAStartIsRefused: who is refused, or only looks, takes no
// store over.
func TestPostgresAHomeStaysWhereAStartIsRefused(t *testing.T) {
	first := joining(t, config(t))
	second := nodeOn(t, first)
	for _, cfg := range []Config{first, second} {
		d, stop := running(t, cfg)
		uploadTo(t, d, []byte("on a disk of its own"))
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	home := func() meta.NodeID {
		t.Helper()
		db := metatest.OpenDB(t, meta.Config{Path: first.databasePath(), Logger: quiet()})
		homes, err := db.StoreHomes(t.Context())
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		return homes["disk"]
	}
	before := home()
	other := blobsOf(t, first)
	other.Cluster = ClusterConfig{}
	if _, _, err := opened(t, other); err == nil || !strings.Contains(err.Error(), "lie on the disk of node") {
		t.Errorf("alone, without the disk of the second: %v", err)
	}
	if checked, err := Check(t.Context(), completed(t, other), true, quiet()); err != nil || !checked.Clean() || checked.Counts.Objects != 1 {
		t.Errorf("%+v, %v", checked, err)
	}
	if after := home(); after != before {
		t.Errorf("the home is %s, and was %s", after, before)
	}
}

// TestPostgresInstancesAreSeen: who only looks, as a dry run of an import from osproxy
// does, finds the stores of a node under the names that they have.
func TestPostgresInstancesAreSeen(t *testing.T) {
	first := joining(t, config(t))
	isCalled(t, first, true)
	second := completed(t, nodeOn(t, first))
	node := isCalled(t, second, false)
	db := metatest.OpenDB(t, meta.Config{Path: first.databasePath(), Logger: quiet()})
	id, err := db.ServerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen, err := second.seenInstances(t.Context(), db, id)
	if err != nil || seen["disk"] != holder.Instance("disk", node) {
		t.Errorf("%v, %v", seen, err)
	}
	b, err := open.Backend(t.Context(), second.Stores["disk"])
	if err != nil {
		t.Fatal(err)
	}
	st := store.New(seen["disk"], b, store.Options{})
	marked, err := st.Judge(t.Context(), id)
	if err := errors.Join(err, st.Close(), db.Close()); err != nil || !marked {
		t.Errorf("its mark is judged %t, %v", marked, err)
	}
}

// TestPostgresTheDiskOfACopiedInstallation: the home of what came from SQLite is the
// node whose data folder had it, also where its disk is not mounted when it first is
// one of a cluster.
func TestPostgresTheDiskOfACopiedInstallation(t *testing.T) {
	shared := config(t)
	cfg := shared
	cfg.DB = Database{}
	d, stop := running(t, cfg)
	f := uploadTo(t, d, []byte("of before"))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	local, err := sql.Open("sqlite", cfg.databasePath())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := local.ExecContext(t.Context(), `UPDATE files SET imported_from = 'dir:/srv/a'`); err != nil {
		t.Fatal(err)
	}
	if err := local.Close(); err != nil {
		t.Fatal(err)
	}
	if err := CopyMetadata(t.Context(), completed(t, cfg), shared.DB, quiet(), func(string, int64, bool) {}); err != nil {
		t.Fatal(err)
	}
	unmounted := joining(t, shared)
	unmounted.Stores = map[string]open.Config{"disk": {Type: "local", Path: filepath.Join(t.TempDir(), "empty")}}
	if names, _, err := opened(t, unmounted); !errors.Is(err, store.ErrUnmarked) {
		t.Errorf("without its disk it starts with %v: %v", names, err)
	}
	second := nodeOn(t, shared)
	node := isCalled(t, second, false)
	d, stop = running(t, joining(t, shared))
	object := "dir@" + string(d.in.Node) + ":/srv/a"
	if of, err := d.in.DB.ImportedFiles(t.Context(), protocol.OwnerLocal, []string{object}); err != nil || of[object].UID != f.UID {
		t.Errorf("what was imported from a folder is not known any more: %v, %v", of, err)
	}
	if in := storeOf(t, d, f.UID); in != "disk" || d.in.instances["disk"] != in || holder.Instance("disk", node) == in {
		t.Errorf("it lies in %s, and this node has %v", in, d.in.instances)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
