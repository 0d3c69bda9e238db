package daemon

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta/metatest"
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
