package process

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// sizes are 0, 1, 2 and everything within two bytes of a multiple of the block
// and part sizes and of the largest one-shot body.
func sizes() []int64 {
	all := []int64{0, 1, 2}
	edges := []int64{protocol.OneShotMax}
	for k := int64(1); k <= 4; k++ {
		edges = append(edges, k*protocol.BlockSize)
	}
	edges = append(edges, 3*protocol.MinPartSize)
	for _, edge := range edges {
		for d := int64(-2); d <= 2; d++ {
			all = append(all, edge+d)
		}
	}
	return all
}

func TestEverySizeThroughTheAPI(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	for _, size := range sizes() {
		data := harness.Content(uint64(size), size)
		digest, _, err := protocol.HashContent(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		ways := map[string]protocol.File{"parts": api.MustUpload("parts", data)}
		if size <= protocol.OneShotMax {
			ways["one shot"] = api.MustFile(api.PutFile("one-shot", data), http.StatusCreated)
		} else if ans := api.PutFile("one-shot", data); ans.Err == nil && ans.Code() != protocol.KindTooLarge {
			t.Errorf("one shot of %d bytes: %d %s", size, ans.Status, ans.Body)
		}
		for way, f := range ways {
			if f.Size != size || f.Digest == nil || *f.Digest != digest || f.ETag != `"`+digest.String()+`"` {
				t.Errorf("%s of %d bytes: %+v, want digest %s", way, size, f, digest)
			}
			api.MustHold(f.UID, data)
		}
	}
	stopClean(t, d)
}

func TestUnknownSizeIsGivenAtCommit(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	for _, size := range []int64{0, 1, 16<<20 - 1, 16 << 20, 16<<20 + 1, 33 << 20} {
		data := harness.Content(uint64(size)+1, size)
		var u protocol.Upload
		ans := api.JSON("POST", "/v1/uploads", map[string]any{"name": "stream"})
		decodeInto(t, api, ans, http.StatusCreated, &u)
		if u.Size != nil || u.PartSize != protocol.MinPartSizeUnknown {
			t.Fatalf("begun without a size: %+v", u)
		}
		api.MustPutParts(u, data)
		path := "/v1/uploads/" + u.UID.String() + "/commit"
		if ans := api.JSON("POST", path, nil); ans.Code() != protocol.KindSizeRequired {
			t.Errorf("commit without a size: %d %s", ans.Status, ans.Body)
		}
		f := api.MustFile(api.JSON("POST", path, map[string]any{"size": size}), http.StatusOK)
		api.MustHold(f.UID, data)
	}
	stopClean(t, d)
}

func TestSizesThroughOSP(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	osp := harness.NewOSP(t, bin, d.URL)
	for _, size := range []int64{
		0, 1, protocol.OneShotMax, protocol.OneShotMax + 1, protocol.BlockSize,
		protocol.MinPartSize - 1, protocol.MinPartSize, protocol.MinPartSize + 1, 5*protocol.MinPartSize + 7,
	} {
		data := harness.Content(uint64(size)+2, size)
		put := osp.Put(harness.WriteFile(t, fmt.Sprintf("file-%d", size), data))
		if put.Outcome != "uploaded" || put.SentBytes != size || put.Size != size || !put.Verified {
			t.Errorf("put of %d bytes: %+v", size, put)
		}
		target := filepath.Join(t.TempDir(), "back")
		get := osp.Get(put.UID, target)
		if get.Outcome != "downloaded" || get.Size != size || !get.Verified {
			t.Errorf("get of %d bytes: %+v", size, get)
		}
		if back, err := os.ReadFile(target); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%d bytes did not come back as they were put: %v", size, err)
		}
		onlyFile(t, target)
	}
	stopClean(t, d)
}

// stopClean ends a daemon that has nothing left to do, and checks every byte
// it keeps.
func stopClean(t *testing.T, d *harness.Daemon) {
	t.Helper()
	if exit := d.Stop(); exit != 0 {
		t.Errorf("ospd left with %d:\n%s", exit, d.Stderr())
	}
	fsckClean(t, d.Data)
}

func fsckClean(t *testing.T, data string, args ...string) {
	t.Helper()
	if exit, out := harness.Fsck(t, bin, data, append([]string{"--read-data"}, args...)...); exit != 0 {
		t.Errorf("fsck left with %d:\n%s", exit, out)
	}
}

// onlyFile checks that nothing but path lies in its folder.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("beside %s lies something else: %v", path, entries)
	}
}
