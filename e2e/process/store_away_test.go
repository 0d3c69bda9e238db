//go:build servers

package process

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/faultproxy"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/protocol"
)

// mustWait expects that a request is told to come again, since the store is away.
func mustWait(t *testing.T, what string, ans harness.Answer) {
	t.Helper()
	after, err := strconv.Atoi(ans.Header.Get("Retry-After"))
	if ans.Status != http.StatusServiceUnavailable || ans.Code() != protocol.KindStoreUnavailable || err != nil || after < 1 {
		t.Errorf("%s: %d %s, Retry-After %q, %v: %s", what, ans.Status, ans.Code(), ans.Header.Get("Retry-After"), ans.Err, ans.Body)
	}
}

// TestKnownContentOfAStoreThatIsAway: blocks that passed lately are not served from
// memory of that when their store is away, and a claim of them proves nothing: both
// are told so before anything is sent, and succeed when it is back.
func TestKnownContentOfAStoreThatIsAway(t *testing.T) {
	b := newBehind(t, onS3(t, s3server.Start(t, s3server.MinIO())))
	path, data := b.file(5000, threeParts)
	uid := b.osp.Put(path).UID
	b.composed()
	api := b.daemon.API()
	api.MustHold(uid, data) // each block is known to be good
	fp, err := protocol.FingerprintReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var up protocol.Upload
	answered(t, api, api.JSON("POST", "/v1/uploads", map[string]any{"name": "again", "size": len(data), "fingerprint": fp}), http.StatusCreated, &up)
	if !up.Maybe {
		t.Fatal("the daemon does not say that it may have the content")
	}
	b.proxy.Cut()
	mustWait(t, "a read", api.Content(uid))
	mustWait(t, "a read of a range", api.Do("GET", "/v1/files/"+uid.String()+"/content", nil, 0, "Range", "bytes=5000000-5000010"))
	if ans := claim(t, api, up, data); ans.Code() != protocol.KindClaimRefused {
		t.Errorf("a claim: %d %s", ans.Status, ans.Body)
	}
	mustWait(t, "a part, sent instead", api.PutPart(up.UID, 1, data[:up.PartSize]))
	b.proxy.Clear()
	api.Require(claim(t, api, up, data), http.StatusOK)
	api.MustHold(up.UID, data)
	api.MustHold(uid, data)
	b.clean()
}

// claim makes both rounds of a claim.
func claim(t *testing.T, api *harness.API, up protocol.Upload, data []byte) harness.Answer {
	t.Helper()
	var sums []byte
	for block := range slices.Chunk(data, protocol.BlockSize) {
		sum := sha256.Sum256(block)
		sums = append(sums, sum[:]...)
	}
	digest, err := protocol.DigestOfSums(sums)
	if err != nil {
		t.Fatal(err)
	}
	var c protocol.Challenge
	path := "/v1/uploads/" + up.UID.String() + "/claim"
	answered(t, api, api.JSON("POST", path, map[string]any{"digest": digest}), http.StatusOK, &c)
	nonce, err := protocol.ParseNonce(c.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := protocol.Proof(nonce, up.UID, int64(len(data)), digest, c.Ranges, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return api.JSON("POST", path, map[string]any{"nonce": c.Nonce, "proof": fmt.Sprintf("%x", proof)})
}

// answered reads an answer that has to be of the status.
func answered(t *testing.T, api *harness.API, ans harness.Answer, status int, v any) {
	t.Helper()
	api.Require(ans, status)
	if err := json.Unmarshal(ans.Body, v); err != nil {
		t.Fatal(err)
	}
}

// TestStoreThatComesLater: a daemon starts while one of its stores is away, also
// the one for new files, serves what lies elsewhere, and works with it when it
// comes; one that turns out to be another installation's is not touched.
func TestStoreThatComesLater(t *testing.T) {
	s := onS3(t, s3server.Start(t, s3server.MinIO()))
	b := newBehind(t, s)
	path, data := b.file(6000, threeParts)
	uid := b.osp.Put(path).UID
	b.composed()
	b.proxy.Cut()
	b.daemon.Kill()
	b.daemon.Start()
	api := b.daemon.API()
	ready := api.JSON("GET", "/readyz", nil)
	if ready.Status != http.StatusServiceUnavailable || !strings.Contains(string(ready.Body), "store remote is not usable") {
		t.Errorf("/readyz: %d %s", ready.Status, ready.Body)
	}
	if ans := api.JSON("GET", "/v1/stores", nil); ans.Status != http.StatusOK || !strings.Contains(string(ans.Body), `"reachable":false`) {
		t.Errorf("the stores: %d %s", ans.Status, ans.Body)
	}
	mustWait(t, "a read", api.Content(uid))
	mustWait(t, "a put", api.PutFile("a", data[:1000]))
	b.proxy.Clear()
	harness.Eventually(t, "the store is used", func() bool { return api.JSON("GET", "/readyz", nil).Status == http.StatusOK })
	api.MustHold(uid, data)
	api.MustFile(api.PutFile("a", data[:1000]), http.StatusCreated)

	other := newOthers(t, s)
	harness.Eventually(t, "it is seen whose the store is", func() bool {
		return strings.Contains(string(other.API().JSON("GET", "/readyz", nil).Body), "another installation")
	})
	mustWait(t, "a put into another installation's store", other.API().PutFile("a", data[:1000]))
	if exit := other.Stop(); exit != 0 {
		t.Errorf("it left with %d", exit)
	}
	b.clean()
}

// newOthers is another installation on the storage, which was away at its start
// and is there now.
func newOthers(t *testing.T, s storage) *harness.Daemon {
	t.Helper()
	proxy := faultproxy.New(t, s.url)
	proxy.Cut()
	path := filepath.Join(t.TempDir(), "ospd.yaml")
	if err := os.WriteFile(path, []byte("stores:\n  remote: "+s.config(proxy.URL)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := harness.StartDaemon(t, bin, t.TempDir(), "--config", path)
	proxy.Clear()
	return d
}
