//go:build servers

package process

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/front/cos"
	"github.com/osproxy/osproxy/e2e/front/oss"
	"github.com/osproxy/osproxy/e2e/s3server"
)

// storage is where a daemon may keep blobs in tests.
type storage struct {
	name string
	// url is where it is.
	url string
	// config is a store's configuration, for a daemon that finds the storage at
	// url.
	config func(url string) string
	// elsewhere is the same with a bucket that is not there.
	elsewhere func(url string) string
	account   string
	secret    string
	region    string // "" where none is configured
	// The settings that messages name.
	accountKey, secretKey, bucketKey, addressKey string
	// emptied is the same storage with a bucket in which nothing is.
	emptied func(t *testing.T) storage
	// put puts an object into the bucket, past the daemon.
	put func(t *testing.T, name, mediaType string, data []byte)
}

// storages are all there are: the S3 servers, and a strict front of each vendor
// that has none to run, with MinIO behind it.
func storages(t *testing.T) []storage {
	t.Helper()
	minio := s3server.Start(t, s3server.MinIO())
	return []storage{
		onS3(t, minio), onS3(t, s3server.Start(t, s3server.Versitygw())), onOSS(t, minio, 0), onCOS(t, minio, 0),
	}
}

// onS3 is a bucket of its own on an S3 server.
func onS3(t *testing.T, s *s3server.Server) storage {
	t.Helper()
	in := func(bucket string) func(string) string {
		return func(url string) string {
			return fmt.Sprintf("{type: s3, endpoint: '%s', region: %s, bucket: %s, access_key_id: %s, secret_access_key: %s, path_style: true}",
				url, s.Region, bucket, s.AccessKeyID, s.SecretAccessKey)
		}
	}
	bucket := s.Bucket(t)
	return storage{
		name: s.Kind.Name, url: s.Endpoint, config: in(bucket), put: into(s, bucket), elsewhere: in("nobodys-bucket"),
		account: s.AccessKeyID + ",", secret: s.SecretAccessKey, region: s.Region,
		accountKey: "access_key_id", secretKey: "secret_access_key", bucketKey: "bucket", addressKey: "endpoint",
		emptied: func(t *testing.T) storage { return onS3(t, s) },
	}
}

// onOSS is a front of Aliyun OSS, whose clock is so much ahead.
func onOSS(t *testing.T, behind *s3server.Server, ahead time.Duration) storage {
	t.Helper()
	v := oss.Vendor{Bucket: "files", Region: "cn-hangzhou", AccessKeyID: "LTAIexample", AccessKeySecret: "the-secret-key"}
	in := func(bucket string) func(string) string {
		return func(url string) string {
			return fmt.Sprintf("{type: oss, endpoint: '%s', region: %s, bucket: %s, access_key_id: %s, access_key_secret: %s}",
				url, v.Region, bucket, v.AccessKeyID, v.AccessKeySecret)
		}
	}
	bucket := behind.Bucket(t)
	return storage{
		name: "oss", url: serve(t, v, behind, bucket, ahead, oss.Manners), put: into(behind, bucket), config: in(v.Bucket), elsewhere: in("nobodys-bucket"),
		account: v.AccessKeyID, secret: v.AccessKeySecret, region: v.Region,
		accountKey: "access_key_id", secretKey: "access_key_secret", bucketKey: "bucket", addressKey: "endpoint",
		emptied: func(t *testing.T) storage { return onOSS(t, behind, 0) },
	}
}

// onCOS is a front of Tencent COS, whose clock is so much ahead.
func onCOS(t *testing.T, behind *s3server.Server, ahead time.Duration) storage {
	t.Helper()
	v := cos.Vendor{Bucket: "files-1250000000", Region: "ap-nanjing", SecretID: "AKIDexample", SecretKey: "the-secret-key"}
	config := func(url string) string {
		return fmt.Sprintf("{type: cos, url: '%s', secret_id: %s, secret_key: %s}", url, v.SecretID, v.SecretKey)
	}
	bucket := behind.Bucket(t)
	return storage{
		name: "cos", url: serve(t, v, behind, bucket, ahead, nil), put: into(behind, bucket), config: config,
		elsewhere: func(url string) string { return "" }, // its bucket is its address
		account:   v.SecretID, secret: v.SecretKey,
		accountKey: "secret_id", secretKey: "secret_key", bucketKey: "url", addressKey: "url",
		emptied: func(t *testing.T) storage { return onCOS(t, behind, 0) },
	}
}

// into puts objects into a bucket of a server.
func into(s *s3server.Server, bucket string) func(*testing.T, string, string, []byte) {
	return func(t *testing.T, name, mediaType string, data []byte) {
		t.Helper()
		s.PutObject(t, bucket, name, mediaType, data)
	}
}

// serve serves a vendor's front over a bucket. Its clock is so much ahead.
func serve(t *testing.T, v front.Vendor, behind *s3server.Server, bucket string, ahead time.Duration, wrap func(http.Handler) http.Handler) (url string) {
	t.Helper()
	now := func() time.Time { return time.Now().Add(ahead) }
	f := front.New(front.Config{Vendor: v, Spool: t.TempDir(), Now: now, Upstream: front.Upstream{
		URL: behind.Endpoint, Region: behind.Region, Bucket: bucket, AccessKeyID: behind.AccessKeyID, SecretAccessKey: behind.SecretAccessKey,
	}})
	var h http.Handler = f
	if wrap != nil {
		h = wrap(f)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL
}
