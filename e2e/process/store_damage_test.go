//go:build servers

package process

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// TestObjectsChangedBehindOurBack deletes and alters objects as somebody does who
// has the key to the bucket. No read of them ends well, a scrub says so, and the
// same bytes put again heal the file.
func TestObjectsChangedBehindOurBack(t *testing.T) {
	for _, s := range storages(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			for _, c := range []struct {
				name     string
				change   func(*testing.T, store.Backend, store.Info)
				scrubbed bool // a scrub notices it, and not a read
			}{
				{"deleted, and read", deleteObject, false}, {"deleted, and scrubbed", deleteObject, true},
				{"altered, and read", alterObject, false}, {"altered, and scrubbed", alterObject, true},
				{"shortened, and read", shortenObject, false},
			} {
				t.Run(c.name, func(t *testing.T) {
					s := s.emptied(t)
					b := newBehind(t, s)
					path, data := b.file(4000, threeParts)
					uid := b.osp.Put(path).UID
					b.composed()
					b.collect(1)
					b.restart() // which remembers no good block
					b.change(c.change)
					if c.scrubbed && b.scrub(uid) != "it is damaged" {
						t.Error("the scrub has not noticed it")
					}
					b.neverClean(uid, data)
					if again := b.osp.Put(path); again.Outcome != "uploaded" {
						t.Errorf("bytes that are damaged here count as held: %s", again.Outcome)
					}
					b.daemon.API().MustHold(uid, data)
					b.composed()
					b.clean()
				})
			}
		})
	}
}

// collect waits until the storage has so many objects.
func (b *behind) collect(n int) {
	b.t.Helper()
	back := b.backend()
	harness.Eventually(b.t, "what is of no use is removed", func() bool {
		count := 0
		for _, err := range back.List(b.t.Context(), "", "") {
			if err != nil {
				b.t.Fatal(err)
			}
			count++
		}
		return count == n
	})
}

// backend is the daemon's storage, past the proxy's faults.
func (b *behind) backend() store.Backend {
	b.t.Helper()
	cfg, err := daemon.LoadConfig(b.config, nil, map[string]any{"data": b.daemon.Data})
	if err != nil {
		b.t.Fatal(err)
	}
	back, err := open.Backend(b.t.Context(), cfg.Stores["remote"])
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := back.Close(); err != nil {
			b.t.Error(err)
		}
	})
	return back
}

// change changes the only object.
func (b *behind) change(how func(*testing.T, store.Backend, store.Info)) {
	b.t.Helper()
	back := b.backend()
	for info, err := range back.List(b.t.Context(), "", "") {
		if err != nil {
			b.t.Fatal(err)
		}
		how(b.t, back, info)
		return
	}
	b.t.Fatal("there is no object")
}

func deleteObject(t *testing.T, b store.Backend, info store.Info) {
	t.Helper()
	if err := b.Delete(t.Context(), info.Key); err != nil {
		t.Fatal(err)
	}
}

func alterObject(t *testing.T, b store.Backend, info store.Info) {
	t.Helper()
	replaceObject(t, b, info, func(p []byte) []byte {
		p[len(p)/2] ^= 1
		return p
	})
}

func shortenObject(t *testing.T, b store.Backend, info store.Info) {
	t.Helper()
	replaceObject(t, b, info, func(p []byte) []byte { return p[:len(p)-1] })
}

func replaceObject(t *testing.T, b store.Backend, info store.Info, by func([]byte) []byte) {
	t.Helper()
	r, err := b.Get(t.Context(), info.Key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	deleteObject(t, b, info)
	p = by(p)
	if err := b.Put(t.Context(), info.Key, bytes.NewReader(p), int64(len(p))); err != nil {
		t.Fatal(err)
	}
}

// neverClean reads a damaged file in every way.
func (b *behind) neverClean(uid protocol.UID, data []byte) {
	b.t.Helper()
	ans := b.daemon.API().Content(uid)
	if ans.Err == nil && ans.Status == http.StatusOK {
		b.t.Error("a clean 200 of a damaged file")
	}
	if ans.Status == http.StatusOK && !bytes.HasPrefix(data, ans.Body) {
		b.t.Error("wrong bytes were served")
	}
	target := filepath.Join(b.t.TempDir(), "target")
	if exit, p := b.osp.Run("get", uid.String(), "-o", target); exit != exitFindings {
		b.t.Errorf("osp get left with %d: %s", exit, p.Stderr())
	}
	if _, err := os.Stat(target); err == nil {
		b.t.Error("osp get left a file")
	}
}

// scrub has a file read through and gives what the job notes about it.
func (b *behind) scrub(uid protocol.UID) (note string) {
	b.t.Helper()
	api := b.daemon.API()
	ans := api.JSON("POST", "/v1/jobs", map[string]any{"kind": "scrub", "args": map[string]any{"file": uid}})
	var j protocol.Job
	if err := json.Unmarshal(ans.Body, &j); err != nil || ans.Status/100 != 2 {
		b.t.Fatalf("a scrub: %d %s", ans.Status, ans.Body)
	}
	harness.Eventually(b.t, "the scrub ends", func() bool {
		ans := api.JSON("GET", "/v1/jobs/"+j.ID.String(), nil)
		api.Require(ans, http.StatusOK)
		return json.Unmarshal(ans.Body, &j) == nil && j.State.Ended()
	})
	if j.State != protocol.JobDone {
		b.t.Errorf("the scrub is %s: %v", j.State, j.Error)
	}
	if j.Progress != nil {
		note = j.Progress.Note
	}
	return note
}
