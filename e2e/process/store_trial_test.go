//go:build servers

package process

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/front"
	"github.com/osproxy/osproxy/e2e/front/oss"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// account is an account that the tests have at a front.
var account = oss.Vendor{Bucket: "files", Region: "cn-hangzhou", AccessKeyID: "LTAIexample", AccessKeySecret: "the-secret-key"}

// atOSS is a store in a bucket of OSS, as far as that can be had offline.
func atOSS(t *testing.T) open.Config {
	t.Helper()
	s := s3server.Start(t, s3server.MinIO())
	up := front.Upstream{URL: s.Endpoint, Region: s.Region, Bucket: s.Bucket(t), AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}
	f := front.New(front.Config{Vendor: account, Upstream: up, Spool: t.TempDir()})
	srv := httptest.NewServer(oss.Manners(f))
	t.Cleanup(func() {
		srv.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return open.Config{Type: "oss", Endpoint: srv.URL, Region: account.Region, Bucket: account.Bucket, Prefix: "team/a",
		AccessKeyID: account.AccessKeyID, AccessKeySecret: store.NewSecret(account.AccessKeySecret)}
}

// allInBucket are the names of all objects there, and of what is being put.
func allInBucket(t *testing.T, c open.Config) (names []string) {
	t.Helper()
	c.Prefix = ""
	b, err := open.Backend(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for found, err := range b.(store.Browser).Browse(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found.Name)
	}
	for u, err := range b.(store.Composer).Unfinished(t.Context()) {
		names = append(names, fmt.Sprint("unfinished: ", u.Key, err))
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	return names
}

// TestStoreTestOnABucket: what is in it stays, and nothing else.
func TestStoreTestOnABucket(t *testing.T) {
	c := atOSS(t)
	b, err := open.Backend(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetMark(t.Context(), "an installation"); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), store.NewKey("00000001"), strings.NewReader("kept"), 4); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	before := allInBucket(t, c)
	if len(before) != 2 {
		t.Fatalf("in the bucket: %q", before)
	}
	file := filepath.Join(t.TempDir(), "ospd.yaml")
	config := fmt.Sprintf("stores:\n  ali: {type: oss, endpoint: %q, region: %s, bucket: %s, prefix: %s, access_key_id: %s, access_key_secret: %q}\n",
		c.Endpoint, c.Region, c.Bucket, c.Prefix, c.AccessKeyID, c.AccessKeySecret.Reveal())
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	try := func(env ...string) (exit int, stdout, stderr string) {
		p := harness.Start(t, env, t.TempDir(), bin.OSPD, "store", "test", "ali", "--config", file, "--data", t.TempDir())
		exit = p.Wait()
		return exit, p.Stdout(), p.Stderr()
	}
	exit, stdout, stderr := try()
	if exit != 0 || strings.Contains(stdout, "FAIL") || !strings.Contains(stdout, "\nok    compose small pieces between large ones (") ||
		!strings.Contains(stdout, " 0 failed, ") || !strings.Contains(stdout, "Nothing was left behind.") {
		t.Errorf("exit %d: %s%s", exit, stdout, stderr)
	}
	if after := allInBucket(t, c); !slices.Equal(after, before) {
		t.Errorf("in the bucket are %q, and were %q", after, before)
	}
	exit, stdout, stderr = try("OSPD_STORES__ALI__ACCESS_KEY_SECRET=another")
	if exit != exitStore || stdout != "" || !strings.Contains(stderr, "ospd: access is denied: check the key and its secret") || strings.Contains(stderr, "another") {
		t.Errorf("with a wrong secret: exit %d: %s%s", exit, stdout, stderr)
	}
	if after := allInBucket(t, c); !slices.Equal(after, before) {
		t.Errorf("in the bucket are %q, and were %q", after, before)
	}
}
