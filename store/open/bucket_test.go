package open_test

import (
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// TestBucketOf: addresses and credentials may change, the bucket and the prefix are
// what a store is.
func TestBucketOf(t *testing.T) {
	secret := store.NewSecret("very secret")
	for want, all := range map[string][]open.Config{
		"files": {
			{Type: "s3", Endpoint: "http://one:9000", Region: "us-east-1", Bucket: "files", AccessKeyID: "a", SecretAccessKey: secret, PathStyle: true},
			{Type: "s3", Endpoint: "https://other", Region: "eu", Bucket: "files", AccessKeyID: "b", Prefix: "/"},
			{Type: "oss", Endpoint: "https://oss-cn-hangzhou.aliyuncs.com", Bucket: "files"},
			{Type: "oss", Endpoint: "https://oss-cn-hangzhou-internal.aliyuncs.com", Bucket: "files"},
		},
		"files/a/b": {{Type: "s3", Endpoint: "http://one:9000", Bucket: "files", Prefix: "a/b/"}},
		"files-125": {
			{Type: "cos", URL: "https://files-125.cos.ap-nanjing.myqcloud.com", SecretID: "a", SecretKey: secret},
			{Type: "cos", URL: "http://FILES-125.cos-internal.ap-nanjing.tencentcos.cn/"},
		},
		"files-125/a": {{Type: "cos", URL: "https://files-125.cos.ap-nanjing.myqcloud.com", Prefix: "a"}},
		"":            {{Type: "local", Path: "/a"}, {Type: "local", Path: "/b"}},
	} {
		for _, c := range all {
			if got := c.BucketOf(); got != want {
				t.Errorf("%s: %q, not %q", c.Place(), got, want)
			}
		}
	}
}
