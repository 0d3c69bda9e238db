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

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// inImport reports whether a daemon comes to the step only in an import:
// TestDeathInAnImport is about those.
func inImport(name string) bool { return strings.HasPrefix(name, "import.") }

// TestDeathInAnImport lets a daemon die at each step of an import, also at those
// of the puts of copies: after a restart each object is imported once, and fsck
// finds nothing.
func TestDeathInAnImport(t *testing.T) {
	mortal, err := harness.Build(t.TempDir(), "crashpoints")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	contents := map[string][]byte{}
	for n := range 300 {
		size := int64(100 + n)
		if n == 77 {
			size = 2*protocol.MinPartSize + 77
		}
		path := filepath.ToSlash(filepath.Join(folder, fmt.Sprintf("object-%d", n)))
		contents[path] = harness.Content(uint64(n), size)
		if err := os.WriteFile(path, contents[path], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	points := []string{"put.named", "put.stored", "put.recorded", "begin.recorded", "part.recorded", "commit.checked", "commit.recorded"}
	for _, name := range crashPoints(t, mortal) {
		if inImport(name) {
			points = append(points, name+":2", name+":3", name)
		}
	}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			d := harness.StartDaemon(t, mortal, t.TempDir())
			if exit := d.Stop(); exit != 0 {
				t.Fatalf("ospd left with %d", exit)
			}
			if !strings.Contains(point, ":") {
				point += ":1"
			}
			d.Start(crashEnv + "=" + point)
			// It may die before it answers.
			d.API().JSON(http.MethodPost, "/v1/jobs", map[string]any{"kind": protocol.JobImport, "args": map[string]any{"source": "dir:" + folder}})
			if d.Wait(); !d.Killed() {
				t.Fatalf("ospd did not die of SIGKILL:\n%s", d.Stderr())
			}
			fsckClean(t, d.Data)
			d.Start()
			var list protocol.JobList
			if ans := d.API().Do(http.MethodGet, "/v1/jobs?kind=import", nil, 0); json.Unmarshal(ans.Body, &list) != nil || len(list.Jobs) != 1 {
				t.Fatalf("jobs: %d %s", ans.Status, ans.Body)
			}
			id := list.Jobs[0].ID
			for path, uid := range wholeManifest(t, d, id, contents, protocol.ImportImported) {
				d.API().MustHold(uid, contents[path])
			}
			if files := d.API().Files(); len(files) != len(contents) {
				t.Errorf("%d objects made %d files", len(contents), len(files))
			}
			stopClean(t, d)
		})
	}
}
