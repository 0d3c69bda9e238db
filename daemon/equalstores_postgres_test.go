//go:build postgres

package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// bucketAway is a store in a bucket of a service that does not answer.
func bucketAway(t *testing.T, bucket string) open.Config {
	t.Helper()
	return open.Config{Type: "s3", Endpoint: "http://" + nobody(t), Region: "us-east-1", Bucket: bucket, AccessKeyID: "key", SecretAccessKey: store.NewSecret("hush-hush"), PathStyle: true}
}

// with has cfg have other stores beside its disk.
func with(t *testing.T, cfg Config, stores map[string]open.Config) Config {
	t.Helper()
	cfg.DefaultStore = "disk"
	cfg.Stores = map[string]open.Config{"disk": {Type: "local", Path: filepath.Join(cfg.Data, "blobs")}}
	maps.Copy(cfg.Stores, stores)
	return cfg
}

// starts expects that a node starts, or is refused in these words.
func starts(t *testing.T, cfg Config, refused ...string) {
	t.Helper()
	d, err := New(t.Context(), cfg, "test", quiet())
	if err == nil {
		err = d.Close()
	}
	if len(refused) == 0 {
		if err != nil {
			t.Errorf("it does not start: %v", err)
		}
		return
	}
	said(t, err, refused...)
}

// TestPostgresEqualStores: a node whose store is not that which a living one has
// under its name does not start, and nothing of it stays; another address, another
// key, a store more or less are no reason.
func TestPostgresEqualStores(t *testing.T) {
	first := joining(t, config(t))
	files := bucketAway(t, "files")
	first = with(t, first, map[string]open.Config{"files": files})
	a, stop := running(t, first)
	other := func(stores map[string]open.Config) Config { return with(t, nodeOn(t, first), stores) }
	node := "node " + string(a.in.Node)
	starts(t, other(map[string]open.Config{"files": bucketAway(t, "mistake")}), "store files", node, "bucket files of type s3", "bucket mistake of type s3", "nothing was changed")
	folder := open.Config{Type: "local", Path: filepath.Join(t.TempDir(), "files")}
	starts(t, other(map[string]open.Config{"files": folder}), "store files", node, "of type local")
	disk := other(nil)
	disk.Stores["disk"] = bucketAway(t, "disk")
	starts(t, disk, "store disk", node, "of type local", "bucket disk of type s3")
	if homes, err := a.in.DB.StoreHomes(t.Context()); err != nil || len(homes) != 1 {
		t.Errorf("homes are %v, %v", homes, err)
	}
	starts(t, other(nil))
	starts(t, other(map[string]open.Config{"files": files, "more": bucketAway(t, "more")}))
	moved := files
	moved.Endpoint, moved.SecretAccessKey = "http://"+nobody(t), store.NewSecret("a new one")
	starts(t, other(map[string]open.Config{"files": moved}), "store files", node, files.Place(), moved.Place(), "osp admin stores")
	if err := a.in.DB.RememberStore(t.Context(), "files"); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d, err := New(t.Context(), other(map[string]open.Config{"files": moved}), "test", slog.New(slog.NewTextHandler(&log, nil)))
	if err == nil {
		err = d.Close()
	}
	if err != nil || strings.Count(log.String(), "at another address") != 1 || !strings.Contains(log.String(), moved.Place()) || strings.Contains(log.String(), "hush-hush") {
		t.Errorf("at another address: %v\n%s", err, &log)
	}
	// Once nobody says otherwise, another bucket is as good while nothing lies in it.
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	starts(t, other(map[string]open.Config{"files": bucketAway(t, "another")}))
	starts(t, with(t, first, map[string]open.Config{"files": bucketAway(t, "another")}))
}

// TestPostgresStoresThatHoldFiles: where something lies in a store, a start with
// another one under its name is refused although nobody else runs.
func TestPostgresStoresThatHoldFiles(t *testing.T) {
	first := with(t, joining(t, config(t)), nil)
	a, stop := running(t, first)
	uploadTo(t, a, []byte("on its disk"))
	id := string(a.in.Node)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	second := nodeOn(t, first)
	second.DefaultStore, second.Stores = "disk", map[string]open.Config{"disk": bucketAway(t, "disk")}
	starts(t, second, "store disk", "was of type local", "is of type s3")
	// What a bucket holds, as far as the database knows.
	for _, text := range []string{
		`INSERT INTO settings (name, value) VALUES ('store/files', '1'), ('store_type/files', 's3'), ('store_bucket/files', '` + id + ` files')`,
		`INSERT INTO blobs (store, key, size, state, created_at, doomed_at) VALUES ('files', '` + strings.Repeat("0", 8) + "/" + strings.Repeat("1", 32) + `', 1, 'doomed', 1, 1)`,
	} {
		metatest.Behind(t, first.databasePath(), text)
	}
	other := func(bucket open.Config) Config {
		return with(t, nodeOn(t, first), map[string]open.Config{"files": bucket})
	}
	starts(t, other(bucketAway(t, "mistake")), "store files", `bucket "files"`, "node "+id, `bucket "mistake"`, "osp admin migrate", "without the section cluster")
	starts(t, other(open.Config{Type: "local", Path: filepath.Join(t.TempDir(), "files")}), "store files", "was of type s3", "is of type local")
	starts(t, other(bucketAway(t, "files")))
	if _, err := Check(t.Context(), completed(t, other(bucketAway(t, "mistake"))), false, quiet()); err == nil || !strings.Contains(err.Error(), `bucket "mistake"`) {
		t.Errorf("fsck: %v", err)
	}
	alone := with(t, first, map[string]open.Config{"files": bucketAway(t, "a-copy")})
	alone.Cluster = ClusterConfig{}
	starts(t, alone)
}

// TestPostgresMigrationToAStoreThatANodeLacks: nothing is moved to where not all nodes
// that live could read it, and the error names those.
func TestPostgresMigrationToAStoreThatANodeLacks(t *testing.T) {
	first := joining(t, config(t))
	files := bucketAway(t, "files")
	a, _ := running(t, with(t, first, map[string]open.Config{"files": files}))
	b, stop := running(t, nodeOn(t, first))
	ask := func() (int, string) {
		t.Helper()
		status, answer := asked(t, http.MethodPost, a.URL()+"/v1/jobs", []byte(`{"kind": "migrate", "args": {"from": "disk", "to": "files"}}`))
		return status, string(answer)
	}
	if status, answer := ask(); status != http.StatusConflict || !strings.Contains(answer, "node "+string(b.in.Node)+" has none of that name") || !strings.Contains(answer, "nothing was done") {
		t.Errorf("a node lacks it: %d %s", status, answer)
	}
	// One of before nodes wrote down what they have.
	lease := b.in.place.lease
	other := meta.NodeStore{Name: "files", Type: "s3", Bucket: "other"}
	metatest.Behind(t, first.databasePath(), `INSERT INTO node_stores (node, store, type, bucket, place, fence) VALUES (?, ?, ?, ?, '', ?)`,
		string(b.in.Node), other.Name, other.Type, other.Bucket, lease.Fence)
	if status, answer := ask(); status != http.StatusConflict || !strings.Contains(answer, "that of node "+string(b.in.Node)+" is bucket other of type s3") {
		t.Errorf("a node has another: %d %s", status, answer)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if status, answer := ask(); status != http.StatusServiceUnavailable || !strings.Contains(answer, "store files is not reachable") {
		t.Errorf("nobody lacks it: %d %s", status, answer)
	}
}

// TestPostgresForgetAStoreOfAnother: a store that another node had when it started last
// is forgotten only where somebody says that it is gone from that node.
func TestPostgresForgetAStoreOfAnother(t *testing.T) {
	first := joining(t, config(t))
	_, stop := running(t, first)
	b, stopOther := running(t, with(t, nodeOn(t, first), map[string]open.Config{"files": bucketAway(t, "files")}))
	if err := errors.Join(b.in.DB.RememberStore(t.Context(), "files"), stop(), stopOther()); err != nil {
		t.Fatal(err)
	}
	id := string(b.in.Node)
	for _, c := range []struct {
		goneFrom []string
		words    []string
	}{
		{nil, []string{"store files", "node " + id, "--gone-from " + id, "nothing was done"}},
		{[]string{id, "none"}, []string{"node none is not known to have store files"}},
	} {
		_, err := Collect(t.Context(), completed(t, first), Collecting{ForgetStore: "files", GoneFrom: c.goneFrom}, quiet())
		for _, word := range c.words {
			if stageOf(err) != StageConfig || !strings.Contains(err.Error(), word) {
				t.Errorf("gone from %v: %q is not in %v", c.goneFrom, word, err)
			}
		}
	}
	// A node that was drained and stopped was taken out.
	metatest.Behind(t, first.databasePath(), `UPDATE nodes SET draining = 1 WHERE name = ?`, id)
	if _, err := Collect(t.Context(), completed(t, first), Collecting{ForgetStore: "files"}, quiet()); err != nil {
		t.Errorf("of a node that was drained: %v", err)
	}
	metatest.Behind(t, first.databasePath(), `UPDATE nodes SET draining = 0 WHERE name = ?`, id)
	metatest.Behind(t, first.databasePath(), `INSERT INTO settings (name, value) VALUES ('store/files', '1')`)
	forget := Collecting{ForgetStore: "files", GoneFrom: []string{id}}
	if _, err := Collect(t.Context(), completed(t, first), forget, quiet()); err != nil {
		t.Error(err)
	}
	if _, err := Collect(t.Context(), completed(t, first), forget, quiet()); stageOf(err) != StageConfig || !strings.Contains(err.Error(), "knows no store") {
		t.Errorf("once more: %v", err)
	}
}

// TestPostgresSweepOfAStoreThatANodeLacks: what is to be deleted in a store that only
// other nodes have yet is left to these, and no failure while they live.
func TestPostgresSweepOfAStoreThatANodeLacks(t *testing.T) {
	first := joining(t, config(t))
	first.Grace, first.SweepInterval = 0, time.Hour
	b, _ := running(t, first)
	_, stop := running(t, with(t, nodeOn(t, first), map[string]open.Config{"files": bucketAway(t, "files")}))
	for i, state := range []string{"'doomed', 1, 1, NULL", "'gone', 1, 1, 1"} {
		key := fmt.Sprintf("%08d/%032d", i, i)
		metatest.Behind(t, first.databasePath(), `INSERT INTO blobs (store, key, size, state, created_at, doomed_at, gone_at) VALUES ('files', '`+key+`', 1, `+state+`)`)
	}
	metatest.Behind(t, first.databasePath(), `INSERT INTO settings (name, value) VALUES ('store/files', '1')`)
	if r, err := b.sweep.Sweep(t.Context()); err != nil || r.Failed != 0 || r.Forgotten != 0 {
		t.Errorf("while another node has it: %+v, %v", r, err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if r, err := b.sweep.Sweep(t.Context()); err != nil || r.Failed != 1 || r.Forgotten != 1 {
		t.Errorf("once nobody has: %+v, %v", r, err)
	}
}
