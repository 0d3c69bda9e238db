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

func importPath(folder string, n int) string {
	return filepath.ToSlash(filepath.Join(folder, "files", fmt.Sprintf("%d", n%37), fmt.Sprintf("object-%d.txt", n)))
}

// manyFiles makes the objects, and gives what is in them by path.
func manyFiles(t *testing.T, folder string, count int) map[string][]byte {
	t.Helper()
	contents := map[string][]byte{}
	for n := range count {
		path := importPath(folder, n)
		if n < 37 {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		contents[path] = []byte(strings.Repeat(fmt.Sprintf("%d ", n), 1+n%7))
		if err := os.WriteFile(path, contents[path], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return contents
}

func startImport(t *testing.T, d *harness.Daemon, folder string, inPlace bool) protocol.JobID {
	t.Helper()
	args, err := json.Marshal(map[string]any{"source": "dir:" + folder, "in_place": inPlace})
	if err != nil {
		t.Fatal(err)
	}
	ans := d.API().JSON(http.MethodPost, "/v1/jobs", protocol.CreateJob{Kind: protocol.JobImport, Args: args})
	var j protocol.Job
	if err := json.Unmarshal(ans.Body, &j); err != nil || ans.Status != http.StatusCreated {
		t.Fatalf("ask for an import: %d %s (%v)", ans.Status, ans.Body, err)
	}
	return j.ID
}

func manifestPage(t *testing.T, d *harness.Daemon, id protocol.JobID, cursor string) (m protocol.Manifest) {
	t.Helper()
	ans := d.API().Do(http.MethodGet, "/v1/jobs/"+id.String()+"/manifest?cursor="+cursor, nil, 0)
	if err := json.Unmarshal(ans.Body, &m); err != nil || ans.Status != http.StatusOK {
		t.Fatalf("manifest: %d %s (%v)", ans.Status, ans.Body, err)
	}
	return m
}
