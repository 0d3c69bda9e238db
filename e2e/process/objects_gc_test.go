//go:build servers

package process

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/front/cos"
	"github.com/osproxy/osproxy/e2e/front/oss"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// tencent is an account that the tests have at a front.
var tencent = cos.Vendor{Bucket: "files-1250000000", Region: "ap-nanjing", SecretID: "AKIDexample", SecretKey: "the-secret-key"}

// emptied is a store whose objects are to go, and its front, if it has one.
type emptied struct {
	open.Config
	yaml  string
	front *front.Front
}

// emptiedS3 is a bucket of an S3 server's own.
func emptiedS3(t *testing.T, k s3server.Kind) emptied {
	t.Helper()
	s := s3server.Start(t, k)
	c := open.Config{
		Type: "s3", Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket(t), AccessKeyID: s.AccessKeyID,
		SecretAccessKey: store.NewSecret(s.SecretAccessKey), PathStyle: true,
	}
	return emptied{c, fmt.Sprintf("{type: s3, endpoint: %q, region: %s, bucket: %s, prefix: ospd, access_key_id: %s, secret_access_key: %s, path_style: true}",
		s.Endpoint, s.Region, c.Bucket, s.AccessKeyID, s.SecretAccessKey), nil}
}

// emptiedFront is a bucket at a vendor's front.
func emptiedFront(t *testing.T, v front.Vendor, around func(http.Handler) http.Handler) (*front.Front, string) {
	t.Helper()
	s := s3server.Start(t, s3server.MinIO())
	up := front.Upstream{URL: s.Endpoint, Region: s.Region, Bucket: s.Bucket(t), AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}
	f := front.New(front.Config{Vendor: v, Upstream: up, Spool: t.TempDir()})
	srv := httptest.NewServer(around(f))
	t.Cleanup(func() {
		srv.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, srv.URL
}

func emptiedOSS(t *testing.T) emptied {
	t.Helper()
	f, url := emptiedFront(t, account, oss.Manners)
	return emptied{
		open.Config{
			Type: "oss", Endpoint: url, Region: account.Region, Bucket: account.Bucket, AccessKeyID: account.AccessKeyID,
			AccessKeySecret: store.NewSecret(account.AccessKeySecret),
		},
		fmt.Sprintf("{type: oss, endpoint: %q, region: %s, bucket: %s, prefix: ospd, access_key_id: %s, access_key_secret: %s}",
			url, account.Region, account.Bucket, account.AccessKeyID, account.AccessKeySecret), f,
	}
}

func emptiedCOS(t *testing.T) emptied {
	t.Helper()
	f, url := emptiedFront(t, tencent, func(h http.Handler) http.Handler { return h })
	return emptied{
		open.Config{Type: "cos", URL: url, SecretID: tencent.SecretID, SecretKey: store.NewSecret(tencent.SecretKey)},
		fmt.Sprintf("{type: cos, url: %q, prefix: ospd, secret_id: %s, secret_key: %s}", url, tencent.SecretID, tencent.SecretKey), f,
	}
}

// TestManyDeletedFilesLeaveNothing: of many files that are deleted, and of one
// that is composed, gc without grace leaves no object in the bucket but the
// mark, and deletes many with each request.
func TestManyDeletedFilesLeaveNothing(t *testing.T) {
	const many = 300 // more than a page of the sweep
	for name, bucket := range map[string]func(*testing.T) emptied{
		"MinIO":     func(t *testing.T) emptied { return emptiedS3(t, s3server.MinIO()) },
		"versitygw": func(t *testing.T) emptied { return emptiedS3(t, s3server.Versitygw()) },
		"OSS":       emptiedOSS,
		"COS":       emptiedCOS,
	} {
		t.Run(name, func(t *testing.T) {
			e := bucket(t)
			config := harness.WriteFile(t, "ospd.yaml", []byte("default_store: objects\nstores:\n  objects: "+e.yaml+"\n"))
			d := harness.StartDaemon(t, bin, t.TempDir(), "--config", config)
			api := d.API()
			files := []string{api.MustUpload("large", harness.Content(1, 20*mib)).UID.String()}
			for i := range many {
				files = append(files, api.MustFile(api.PutFile("small", fmt.Appendf(nil, "file %d", i)), http.StatusCreated).UID.String())
			}
			for _, uid := range files {
				api.Require(api.Do(http.MethodDelete, "/v1/files/"+uid, nil, 0), http.StatusNoContent)
			}
			if exit := d.Stop(); exit != 0 {
				t.Fatalf("ospd left with %d:\n%s", exit, d.Stderr())
			}
			gc := harness.Start(t, nil, "", bin.OSPD, "gc", "--grace", "0", "--data", d.Data, "--config", config)
			if exit := gc.Wait(); exit != 0 || !strings.Contains(gc.Stdout(), "Deleted 30") {
				t.Errorf("gc left with %d: %s%s", exit, gc.Stdout(), gc.Stderr())
			}
			if left := allInBucket(t, e.Config); !slices.Equal(left, []string{"ospd/OSPD-STORE"}) {
				t.Errorf("in the bucket are %q", left)
			}
			if exit, out := harness.Fsck(t, bin, d.Data, "--read-data", "--config", config); exit != 0 || !strings.Contains(out, ", 0 pending.") {
				t.Errorf("fsck left with %d:\n%s", exit, out)
			}
			if f := e.front; f != nil {
				batches, singles := f.Calls(front.DeleteObjects), f.Calls(front.DeleteObject)
				if batches < 2 || batches+singles > many/10 {
					t.Errorf("%d requests for many and %d for one", batches, singles)
				}
			}
		})
	}
}
