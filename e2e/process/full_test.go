//go:build servers

package process

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestFullDisk fills the disk under a running daemon. Everything it answered
// stays readable, everything it could not keep is 507 and is not there, and
// once there is room it goes on without a restart.
func TestFullDisk(t *testing.T) {
	disk := harness.SmallDisk(t, "64m")
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 24<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d := harness.StartDaemon(t, bin, filepath.Join(disk, "data"))
	api := d.API()
	acked := map[protocol.UID][]byte{}

	data := harness.Content(1, 3*protocol.MinPartSize)
	u := api.MustBegin("large", int64(len(data)))
	api.Require(api.PutPart(u.UID, 1, data[:u.PartSize]), http.StatusOK)
	fillDisk(t, api, acked)
	part := func(n protocol.PartNumber) harness.Answer {
		off := int64(n-1) * u.PartSize
		return api.PutPart(u.UID, n, data[off:off+u.PartSize])
	}
	for n := protocol.PartNumber(2); n <= 3; n++ {
		if ans := part(n); ans.Code() != protocol.KindStoreFull {
			t.Errorf("part %d on a full disk: %d %s %v", n, ans.Status, ans.Body, ans.Err)
		}
	}
	if ans := api.Commit(u.UID); ans.Err == nil && ans.Status == http.StatusOK {
		t.Error("a commit without its parts was answered 200")
	}
	osp := harness.NewOSP(t, bin, d.URL)
	if exit, p := osp.Run("put", harness.WriteFile(t, "file", data)); exit != 11 {
		t.Errorf("osp put on a full disk left with %d:\n%s", exit, p.Stderr())
	}
	for uid, want := range acked {
		api.MustHold(uid, want)
	}
	if n := len(api.Files()); n != len(acked) {
		t.Errorf("%d files were answered and %d are listed", len(acked), n)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for n := protocol.PartNumber(2); n <= 3; n++ {
		api.Require(part(n), http.StatusOK)
	}
	api.MustFile(api.Commit(u.UID), http.StatusOK)
	acked[u.UID] = data
	for uid, want := range acked {
		api.MustHold(uid, want)
	}
	stopClean(t, d)
}

// fillDisk puts files until the daemon says 507, and then smaller ones until
// not even those go in.
func fillDisk(t *testing.T, api *harness.API, acked map[protocol.UID][]byte) {
	t.Helper()
	seed := uint64(100)
	for _, size := range []int64{protocol.OneShotMax, 64 << 10, 4 << 10} {
		refused := 0
		for refused < 3 {
			seed++
			data := harness.Content(seed, size)
			ans := api.PutFile("filler", data)
			switch {
			case ans.Err == nil && ans.Status == http.StatusCreated:
				acked[api.MustFile(ans, http.StatusCreated).UID] = data
				refused = 0
			case ans.Code() == protocol.KindStoreFull && ans.Status == http.StatusInsufficientStorage:
				refused++
			default:
				t.Fatalf("put of %d bytes on a filling disk: %d %s %v", size, ans.Status, ans.Body, ans.Err)
			}
		}
	}
	if len(acked) == 0 {
		t.Fatal("the disk was full from the beginning")
	}
}
