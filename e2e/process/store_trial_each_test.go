//go:build servers

package process

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/store/open"
)

// TestStoreTestOnEachStorage: ospd store test finds that it does all that ospd
// needs, and what is in the bucket stays, and nothing else. Of OSS
// TestStoreTestOnABucket says so.
func TestStoreTestOnEachStorage(t *testing.T) {
	minio := s3server.Start(t, s3server.MinIO())
	for _, s := range []storage{onS3(t, minio), onS3(t, s3server.Start(t, s3server.Versitygw())), onCOS(t, minio, 0)} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			s.put(t, "others/photo.jpg", "image/jpeg", harness.Content(1, 1000))
			file, c := configured(t, s.config(s.url))
			before := allInBucket(t, c)
			if len(before) != 1 {
				t.Fatalf("in the bucket: %q", before)
			}
			exit, stdout, stderr := storeTest(t, file)
			cases := strings.Count(stdout, "\nok    ")
			if exit != 0 || stderr != "" || strings.Contains(stdout, "FAIL") || cases < 20 || !strings.Contains(stdout, "\nok    compose small pieces between large ones (") ||
				!strings.Contains(stdout, " 0 failed, ") || !strings.Contains(stdout, "Nothing was left behind.") {
				t.Errorf("exit %d, %d cases: %s%s", exit, cases, stdout, stderr)
			}
			exit, stdout, stderr = storeTest(t, file, "OSPD_STORES__REMOTE__"+strings.ToUpper(s.secretKey)+"=not-the-secret")
			if exit != exitStore || stdout != "" || !strings.Contains(stderr, "ospd: access is denied: check the key and its secret") || strings.Contains(stderr, "not-the-secret") {
				t.Errorf("with a wrong secret: exit %d: %s%s", exit, stdout, stderr)
			}
			if elsewhere := s.elsewhere(s.url); elsewhere != "" {
				file, _ := configured(t, elsewhere)
				exit, stdout, stderr := storeTest(t, file)
				if exit != exitStore || stdout != "" || !strings.Contains(stderr, "ospd: there is no such bucket: check its name") || strings.Contains(stderr, s.secret) {
					t.Errorf("without the bucket: exit %d: %s%s", exit, stdout, stderr)
				}
			}
			if after := allInBucket(t, c); !slices.Equal(after, before) {
				t.Errorf("in the bucket are %q, and were %q", after, before)
			}
		})
	}
}

// configured is a configuration with a store, remote, and how ospd reads it.
func configured(t *testing.T, text string) (file string, c open.Config) {
	t.Helper()
	file = harness.WriteFile(t, "ospd.yaml", []byte("stores:\n  remote: "+text+"\n"))
	cfg, err := daemon.LoadConfig(file, nil, map[string]any{"data": filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	return file, cfg.Stores["remote"]
}

// storeTest runs ospd store test on the store remote.
func storeTest(t *testing.T, file string, env ...string) (exit int, stdout, stderr string) {
	t.Helper()
	p := harness.Start(t, env, t.TempDir(), bin.OSPD, "store", "test", "remote", "--config", file, "--data", t.TempDir())
	exit = p.Wait()
	return exit, p.Stdout(), p.Stderr()
}
