package daemon

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/open"
)

// TestStoresAreWhatTheyWere: a store that is missing, has another name or is of
// another type is met at the start, unless nothing lies in it that is needed.
func TestStoresAreWhatTheyWere(t *testing.T) {
	folder := func(name string) open.Config {
		return open.Config{Type: "local", Path: filepath.Join(t.TempDir(), name)}
	}
	one, two, other := folder("one"), folder("two"), folder("other")
	cfg := config(t)
	cfg.DefaultStore, cfg.Stores = "one", map[string]open.Config{"one": one, "two": two}
	d, stop := running(t, cfg)
	putNamed(t, d.URL(), "a")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		stores map[string]open.Config
		words  []string // of the error; none where it starts
	}{
		"an unused one is missing":     {map[string]open.Config{"one": one}, nil},
		"one more":                     {map[string]open.Config{"one": one, "new": other}, nil},
		"a used one is missing":        {map[string]open.Config{"two": two}, []string{"store one", "not in the configuration", "osp admin migrate --from one"}},
		"a used one is renamed":        {map[string]open.Config{"uno": one, "two": two}, []string{"store one", "renamed"}},
		"a used one has lost its mark": {map[string]open.Config{"one": folder("empty")}, []string{"store one", "bears no mark"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.Stores, cfg.DefaultStore = c.stores, ""
			for name := range c.stores {
				cfg.DefaultStore = name
			}
			d, err := New(t.Context(), cfg, "test", quiet())
			if err == nil {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
			switch {
			case len(c.words) == 0 && err != nil:
				t.Error(err)
			case len(c.words) > 0 && stageOf(err) != StageStore:
				t.Errorf("%v", err)
			}
			for _, word := range c.words {
				if err != nil && !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in %v", word, err)
				}
			}
		})
	}
}

// TestStoreWithObjectsToDelete: an emptied store is needed until its objects are
// deleted, or somebody gives them up, which nobody does by mistake.
func TestStoreWithObjectsToDelete(t *testing.T) {
	one, two := open.Config{Type: "local", Path: filepath.Join(t.TempDir(), "one")}, open.Config{Type: "local", Path: filepath.Join(t.TempDir(), "two")}
	cfg := config(t)
	cfg.DefaultStore, cfg.Stores = "one", map[string]open.Config{"one": one, "two": two}
	d, stop := running(t, cfg)
	f := uploadTo(t, d, []byte("a"))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	without := cfg
	without.DefaultStore, without.Stores = "two", map[string]open.Config{"two": two}
	forget := Collecting{ForgetStore: "one"}
	if _, err := Collect(t.Context(), without, forget, quiet()); stageOf(err) != StageStore || !strings.Contains(err.Error(), "files of this installation lie in it") {
		t.Errorf("with files in it: %v", err)
	}
	d, stop = running(t, cfg)
	if err := errors.Join(d.in.DB.DeleteFile(t.Context(), protocol.OwnerLocal, f.UID), stop()); err != nil {
		t.Fatal(err)
	}
	_, err := New(t.Context(), without, "test", quiet())
	if stageOf(err) != StageStore {
		t.Errorf("%v", err)
	}
	for _, word := range []string{"store one", "still to be deleted", "configure it again", "ospd gc --forget-store one"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in %v", word, err)
		}
	}
	if _, err := Collect(t.Context(), cfg, forget, quiet()); stageOf(err) != StageConfig {
		t.Errorf("one that is configured: %v", err)
	}
	if _, err := Collect(t.Context(), cfg, Collecting{ForgetStore: "none"}, quiet()); stageOf(err) != StageConfig {
		t.Errorf("one that nobody knows: %v", err)
	}
	if r, err := Collect(t.Context(), without, forget, quiet()); err != nil || r.GivenUp != 1 || r.Deleted != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	_, _ = running(t, without)
}

// TestStoreOfAnotherType: the type is remembered with the name, and matters while
// something lies there.
func TestStoreOfAnotherType(t *testing.T) {
	cfg := config(t)
	d, stop := running(t, cfg)
	if err := d.in.DB.NoteStoreType(t.Context(), "disk", "s3"); err != nil {
		t.Fatal(err)
	}
	putNamed(t, d.URL(), "a")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), cfg, "test", quiet()); stageOf(err) != StageStore || !strings.Contains(err.Error(), "store disk: it was of type s3, is of type local") {
		t.Error(err)
	}
	if _, err := Check(t.Context(), cfg, false, quiet()); stageOf(err) != StageStore {
		t.Error(err)
	}
}

// TestUnusedStoreBecomesAnother: nothing lies in it, so that its name may be
// another's from now on.
func TestUnusedStoreBecomesAnother(t *testing.T) {
	cfg := config(t)
	d, stop := running(t, cfg)
	if err := d.in.DB.NoteStoreType(t.Context(), "disk", "s3"); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	cfg.Stores = map[string]open.Config{"disk": {Type: "local", Path: filepath.Join(t.TempDir(), "new")}}
	d, _ = running(t, cfg)
	if known, err := d.in.DB.KnownStores(t.Context()); err != nil || known["disk"] != "local" {
		t.Error(known, err)
	}
}

// TestAStoreThatAllReachHasNoHome: where a disk of one node had its name before, that
// node is not asked for what lies in it now.
func TestAStoreThatAllReachHasNoHome(t *testing.T) {
	d, _ := running(t, config(t))
	st := store.New("files", mem.New(), store.Options{})
	for _, tt := range []struct {
		c    claim
		home meta.NodeID
	}{{claim{st: st, kind: "local"}, "a"}, {claim{st: st, kind: "s3", before: true, noted: true}, "a"}, {claim{st: st, kind: "s3", before: true}, ""}} {
		if _, err := d.in.DB.ClaimStoreHome(t.Context(), "files", "a"); err != nil {
			t.Fatal(err)
		}
		if err := tt.c.note(t.Context(), d.in.DB); err != nil {
			t.Error(err)
		}
		if homes, err := d.in.DB.StoreHomes(t.Context()); err != nil || homes["files"] != tt.home {
			t.Errorf("%s: at home with %q, %v", tt.c.kind, homes["files"], err)
		}
	}
}

// putNamed puts a small file and gives what was answered.
func putNamed(t *testing.T, url, name string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/files?name="+name, strings.NewReader(name))
	if err != nil {
		t.Fatal(err)
	}
	status, body := do(t, req)
	if status != http.StatusCreated {
		t.Fatalf("put %s: %d %s", name, status, body)
	}
	return body
}

// TestNoStoreTakesNewBlobs: where the stores that were migrated lead to none that
// takes new blobs, a daemon does not start, and goes on once there is one.
func TestNoStoreTakesNewBlobs(t *testing.T) {
	folder := func() open.Config { return open.Config{Type: "local", Path: filepath.Join(t.TempDir(), "s")} }
	cfg := config(t)
	cfg.DefaultStore, cfg.Stores = "a", map[string]open.Config{"a": folder(), "b": folder(), "c": folder()}
	_, stop := running(t, cfg)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for name, rows := range map[string][][2]string{
		"each was closed for the other": {{"a", "b"}, {"b", "a"}},
		"one was closed for itself":     {{"a", "a"}},
		"they go round at the end":      {{"a", "b"}, {"b", "c"}, {"c", "b"}},
		"the last is not configured":    {{"a", "b"}, {"b", "gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := cfg.databasePath()
			metatest.Behind(t, path, `DELETE FROM settings WHERE name LIKE 'store_closed/%'`)
			for _, r := range rows {
				metatest.Behind(t, path, `INSERT INTO settings (name, value) VALUES (?, ?)`, "store_closed/"+r[0], r[1])
			}
			d, err := New(t.Context(), cfg, "test", quiet())
			if err == nil {
				t.Fatal("it starts", d.Close())
			}
			for _, word := range []string{"default_store a was migrated", "takes new blobs", "nothing was changed"} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in %v", word, err)
				}
			}
		})
	}
	metatest.Behind(t, cfg.databasePath(), `DELETE FROM settings WHERE name LIKE 'store_closed/%'`)
	metatest.Behind(t, cfg.databasePath(), `INSERT INTO settings (name, value) VALUES (?, ?)`, "store_closed/a", "b")
	if d, _ := running(t, cfg); putNamed(t, d.URL(), "a") == "" {
		t.Error("nothing is put")
	}
}
