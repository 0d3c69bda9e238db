//go:build servers

package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestLinksThroughAMigration: a link gives the same bytes before, while and after
// what it is for moves to another store, and one that puts goes on with what it
// began.
func TestLinksThroughAMigration(t *testing.T) {
	args := twoStores(t)
	d := harness.StartDaemon(t, bin, t.TempDir(), args...)
	api := d.API()
	content, sent := harness.Content(1, 30<<20), harness.Content(2, protocol.MinPartSize+1000)
	f := api.MustUpload("read", content)
	links := signed(t, api, fmt.Sprintf(`{"links": [{"action": "get", "uid": "%s"}, {"action": "put", "name": "sent"}]}`, f.UID))
	get, put := links[0], links[1]
	with := []string{"Authorization", protocol.SchemeLink + " " + put.Token}
	part := func(n int, data []byte) {
		t.Helper()
		path := fmt.Sprintf("/v1/uploads/%s/parts/%d", put.UID, n)
		api.Require(api.Do(http.MethodPut, path, bytes.NewReader(data), int64(len(data)), with...), http.StatusOK)
	}
	api.Require(api.JSON(http.MethodPost, "/v1/uploads", map[string]any{"name": "sent", "size": len(sent)}, with...), http.StatusCreated)
	part(1, sent[:protocol.MinPartSize])

	// A reader that is in the middle of it all the while.
	slow, err := http.Get(d.URL + "/l/" + get.Token)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Body.Close()
	first := make([]byte, 1000)
	if _, err := io.ReadFull(slow.Body, first); err != nil {
		t.Fatal(err)
	}
	w := &workload{t: t}
	ans := api.JSON(http.MethodPost, "/v1/jobs", map[string]any{"kind": protocol.JobMigrate, "args": map[string]any{"from": "disk", "to": "other"}})
	api.Require(ans, http.StatusCreated)
	reads := func(when string) {
		t.Helper()
		ans := api.Do(http.MethodGet, "/l/"+get.Token, nil, 0)
		if ans.Status != http.StatusOK || ans.Err != nil || !bytes.Equal(ans.Body, content) {
			t.Errorf("%s: %d, %d bytes, %v", when, ans.Status, len(ans.Body), ans.Err)
		}
	}
	reads("while it moves")
	part(2, sent[protocol.MinPartSize:])
	api.Require(api.JSON(http.MethodPost, "/v1/uploads/"+put.UID.String()+"/commit", nil, with...), http.StatusOK)
	w.migrate(api)
	reads("after it moved")
	if got, err := io.ReadAll(slow.Body); err != nil || !bytes.Equal(append(first, got...), content) {
		t.Errorf("the slow reader has %d bytes, %v", len(got)+len(first), err)
	}
	api.MustHold(put.UID, sent)
	if got := blobsIn(t, api, "other"); got != 2 {
		t.Errorf("%d blobs moved", got)
	}
	later := signed(t, api, fmt.Sprintf(`{"links": [{"action": "get", "uid": "%s"}]}`, put.UID))[0]
	if ans := api.Do(http.MethodGet, "/l/"+later.Token, nil, 0); !bytes.Equal(ans.Body, sent) {
		t.Errorf("what the link put: %d, %d bytes, %v", ans.Status, len(ans.Body), ans.Err)
	}
	api.Require(api.Do(http.MethodPut, "/l/"+put.Token, bytes.NewReader(sent), int64(len(sent))), http.StatusConflict)
	if exit := d.Stop(); exit != 0 {
		t.Errorf("the daemon left with %d: %s", exit, d.Stderr())
	}
	if exit, out := harness.Fsck(t, bin, d.Data, args...); exit != 0 {
		t.Errorf("fsck left with %d: %s", exit, out)
	}
}

func signed(t *testing.T, api *harness.API, body string) []protocol.Link {
	t.Helper()
	ans := api.Do(http.MethodPost, "/v1/links", bytes.NewReader([]byte(body)), int64(len(body)), "Content-Type", "application/json")
	api.Require(ans, http.StatusOK)
	var list protocol.LinkList
	if err := json.Unmarshal(ans.Body, &list); err != nil {
		t.Fatal(err)
	}
	return list.Links
}

// blobsIn is how many blobs in use a store has.
func blobsIn(t *testing.T, api *harness.API, name string) int64 {
	t.Helper()
	ans := api.JSON(http.MethodGet, "/v1/stores", nil)
	api.Require(ans, http.StatusOK)
	var list protocol.StoreList
	if err := json.Unmarshal(ans.Body, &list); err != nil {
		t.Fatal(err)
	}
	for _, s := range list.Stores {
		if s.Name == name && s.Blobs != nil {
			return *s.Blobs
		}
	}
	t.Fatalf("nothing is said of %s: %s", name, ans.Body)
	return 0
}
