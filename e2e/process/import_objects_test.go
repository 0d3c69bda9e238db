//go:build servers && linux

package process

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestImportOfObjects: objects of each storage keep their names, media types and
// times, as copies, in place and adopted, and are there already the second time.
func TestImportOfObjects(t *testing.T) {
	for _, at := range storages(t) {
		for _, how := range []struct {
			name           string
			inPlace, adopt bool
		}{{name: "copied"}, {name: "in place", inPlace: true}, {name: "adopted", inPlace: true, adopt: true}} {
			t.Run(at.name+" "+how.name, func(t *testing.T) { importObjects(t, at.emptied(t), how.inPlace, how.adopt) })
		}
	}
}

func importObjects(t *testing.T, at storage, inPlace, adopt bool) {
	begun := time.Now().Add(-2 * time.Second)
	contents := map[string][]byte{"photos/a b/ü.jpg": harness.Content(1, 3000), "photos/large": harness.Content(2, 9<<20)}
	for name, data := range contents {
		at.put(t, name, "image/x-test", data)
	}
	config := harness.WriteFile(t, "ospd.yaml", fmt.Appendf(nil, "default_store: disk\nstores:\n  disk: {type: local, path: %q}\n  old: %s\n", t.TempDir(), at.config(at.url)))
	d := harness.StartDaemon(t, bin, t.TempDir(), "--config", config)
	imports := func(want protocol.ImportOutcome, contents map[string][]byte) map[string]protocol.UID {
		ans := d.API().JSON(http.MethodPost, "/v1/jobs", map[string]any{"kind": protocol.JobImport,
			"args": map[string]any{"source": "store:old/photos/", "in_place": inPlace, "adopt": adopt}})
		var j protocol.Job
		if err := json.Unmarshal(ans.Body, &j); err != nil || ans.Status != http.StatusCreated {
			t.Fatalf("ask for an import: %d %s (%v)", ans.Status, ans.Body, err)
		}
		return wholeManifest(t, d, j.ID, contents, want)
	}
	uids := imports(protocol.ImportImported, contents)
	for path, uid := range uids {
		f := d.API().MustFile(d.API().Do(http.MethodGet, "/v1/files/"+uid.String(), nil, 0), http.StatusOK)
		if "photos/"+f.Name != path || f.MediaType == nil || *f.MediaType != "image/x-test" || f.CreatedAt.Before(begun) || f.CreatedAt.After(time.Now()) {
			t.Errorf("%s became %+v", path, f)
		}
		d.API().MustHold(uid, contents[path])
	}
	for path, uid := range imports(protocol.ImportAlready, contents) {
		if uids[path] != uid {
			t.Errorf("%s is %s, and was %s", path, uid, uids[path])
		}
	}
	if exit := d.Stop(); exit != 0 {
		t.Errorf("ospd left with %d", exit)
	}
	fsckClean(t, d.Data, "--config", config)
}
