//go:build servers

package process

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/front/cos"
	"github.com/osproxy/osproxy/e2e/front/oss"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/protocol"
)

// TestLiveMigration moves everything from a folder to MinIO, to OSS, to COS and
// back to the folder, while readers compare every byte and meet no error. Uids,
// URLs, ETags and signed links stay, and fsck finds nothing after each hop.
func TestLiveMigration(t *testing.T) {
	args := fourStores(t)
	d := harness.StartDaemon(t, bin, t.TempDir(), args...)
	k := &keeping{t: t, files: map[protocol.UID]held{}}
	k.put(d.API())
	open := k.begin(d.API())
	from := "disk"
	for _, to := range []string{"minio", "ali", "qq", "disk"} {
		stop := k.read(d)
		osp := harness.NewOSP(t, bin, d.URL)
		p := osp.Start("admin", "migrate", "--from", from, "--to", to, "--follow")
		if open != nil {
			harness.Eventually(t, "the migration waits for the open upload", func() bool {
				j := newest(t, d.API())
				return j.Progress != nil && strings.Contains(j.Progress.Note, "waits for 1 open uploads")
			})
			open.finish(d.API())
			open = nil
		}
		if exit := p.Wait(); exit != 0 {
			t.Fatalf("from %s to %s: exit %d: %s\n%s", from, to, exit, p.Stderr(), d.Stderr())
		}
		if note := newest(t, d.API()).Progress.Note; !strings.Contains(note, "0 skipped, 0 damaged, 0 waiting") {
			t.Errorf("from %s to %s: %s", from, to, note)
		}
		small := harness.Content(77, 500)
		k.hold(d.API(), d.API().MustFile(d.API().PutFile("after "+to, small), http.StatusCreated), small)
		if n := stop(); n < 3 {
			t.Errorf("from %s to %s: the readers read %d files", from, to, n)
		}
		if exit := d.Stop(); exit != 0 {
			t.Fatalf("ospd left with %d: %s", exit, d.Stderr())
		}
		gc := harness.Start(t, nil, "", bin.OSPD, append([]string{"gc", "--grace", "0", "--data", d.Data}, args...)...)
		if exit := gc.Wait(); exit != 0 {
			t.Fatalf("gc left with %d: %s", exit, gc.Stderr())
		}
		fsckClean(t, d.Data, args...)
		d.Start()
		k.check(d.API())
		alone(t, d.API(), to, from)
		from = to
	}
	if exit := d.Stop(); exit != 0 {
		t.Errorf("ospd left with %d", exit)
	}
}

// fourStores are the arguments of an ospd with a folder, a MinIO and both
// vendors' fronts.
func fourStores(t *testing.T) []string {
	t.Helper()
	minio := s3server.Start(t, s3server.MinIO())
	ali := oss.Vendor{Bucket: "files-ali", Region: "cn-hangzhou", AccessKeyID: "LTAIexample", AccessKeySecret: "the-secret"}
	qq := cos.Vendor{Bucket: "files-1250000000", Region: "ap-nanjing", SecretID: "AKIDexample", SecretKey: "the-secret-key"}
	dir := t.TempDir()
	text := fmt.Sprintf(`default_store: disk
stores:
  disk: {type: local, path: %q}
  minio: {type: s3, endpoint: %q, region: %s, bucket: %s, access_key_id: %s, secret_access_key: %s, path_style: true}
  ali: {type: oss, endpoint: %q, region: %s, bucket: %s, access_key_id: %s, access_key_secret: %s}
  qq: {type: cos, url: %q, secret_id: %s, secret_key: %s}
`, filepath.Join(dir, "disk"), minio.Endpoint, minio.Region, minio.Bucket(t), minio.AccessKeyID, minio.SecretAccessKey,
		behindFront(t, ali, minio), ali.Region, ali.Bucket, ali.AccessKeyID, ali.AccessKeySecret,
		behindFront(t, qq, minio), qq.SecretID, qq.SecretKey)
	path := filepath.Join(dir, "ospd.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config", path}
}

// behindFront is the URL of a vendor's front over a bucket of its own.
func behindFront(t *testing.T, v front.Vendor, s *s3server.Server) string {
	t.Helper()
	f := front.New(front.Config{Vendor: v, Spool: t.TempDir(), Upstream: front.Upstream{
		URL: s.Endpoint, Region: s.Region, Bucket: s.Bucket(t), AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey,
	}})
	srv := httptest.NewServer(f)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv.URL
}

// alone expects everything to lie in one store, and nothing in the one before.
func alone(t *testing.T, api *harness.API, in, before string) {
	t.Helper()
	ans := api.Do("GET", "/v1/stores", nil, 0)
	api.Require(ans, http.StatusOK)
	var list protocol.StoreList
	if err := json.Unmarshal(ans.Body, &list); err != nil {
		t.Fatal(err)
	}
	for _, st := range list.Stores {
		if !st.Reachable || st.Blobs == nil || (*st.Blobs > 0) != (st.Name == in) || st.Name == before && (st.ClosedTo == nil || *st.ClosedTo != in) {
			t.Errorf("%s", ans.Body)
			return
		}
	}
}

// newest is the migration that was asked for last.
func newest(t *testing.T, api *harness.API) protocol.Job {
	t.Helper()
	ans := api.Do("GET", "/v1/jobs?kind=migrate&limit=1", nil, 0)
	api.Require(ans, http.StatusOK)
	var list protocol.JobList
	if err := json.Unmarshal(ans.Body, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Jobs) == 0 {
		return protocol.Job{}
	}
	return list.Jobs[0]
}
