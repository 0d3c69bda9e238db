//go:build servers

package process

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/front/oss"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
)

var aliyun = oss.Vendor{Bucket: "files", Region: "cn-hangzhou", AccessKeyID: "LTAIexample", AccessKeySecret: "the-secret-key"}

// serveOSS is a front at an address, as OSS would be there.
func serveOSS(t *testing.T, f *front.Front) string {
	srv := httptest.NewServer(oss.Manners(f))
	t.Cleanup(func() {
		srv.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv.URL
}

// ossConfig is a configuration whose only store is that bucket.
func ossConfig(t *testing.T, endpoint string, v oss.Vendor) string {
	path := filepath.Join(t.TempDir(), "ospd.yaml")
	text := fmt.Sprintf("stores:\n  ali: {type: oss, endpoint: %q, region: %s, bucket: %s, access_key_id: %s, access_key_secret: %s, prefix: ospd}\n",
		endpoint, v.Region, v.Bucket, v.AccessKeyID, v.AccessKeySecret)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOSS: a daemon whose only store is a bucket of OSS takes files, joins their
// parts on the storage's side, and gives them back.
func TestOSS(t *testing.T) {
	behind := s3server.Start(t, s3server.MinIO())
	f := front.New(front.Config{Vendor: aliyun, Spool: t.TempDir(), Upstream: front.Upstream{
		URL: behind.Endpoint, Region: behind.Region, Bucket: behind.Bucket(t),
		AccessKeyID: behind.AccessKeyID, SecretAccessKey: behind.SecretAccessKey,
	}})
	config := ossConfig(t, serveOSS(t, f), aliyun)
	keepsFiles(t, f, config)
}

// TestOSSRefusesAtTheStart: what is wrong with the configuration is said by the
// name of the store and of the setting, and no secret is.
func TestOSSRefusesAtTheStart(t *testing.T) {
	now := func() time.Time { return time.Now().Add(time.Hour) }
	// What is refused does not come to the server behind.
	there, later := serveOSS(t, front.New(front.Config{Vendor: aliyun})), serveOSS(t, front.New(front.Config{Vendor: aliyun, Now: now}))
	for what, c := range map[string]struct {
		endpoint, says string
		change         func(*oss.Vendor)
	}{
		"a wrong secret":    {there, "access_key_secret", func(v *oss.Vendor) { v.AccessKeySecret = "not-the-secret" }},
		"an unknown key":    {there, "access_key_id", func(v *oss.Vendor) { v.AccessKeyID = "LTAIanother" }},
		"a missing bucket":  {there, "bucket", func(v *oss.Vendor) { v.Bucket = "folders" }},
		"another region":    {there, "region", func(v *oss.Vendor) { v.Region = "cn-beijing" }},
		"a clock that lags": {later, "clock", func(*oss.Vendor) {}},
	} {
		v := aliyun
		c.change(&v)
		exit, said := harness.Refused(t, bin, t.TempDir(), "--config", ossConfig(t, c.endpoint, v))
		if exit != 4 || !strings.Contains(said, `"ali"`) || !strings.Contains(said, "check "+c.says) && !strings.Contains(said, c.says+" is") ||
			strings.Contains(said, v.AccessKeySecret) {
			t.Errorf("%s: exit %d, %s", what, exit, said)
		}
	}
}
