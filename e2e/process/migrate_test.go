//go:build servers

package process

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// twoStores are the arguments of an ospd with two folders for blobs, disk and
// other.
func twoStores(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "ospd.yaml")
	text := fmt.Sprintf("default_store: disk\nstores:\n  disk: {type: local, path: %q}\n  other: {type: local, path: %q}\n",
		filepath.Join(dir, "disk"), filepath.Join(dir, "other"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config", path}
}

// migrate has the daemon move everything to the store in which it is not, and
// waits for the end of that; of one that was begun before it only waits.
func (w *workload) migrate(api *harness.API) {
	w.t.Helper()
	if w.stopped {
		return
	}
	j, found := w.newestMigration(api)
	if w.stopped {
		return
	}
	if !found || j.State.Ended() {
		from, to := "disk", "other"
		if found && strings.HasPrefix(*j.Subject, "disk") {
			from, to = to, from
		}
		ans := api.JSON("POST", "/v1/jobs", map[string]any{"kind": protocol.JobMigrate, "args": map[string]any{"from": from, "to": to}})
		if !w.answered(ans, http.StatusCreated) {
			return
		}
	}
	for end := time.Now().Add(4 * harness.Patience); ; time.Sleep(20 * time.Millisecond) {
		if j, _ = w.newestMigration(api); w.stopped {
			return
		}
		if j.State.Ended() {
			break
		}
		if time.Now().After(end) {
			w.t.Fatalf("the migration does not end: %+v %+v", j, j.Progress)
		}
	}
	if j.State != protocol.JobDone || j.Progress == nil || !strings.Contains(j.Progress.Note, "0 damaged, 0 waiting") {
		w.t.Errorf("the migration ended as %+v at %+v", j, j.Progress)
	}
}

// newestMigration is the one that was asked for last.
func (w *workload) newestMigration(api *harness.API) (j protocol.Job, found bool) {
	w.t.Helper()
	var list protocol.JobList
	ans := api.Do("GET", "/v1/jobs?kind=migrate&limit=1", nil, 0)
	if !w.answered(ans, http.StatusOK) {
		return j, false
	}
	if err := json.Unmarshal(ans.Body, &list); err != nil {
		w.t.Fatal(err)
	}
	if len(list.Jobs) == 0 {
		return j, false
	}
	return list.Jobs[0], true
}
