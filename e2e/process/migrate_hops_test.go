//go:build servers

package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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
// URLs and ETags stay, and fsck finds nothing after each hop.
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
		k.hold(d.API().MustFile(d.API().PutFile("after "+to, small), http.StatusCreated), small)
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

// held is what a file was when it was put.
type held struct {
	data []byte
	etag string
}

// keeping knows what the daemon has to hold.
type keeping struct {
	t *testing.T

	mu    sync.Mutex
	files map[protocol.UID]held // guarded by mu
}

func (k *keeping) hold(f protocol.File, data []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.files[f.UID] = held{data, f.ETag}
}

// any is one of the files.
func (k *keeping) any(random *rand.Rand) (protocol.UID, held) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := random.IntN(len(k.files))
	for uid, h := range k.files {
		if n--; n < 0 {
			return uid, h
		}
	}
	panic("there are fewer files than there are")
}

func (k *keeping) put(api *harness.API) {
	k.t.Helper()
	for i, size := range []int64{0, 1, 1000, protocol.OneShotMax} {
		data := harness.Content(uint64(i), size)
		k.hold(api.MustFile(api.PutFile(fmt.Sprint("small ", size), data), http.StatusCreated), data)
	}
	for i, size := range []int64{protocol.OneShotMax + 1, protocol.BlockSize, 5<<20 + 1, 20 << 20, 100 << 20} {
		data := harness.Content(uint64(10+i), size)
		k.hold(api.MustUpload(fmt.Sprint("large ", size), data), data)
	}
	shared := harness.Content(12, 5<<20+1)
	k.hold(api.MustUpload("the same", shared), shared)
	for i := range 50 {
		data := harness.Content(uint64(100+i), 16<<10)
		k.hold(api.MustFile(api.PutFile(fmt.Sprint("many ", i), data), http.StatusCreated), data)
	}
}

// unfinished is an upload of which a part is sent.
type unfinished struct {
	k    *keeping
	u    protocol.Upload
	data []byte
}

func (k *keeping) begin(api *harness.API) *unfinished {
	k.t.Helper()
	data := harness.Content(50, 20<<20)
	u := api.MustBegin("open", int64(len(data)))
	api.Require(api.PutPart(u.UID, 1, data[:u.PartSize]), http.StatusOK)
	return &unfinished{k, u, data}
}

func (o *unfinished) finish(api *harness.API) {
	o.k.t.Helper()
	api.MustPutParts(o.u, o.data) // the first part once more, which goes elsewhere now
	o.k.hold(api.MustFile(api.Commit(o.u.UID), http.StatusOK), o.data)
}

// read has readers compare files, whole ones and ranges, until stop, which gives
// how many they read.
func (k *keeping) read(d *harness.Daemon) (stop func() int64) {
	end := make(chan struct{})
	var n atomic.Int64
	var wg sync.WaitGroup
	for seed := range uint64(3) {
		api := d.API()
		wg.Go(func() {
			for random := rand.New(rand.NewPCG(seed, 1)); ; n.Add(1) {
				select {
				case <-end:
					return
				default:
				}
				uid, h := k.any(random)
				if err := sameAs(api, uid, h, random); err != nil {
					k.t.Errorf("%s of %d bytes: %v", uid, len(h.data), err)
					return
				}
			}
		})
	}
	return func() int64 {
		close(end)
		wg.Wait()
		return n.Load()
	}
}

// sameAs reads a file, or a range of it.
func sameAs(api *harness.API, uid protocol.UID, h held, random *rand.Rand) error {
	status, want := http.StatusOK, h.data
	var header []string
	if len(want) > 0 && random.IntN(2) == 0 {
		first := random.IntN(len(want))
		last := first + random.IntN(min(len(want)-first, 6<<20))
		status, want = http.StatusPartialContent, want[first:last+1]
		header = []string{"Range", fmt.Sprintf("bytes=%d-%d", first, last)}
	}
	ans := api.Do("GET", "/v1/files/"+uid.String()+"/content", nil, 0, header...)
	switch {
	case ans.Err != nil:
		return ans.Err
	case ans.Status != status:
		return fmt.Errorf("answered %d: %.300s", ans.Status, ans.Body)
	case ans.Header.Get("ETag") != h.etag:
		return fmt.Errorf("its ETag is %s, was %s", ans.Header.Get("ETag"), h.etag)
	case !bytes.Equal(ans.Body, want):
		return errors.New("other bytes")
	}
	return nil
}

// check reads all files.
func (k *keeping) check(api *harness.API) {
	k.t.Helper()
	if n := len(api.Files()); n != len(k.files) {
		k.t.Errorf("there are %d files, not %d", n, len(k.files))
	}
	for uid, h := range k.files {
		api.MustHold(uid, h.data)
	}
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
