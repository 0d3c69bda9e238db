package process

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestFlippedBitIsNeverServed flips one bit of a stopped daemon's files. What
// comes back afterwards is an error or a cut connection after right bytes;
// osp exits 7 and leaves nothing; fsck names the uid.
func TestFlippedBitIsNeverServed(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	sound := harness.Content(1, 9<<20)
	soundFile := api.MustUpload("sound", sound)
	damaged := map[protocol.UID][]byte{}
	offsets := []int64{0, protocol.BlockSize - 1, protocol.BlockSize, protocol.BlockSize + 70_000, 9<<20 - 1}
	where := map[protocol.UID]int64{}
	for i, off := range offsets {
		data := harness.Content(uint64(i)+10, 9<<20)
		f := api.MustUpload("damaged", data)
		damaged[f.UID], where[f.UID] = data, off
	}
	small := []byte("one shot")
	smallFile := api.MustFile(api.PutFile("damaged", small), http.StatusCreated)
	damaged[smallFile.UID], where[smallFile.UID] = small, 3

	d.Stop()
	for uid, data := range damaged {
		flip(t, blobHolding(t, d.Data, data), where[uid])
	}
	d.Start()
	api = d.API()
	api.MustHold(soundFile.UID, sound)
	osp := harness.NewOSP(t, bin, d.URL)
	for uid, data := range damaged {
		refusesDamage(t, api, uid, data, where[uid])
		target := filepath.Join(t.TempDir(), "target")
		if exit, p := osp.Run("get", uid.String(), "-o", target); exit != exitFindings {
			t.Errorf("osp get of a damaged file left with %d:\n%s", exit, p.Stderr())
		}
		if left, err := os.ReadDir(filepath.Dir(target)); err != nil || len(left) != 0 {
			t.Errorf("osp get of a damaged file left %v %v", left, err)
		}
	}
	if exit, p := osp.Run("transfers", "list"); exit != 0 || strings.Contains(p.Stdout(), "get") {
		t.Errorf("transfers list: %d %s", exit, p.Stdout())
	}
	d.Stop()
	exit, out := harness.Fsck(t, bin, d.Data, "--read-data")
	if exit != exitFindings {
		t.Errorf("fsck left with %d", exit)
	}
	for uid := range damaged {
		if !strings.Contains(out, uid.String()) {
			t.Errorf("fsck does not name %s:\n%s", uid, out)
		}
	}
	if strings.Contains(out, soundFile.UID.String()) {
		t.Errorf("fsck names the sound file:\n%s", out)
	}
}

// refusesDamage asks for the whole file and for ranges around the bad byte.
func refusesDamage(t *testing.T, api *harness.API, uid protocol.UID, data []byte, bad int64) {
	t.Helper()
	path := "/v1/files/" + uid.String() + "/content"
	whole := api.Do("GET", path, nil, 0)
	if whole.Err == nil && whole.Status == http.StatusOK {
		t.Errorf("uid %s: a damaged file came back as a clean 200", uid)
	}
	if whole.Status == http.StatusOK && !bytes.HasPrefix(data, whole.Body) {
		t.Errorf("uid %s: wrong bytes were served before the cut", uid)
	}
	one := api.Do("GET", path, nil, 0, "Range", fmt.Sprintf("bytes=%d-%d", bad, bad))
	if one.Err == nil && one.Status < http.StatusBadRequest {
		t.Errorf("uid %s: the damaged byte was served: %d", uid, one.Status)
	}
}

func TestTruncatedAndDeletedObjectsAreNamed(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	data := map[string][]byte{"truncated": harness.Content(1, 5<<20), "deleted": harness.Content(2, 5<<20)}
	uids := map[string]protocol.UID{}
	for name, content := range data {
		uids[name] = api.MustUpload(name, content).UID
	}
	d.Stop()
	if err := os.Truncate(blobHolding(t, d.Data, data["truncated"]), 3<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(blobHolding(t, d.Data, data["deleted"])); err != nil {
		t.Fatal(err)
	}
	d.Start()
	for name, uid := range uids {
		ans := d.API().Content(uid)
		if ans.Err == nil && (ans.Status == http.StatusOK || ans.Status == http.StatusNotFound) {
			t.Errorf("%s: answered %d with %d bytes", name, ans.Status, len(ans.Body))
		}
	}
	d.Stop()
	exit, out := harness.Fsck(t, bin, d.Data)
	if exit != exitFindings || !strings.Contains(out, uids["truncated"].String()) || !strings.Contains(out, uids["deleted"].String()) {
		t.Errorf("fsck left with %d:\n%s", exit, out)
	}
}

// blobHolding is the object whose bytes begin with data.
func blobHolding(t *testing.T, folder string, data []byte) string {
	t.Helper()
	for _, path := range harness.Blobs(t, folder) {
		if held, err := os.ReadFile(path); err == nil && bytes.HasPrefix(held, data) {
			return path
		}
	}
	t.Fatal("no object holds these bytes")
	return ""
}

func flip(t *testing.T, path string, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], off); err != nil {
		t.Fatal(err)
	}
}
