package process

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestLostAnswersMakeNoSecondFile: every POST is carried out and its answer
// lost once; each put is still one File, and no upload is left open.
func TestLostAnswersMakeNoSecondFile(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	lossy := harness.NewLossy(t, d.URL)
	osp := harness.NewOSP(t, bin, lossy.URL)
	want := map[protocol.UID][]byte{}
	for i, size := range []int64{0, 5, 1 << 20, 1<<20 + 1, 9 << 20, 20 << 20} {
		data := harness.Content(uint64(i)+40, size)
		r := osp.Put(harness.WriteFile(t, "file", data))
		// net/http itself repeats a request without a body that has a key.
		if r.Retries == 0 && size > 0 {
			t.Errorf("put of %d bytes reports no retry", size)
		}
		want[r.UID] = data
	}
	if lossy.Lost() < len(want)+3 {
		t.Errorf("only %d answers were lost", lossy.Lost())
	}
	files := api.Files()
	if len(files) != 6 || len(want) != 6 {
		t.Errorf("6 puts printed %d uids and made %d files", len(want), len(files))
	}
	for _, f := range files {
		api.MustHold(f.UID, want[f.UID])
	}
	var open protocol.UploadList
	decodeInto(t, api, api.JSON("GET", "/v1/uploads", nil), http.StatusOK, &open)
	if len(open.Uploads) != 0 {
		t.Errorf("left open: %+v", open.Uploads)
	}
	stopClean(t, d)
}

// decodeInto reads an answer of the given status.
func decodeInto(t *testing.T, api *harness.API, ans harness.Answer, status int, v any) {
	t.Helper()
	api.Require(ans, status)
	if err := json.Unmarshal(ans.Body, v); err != nil {
		t.Fatalf("%s: %v", ans.Body, err)
	}
}

// TestDeadDaemonLeavesStateSaved: a daemon that dies and stays away is exit 5,
// and the same command later goes on where it stopped.
func TestDeadDaemonLeavesStateSaved(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	data := harness.Content(7, killSize)
	path := harness.WriteFile(t, "file", data)
	gate := harness.NewGate(t, d.URL, harness.Up, killSize/2)
	osp := harness.NewOSP(t, bin, gate.URL)
	p := osp.Start("put", path, "--retries", "0")
	select {
	case <-gate.Reached():
	case <-p.Done():
		t.Fatalf("osp ended early:\n%s", p.Stderr())
	}
	d.Kill()
	gate.Close()
	if exit := p.Wait(); exit != 5 {
		t.Errorf("exit %d, want 5:\n%s", exit, p.Stderr())
	}
	if !bytes.Contains([]byte(p.Stderr()), []byte("osp resume")) {
		t.Errorf("the message does not say how to go on:\n%s", p.Stderr())
	}
	d.Start()
	osp.Server = d.URL
	r := osp.Put(path)
	if r.Outcome != "resumed" || r.ResumedBytes == 0 || r.SentBytes+r.ResumedBytes != killSize {
		t.Errorf("%+v", r)
	}
	d.API().MustHold(r.UID, data)
	if entries, err := os.ReadDir(osp.Dir); err != nil || len(entries) != 0 {
		t.Errorf("osp wrote into its working folder: %v %v", entries, err)
	}
	stopClean(t, d)
}
