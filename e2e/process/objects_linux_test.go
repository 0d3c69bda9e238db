//go:build servers

package process

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
)

const (
	mib = 1 << 20
	// wholeSize is the size of the largest file here.
	wholeSize = 200*mib + 1
)

// TestFilesOnObjectStores: what users do, on S3 servers that are not ours: puts
// of all sizes, gets, ranges, an instant put, kills of osp and of the daemon in
// the middle, deletions; the memory stays flat and fsck finds nothing.
func TestFilesOnObjectStores(t *testing.T) {
	for _, kind := range s3server.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			s := s3server.Start(t, kind)
			config := objectStore(t, s)
			d := harness.StartDaemon(t, bin, t.TempDir(), "--config", config)
			dir := t.TempDir()
			for i, size := range []int64{0, 1, 16 << 10, mib, mib + 1, 20*mib + 7} {
				comesBack(t, d, filepath.Join(dir, fmt.Sprint(i)), uint64(i), size)
			}
			large := filepath.Join(dir, "large")
			sum := harness.WriteContent(t, large, 77, wholeSize)
			put := bothDie(t, d, harness.Up, wholeSize, "put", large)
			target := filepath.Join(t.TempDir(), "target")
			get := bothDie(t, d, harness.Down, wholeSize, "get", put.UID.String(), "-o", target)
			if harness.SumFile(t, target) != sum || put.ResumedBytes == 0 || get.ResumedBytes == 0 {
				t.Errorf("it came back as another, or nothing was resumed: put %+v, get %+v", put, get)
			}
			again := harness.NewOSP(t, bin, d.URL).Put(large)
			if again.Outcome != "instant" || again.SentBytes != 0 {
				t.Errorf("the same file again: %+v", again)
			}
			plain := filepath.Join(t.TempDir(), "plain")
			harness.NewOSP(t, bin, d.URL).Get(put.UID, plain)
			if harness.SumFile(t, plain) != sum {
				t.Error("the large file came back as another")
			}
			ranges(t, d, put.UID.String(), harness.Content(77, wholeSize))
			peak := harness.PeakMemory(t, d.PID())
			t.Logf("peak: %.1f MB", float64(peak)/1e6)
			if peak > mostMemory {
				t.Errorf("the daemon had %d bytes resident, the target is %d", peak, mostMemory)
			}
			if ans := d.API().Do(http.MethodDelete, "/v1/files/"+put.UID.String(), nil, 0); ans.Status != http.StatusNoContent {
				t.Errorf("the deletion is answered %d", ans.Status)
			}
			if exit := d.Stop(); exit != 0 {
				t.Fatalf("ospd ended with %d:\n%s", exit, d.Stderr())
			}
			if strings.Contains(d.Stderr()+d.Stdout(), s.SecretAccessKey) {
				t.Error("the daemon said the secret key")
			}
			if exit, out := harness.Fsck(t, bin, d.Data, "--config", config, "--read-data"); exit != 0 {
				t.Errorf("fsck ended with %d:\n%s", exit, out)
			}
		})
	}
}

// objectStore is a configuration with one store, in a bucket of s.
func objectStore(t *testing.T, s *s3server.Server) string {
	t.Helper()
	return harness.WriteFile(t, "ospd.yaml", []byte(objectStoreText(t, s)))
}

// objectStoreText is the configuration by which new blobs go to the server.
func objectStoreText(t *testing.T, s *s3server.Server) string {
	t.Helper()
	return fmt.Sprintf("default_store: objects\nstores:\n  objects: {type: s3, endpoint: %q, region: %s, bucket: %s, prefix: ospd, "+
		"access_key_id: %s, secret_access_key: %s, path_style: true}\n",
		s.Endpoint, s.Region, s.Bucket(t), s.AccessKeyID, s.SecretAccessKey)
}

// comesBack puts a file and gets it.
func comesBack(t *testing.T, d *harness.Daemon, path string, seed uint64, size int64) {
	t.Helper()
	sum := harness.WriteContent(t, path, seed, size)
	osp := harness.NewOSP(t, bin, d.URL)
	r := osp.Put(path)
	osp.Get(r.UID, path+".back")
	if harness.SumFile(t, path+".back") != sum {
		t.Errorf("%d bytes came back as others", size)
	}
}

// ranges asks for some by hand.
func ranges(t *testing.T, d *harness.Daemon, uid string, want []byte) {
	t.Helper()
	for _, r := range [][2]int{{0, 0}, {4*mib - 1, 4 * mib}, {100 * mib, 121*mib + 5}, {len(want) - 1, len(want) - 1}} {
		ans := d.API().Do(http.MethodGet, "/v1/files/"+uid+"/content", nil, 0, "Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]))
		if ans.Status != http.StatusPartialContent || ans.Err != nil || !bytes.Equal(ans.Body, want[r[0]:r[1]+1]) {
			t.Errorf("bytes %d to %d: %d, %d bytes, %v", r[0], r[1], ans.Status, len(ans.Body), ans.Err)
		}
	}
}

// TestObjectStoreThatIsAway: while the storage does not answer, what needs it
// fails as something that passes, /readyz names the store, and nothing is taken
// for damage; when it is back all goes on.
func TestObjectStoreThatIsAway(t *testing.T) {
	s := s3server.Start(t, s3server.MinIO())
	config := objectStore(t, s)
	d := harness.StartDaemon(t, bin, t.TempDir(), "--config", config)
	data := harness.Content(5, 9*mib)
	f := d.API().MustUpload("before", data)
	u := d.API().MustBegin("during", 9*mib)
	s.Kill()
	if ans := d.API().PutPart(u.UID, 1, data[:u.PartSize]); ans.Err == nil && (ans.Status != http.StatusServiceUnavailable || ans.Header.Get("Retry-After") == "") {
		t.Errorf("a part is answered %d, %s", ans.Status, ans.Body)
	}
	if ans := d.API().PutFile("small", data[:1000]); ans.Status != http.StatusServiceUnavailable || ans.Header.Get("Retry-After") == "" {
		t.Errorf("a small file is answered %d, %s", ans.Status, ans.Body)
	}
	if ans := d.API().Content(f.UID); ans.Err == nil && ans.Status != http.StatusServiceUnavailable {
		t.Errorf("a get is answered %d", ans.Status)
	}
	if ans := d.API().Do(http.MethodGet, "/readyz", nil, 0); ans.Status != http.StatusServiceUnavailable || !bytes.Contains(ans.Body, []byte("store objects is not usable")) {
		t.Errorf("readyz is %d, %s", ans.Status, ans.Body)
	}
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the daemon is ready again", func() bool {
		return d.API().Do(http.MethodGet, "/readyz", nil, 0).Status == http.StatusOK
	})
	d.API().MustHold(f.UID, data)
	d.API().MustPutParts(u, data)
	d.API().MustHold(d.API().MustFile(d.API().Commit(u.UID), http.StatusOK).UID, data)
	if exit := d.Stop(); exit != 0 {
		t.Fatalf("ospd ended with %d:\n%s", exit, d.Stderr())
	}
	if exit, out := harness.Fsck(t, bin, d.Data, "--config", config, "--read-data"); exit != 0 {
		t.Errorf("fsck ended with %d:\n%s", exit, out)
	}
}
