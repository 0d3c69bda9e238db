//go:build servers

package process

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/front/cos"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
)

// TestCOS: a daemon whose only store is a bucket of COS takes files, joins their
// parts on the storage's side, and gives them back.
func TestCOS(t *testing.T) {
	vendor := cos.Vendor{Bucket: "files-1250000000", Region: "ap-nanjing", SecretID: "AKIDexample", SecretKey: "the-secret-key"}
	behind := s3server.Start(t, s3server.MinIO())
	f := front.New(front.Config{Vendor: vendor, Spool: t.TempDir(), Upstream: front.Upstream{
		URL: behind.Endpoint, Region: behind.Region, Bucket: behind.Bucket(t),
		AccessKeyID: behind.AccessKeyID, SecretAccessKey: behind.SecretAccessKey,
	}})
	srv := httptest.NewServer(f)
	t.Cleanup(func() {
		srv.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	config := func(secret string) string {
		path := filepath.Join(t.TempDir(), "ospd.yaml")
		text := fmt.Sprintf("stores:\n  qq: {type: cos, url: %q, secret_id: %s, secret_key: %s, prefix: ospd}\n", srv.URL, vendor.SecretID, secret)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}

	exit, said := harness.Refused(t, bin, t.TempDir(), "--config", config("not-the-secret"))
	if exit != 4 || !strings.Contains(said, `"qq"`) || !strings.Contains(said, "SignatureDoesNotMatch") || strings.Contains(said, "not-the-secret") {
		t.Errorf("with a wrong secret: exit %d, %s", exit, said)
	}

	keepsFiles(t, f, config(vendor.SecretKey))
}

// keepsFiles runs a daemon with a configuration whose only store is a front: it
// takes files, joins their parts on the storage's side, and gives them back.
func keepsFiles(t *testing.T, f *front.Front, config string) {
	t.Helper()
	data := t.TempDir()
	d := harness.StartDaemon(t, bin, data, "--config", config)
	osp := harness.NewOSP(t, bin, d.URL)
	for i, size := range []int64{0, 1, 100_000, 20 << 20} {
		path := filepath.Join(t.TempDir(), "file")
		want := harness.WriteContent(t, path, uint64(i), size)
		put := osp.Put(path)
		back := filepath.Join(t.TempDir(), "back")
		if got := osp.Get(put.UID, back); !put.OK || !got.OK || harness.SumFile(t, back) != want {
			t.Errorf("%d bytes: put %+v, got %+v", size, put, got)
		}
	}
	// Two parts of 8 MiB and one of 4 MiB, none of which passes the daemon again.
	harness.Eventually(t, "the parts are joined", func() bool { return f.Calls(front.CompleteMultipartUpload) > 0 })
	if n := f.Calls(front.UploadPartCopy); n != 3 {
		t.Errorf("%d parts were copied", n)
	}
	if n := f.Calls(front.UploadPart); n != 0 {
		t.Errorf("%d parts were sent once more", n)
	}
	if exit := d.Stop(); exit != 0 {
		t.Errorf("the daemon left with %d: %s", exit, d.Stderr())
	}
	if exit, out := harness.Fsck(t, bin, data, "--read-data", "--config", config); exit != 0 {
		t.Errorf("fsck left with %d: %s", exit, out)
	}
}
