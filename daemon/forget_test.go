package daemon

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/sweep"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// neverCame is a configuration without a store that was away from its first
// start on, of which there is a row all the same: of a put that was refused.
func neverCame(t *testing.T) Config {
	t.Helper()
	cfg := config(t)
	cfg.DefaultStore = "away"
	cfg.Stores = map[string]open.Config{
		"away": {Type: "s3", Endpoint: "http://" + nobody(t), Region: "us-east-1", Bucket: "files", AccessKeyID: "key", SecretAccessKey: store.NewSecret("hush-hush"), PathStyle: true},
		"here": {Type: "local", Path: filepath.Join(t.TempDir(), "here")},
	}
	d, stop := running(t, cfg)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL()+"/v1/files?name=a", strings.NewReader("a"))
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, req); status != http.StatusServiceUnavailable {
		t.Fatalf("a put: %d %s", status, body)
	}
	if names, err := d.in.DB.NamedStores(t.Context()); err != nil || len(names) != 1 || names[0] != "away" {
		t.Fatalf("no row names it: %v, %v", names, err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	cfg.DefaultStore, cfg.Grace = "here", 0
	delete(cfg.Stores, "away")
	return cfg
}

// TestStoreThatNeverCame: nothing was ever written to a store that could not be
// reached until it was taken out of the configuration, so that nothing of it is
// pending after a round.
func TestStoreThatNeverCame(t *testing.T) {
	cfg := neverCame(t)
	d, stop := running(t, cfg)
	putNamed(t, d.URL(), "a")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if r, err := Collect(t.Context(), cfg, Collecting{}, quiet()); err != nil || r.Failed != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := Check(t.Context(), cfg, false, quiet()); err != nil || len(r.Findings)+len(r.Pending) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestForgetStoreThatNeverCame: what is of no use there can be given up, although
// the store was never known, and once.
func TestForgetStoreThatNeverCame(t *testing.T) {
	cfg := neverCame(t)
	forget := Collecting{ForgetStore: "away"}
	if r, err := Collect(t.Context(), cfg, forget, quiet()); err != nil || r.GivenUp != 1 || r.Failed != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := Collect(t.Context(), cfg, forget, quiet()); stageOf(err) != StageConfig {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestUsedStoreThatIsNotKnown: a store in which files lie is needed, whatever the
// database knows of stores.
func TestUsedStoreThatIsNotKnown(t *testing.T) {
	cfg := config(t)
	d, stop := running(t, cfg)
	putNamed(t, d.URL(), "a")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"store/disk", "store_type/disk"} {
		metatest.Behind(t, cfg.databasePath(), `DELETE FROM settings WHERE name = ?`, setting)
	}
	cfg.DefaultStore, cfg.Stores = "new", map[string]open.Config{"new": {Type: "local", Path: filepath.Join(t.TempDir(), "new")}}
	d, err := New(t.Context(), cfg, "test", quiet())
	if err == nil {
		t.Fatal("it starts", d.Close())
	}
	if stageOf(err) != StageStore || !strings.Contains(err.Error(), "store disk: it is not in the configuration, and files of this installation lie in it") {
		t.Error(err)
	}
	if _, err := Collect(t.Context(), cfg, Collecting{ForgetStore: "disk"}, quiet()); stageOf(err) != StageStore {
		t.Error(err)
	}
}

// lostStore is an installation whose store one is out of the configuration, with
// an open upload in each store, and a file in one as well where it is asked for.
func lostStore(t *testing.T, withFile bool) (cfg Config, inOne, inTwo protocol.UID) {
	t.Helper()
	two := open.Config{Type: "local", Path: filepath.Join(t.TempDir(), "two")}
	cfg = config(t)
	cfg.Stores = map[string]open.Config{"one": {Type: "local", Path: filepath.Join(t.TempDir(), "one")}, "two": two}
	for name, uid := range map[string]*protocol.UID{"one": &inOne, "two": &inTwo} {
		cfg.DefaultStore = name
		d, stop := running(t, cfg)
		*uid = beginUpload(t, d.URL())
		if name == "one" && withFile {
			putNamed(t, d.URL(), "a")
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	cfg.DefaultStore, cfg.Stores, cfg.Grace = "two", map[string]open.Config{"two": two}, 0
	return cfg, inOne, inTwo
}

func beginUpload(t *testing.T, url string) protocol.UID {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/uploads", strings.NewReader(`{"name":"a","size":20000000}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	status, body := do(t, req)
	var u protocol.Upload
	if err := json.Unmarshal([]byte(body), &u); status != http.StatusCreated || err != nil {
		t.Fatalf("begin: %d %s, %v", status, body, err)
	}
	return u.UID
}

// TestForgetStoreOfOpenUploads: a store is needed while uploads are open in it, and
// no longer: those that are past their time are ended first.
func TestForgetStoreOfOpenUploads(t *testing.T) {
	for name, c := range map[string]struct {
		file  bool
		texts []string // by which it is over
		want  Collected
	}{
		"nobody sends to the upload":                {false, []string{`UPDATE uploads SET touched_at = 1 WHERE uid = ?`}, Collected{Report: sweep.Report{Abandoned: 1}, GivenUp: 1}},
		"the upload has expired":                    {false, []string{`UPDATE files SET expires_at = 1 WHERE uid = ?`}, Collected{Report: sweep.Report{Expired: 1}, GivenUp: 1}},
		"the upload has, and the last file has too": {true, []string{`UPDATE files SET expires_at = 1 WHERE uid = ? OR state = 'committed'`}, Collected{Report: sweep.Report{Expired: 2}, GivenUp: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, lost, kept := lostStore(t, c.file)
			forget := Collecting{ForgetStore: "one"}
			_, err := Collect(t.Context(), cfg, Collecting{}, quiet())
			said(t, err, "store one")
			if !c.file {
				said(t, err, "uploads that are open", "ospd gc --forget-store one", "168h0m0s (abandon_after)")
			}
			_, err = Collect(t.Context(), cfg, forget, quiet())
			if c.file {
				said(t, err, "store one", "files of this installation lie in it", "nothing of it was given up")
			} else {
				said(t, err, "store one", lost.String(), "nothing of it was given up", "abort", "168h0m0s (abandon_after)", "--end-uploads")
			}
			if err != nil && strings.Contains(err.Error(), kept.String()) {
				t.Errorf("it names an upload of another store: %v", err)
			}
			for _, text := range c.texts {
				metatest.Behind(t, cfg.databasePath(), text, int64(lost))
			}
			r, err := Collect(t.Context(), cfg, forget, quiet())
			if err != nil || r.Abandoned != c.want.Abandoned || r.Expired != c.want.Expired || r.GivenUp != c.want.GivenUp || r.Failed != 0 {
				t.Errorf("%+v, %v", r, err)
			}
			d, _ := running(t, cfg)
			if u, err := d.in.DB.Upload(t.Context(), protocol.OwnerLocal, kept); err != nil || u.State != protocol.UploadOpen {
				t.Errorf("the upload in the store that is there: %+v, %v", u, err)
			}
		})
	}
}

// TestForgetStoreEndsUploads: those that are open there where it is asked for, and none
// as long as files are in the way, of which it tells.
func TestForgetStoreEndsUploads(t *testing.T) {
	for _, withFile := range []bool{false, true} {
		cfg, lost, kept := lostStore(t, withFile)
		var files []string
		list := func(_ protocol.Owner, uid protocol.UID) error {
			files = append(files, uid.String())
			return nil
		}
		if err := StoreFiles(t.Context(), cfg, "none", list, quiet()); stageOf(err) != StageConfig {
			t.Errorf("another store: %v", err)
		}
		if err := StoreFiles(t.Context(), cfg, "one", list, quiet()); err != nil || len(files) != map[bool]int{true: 1}[withFile] {
			t.Fatalf("its files are %v, %v", files, err)
		}
		r, err := Collect(t.Context(), cfg, Collecting{ForgetStore: "one", EndUploads: true}, quiet())
		if withFile {
			said(t, err, "store one", "1 in all: "+files[0]+" of local;", "--files", "nothing of it was given up")
		} else if err != nil || r.Abandoned != 1 || r.GivenUp != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		db := metatest.OpenDB(t, meta.Config{Path: cfg.databasePath(), Logger: quiet()})
		for uid, ends := range map[protocol.UID]bool{lost: !withFile, kept: false} {
			u, err := db.Upload(t.Context(), protocol.OwnerLocal, uid)
			if gone := protocol.KindOf(err) == protocol.KindNotFound; gone != ends || err != nil && !gone || !gone && u.State != protocol.UploadOpen {
				t.Errorf("with a file %v, upload %s: %+v, %v, and it ends: %v", withFile, uid, u, err, ends)
			}
		}
		fine(t, db.Close())
	}
}

// said checks that it is an error about a store in these words.
func said(t *testing.T, err error, words ...string) {
	t.Helper()
	if stageOf(err) != StageStore {
		t.Errorf("%v", err)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in %v", word, err)
		}
	}
}

// TestForgetStoreOfJobs: what a job writes to a store that is gone is given up with
// the store, also where the job is bound to a node that is gone, too.
func TestForgetStoreOfJobs(t *testing.T) {
	cfg, lost, _ := lostStore(t, false)
	metatest.Behind(t, cfg.databasePath(), `UPDATE uploads SET touched_at = 1 WHERE uid = ?`, int64(lost))
	db := metatest.OpenDB(t, meta.Config{Path: cfg.databasePath(), Logger: quiet()})
	var ids []protocol.JobID
	for i, name := range []string{"one", "one", "two"} {
		node := string(rune('a' + i))
		id, _, err := db.Enqueue(t.Context(), meta.NewJob{Kind: protocol.JobMigrate, Subject: meta.MigrationSubject(node, name), Node: node})
		fine(t, err)
		leased, err := db.LeaseJobs(t.Context(), meta.HolderOn(meta.NodeID(node), "1"), meta.JobLine{Kind: protocol.JobMigrate, Node: node}, time.Hour, 1)
		fine(t, err)
		ctx := meta.Fenced(t.Context(), leased[0].Lease)
		_, err = db.AddJobBlob(ctx, meta.NewBlob{Store: name, Key: node, Size: 1})
		fine(t, err)
		if i == 1 {
			fine(t, db.EndJob(t.Context(), leased[0].Lease, meta.JobOutcome{Result: meta.ResultSnoozed}))
		}
		ids = append(ids, id)
	}
	fine(t, db.Close())
	if r, err := Collect(t.Context(), cfg, Collecting{ForgetStore: "one"}, quiet()); err != nil || r.GivenUp != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	db = metatest.OpenDB(t, meta.Config{Path: cfg.databasePath(), Logger: quiet()})
	for i, want := range []protocol.JobState{protocol.JobCancelled, protocol.JobCancelled, protocol.JobRunning} {
		j, err := db.Job(t.Context(), meta.AnyOwner, ids[i])
		if err != nil || j.State != want || want == protocol.JobCancelled && !strings.Contains(j.Error, "store one") {
			t.Errorf("job %d: %+v, %v", i, j, err)
		}
	}
	fine(t, db.Close())
}

func fine(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
