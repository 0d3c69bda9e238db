//go:build servers && linux

package process

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/protocol"
)

// TestImportFromS3: objects of a real server keep their names, media types and
// times, as copies and in place.
func TestImportFromS3(t *testing.T) {
	s := s3server.Start(t, s3server.MinIO())
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprint("in place: ", inPlace), func(t *testing.T) {
			bucket := s.Bucket(t)
			begun := time.Now().Add(-2 * time.Second)
			contents := map[string][]byte{"photos/a b/ü.jpg": harness.Content(1, 3000), "photos/large": harness.Content(2, 9<<20)}
			for name, data := range contents {
				s.PutObject(t, bucket, name, "image/x-test", data)
			}
			config := harness.WriteFile(t, "ospd.yaml", fmt.Appendf(nil, "default_store: disk\nstores:\n  disk: {type: local, path: %q}\n"+
				"  minio: {type: s3, endpoint: %q, region: %s, bucket: %s, prefix: ospd, access_key_id: %s, secret_access_key: %s, path_style: true}\n",
				t.TempDir(), s.Endpoint, s.Region, bucket, s.AccessKeyID, s.SecretAccessKey))
			d := harness.StartDaemon(t, bin, t.TempDir(), "--config", config)
			ans := d.API().JSON(http.MethodPost, "/v1/jobs", map[string]any{"kind": protocol.JobImport,
				"args": map[string]any{"source": "s3:minio/photos/", "in_place": inPlace}})
			var j protocol.Job
			if err := json.Unmarshal(ans.Body, &j); err != nil || ans.Status != http.StatusCreated {
				t.Fatalf("ask for an import: %d %s (%v)", ans.Status, ans.Body, err)
			}
			for path, uid := range wholeManifest(t, d, j.ID, contents, protocol.ImportImported) {
				f := d.API().MustFile(d.API().Do(http.MethodGet, "/v1/files/"+uid.String(), nil, 0), http.StatusOK)
				if "photos/"+f.Name != path || f.MediaType == nil || *f.MediaType != "image/x-test" || f.CreatedAt.Before(begun) || f.CreatedAt.After(time.Now()) {
					t.Errorf("%s became %+v", path, f)
				}
				d.API().MustHold(uid, contents[path])
			}
			if exit := d.Stop(); exit != 0 {
				t.Errorf("ospd left with %d", exit)
			}
			fsckClean(t, d.Data, "--config", config)
		})
	}
}
