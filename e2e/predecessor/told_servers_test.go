//go:build servers

package predecessor

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// Links carried bucket and object, and errors what the storage had said.
func TestA25NothingTellsOfAnObjectStore(t *testing.T) {
	minio := s3server.Start(t, s3server.MinIO())
	bucket := minio.Bucket(t)
	s := newSiteWith(t, func(cfg *daemon.Config) {
		cfg.Stores = map[string]open.Config{"far": {Type: "s3", Endpoint: minio.Endpoint, Region: minio.Region, Bucket: bucket, Prefix: "canary-prefix/",
			AccessKeyID: minio.AccessKeyID, SecretAccessKey: store.NewSecret(minio.SecretAccessKey), PathStyle: true}}
		cfg.DefaultStore = "far"
	})
	owner, stranger := s.as(t, alice), s.stranger(t)
	content := harness.Content(25, protocol.MinPartSize+1000)
	f := owner.putParts("a25.bin", content)
	get, put := owner.link(toGet(f.UID)), owner.link(toPut("a25.new"))
	getV0, putV0 := owner.downloadV0(f.UID), owner.uploadV0("a25.new")
	for _, path := range []string{"/l/" + get.Token, getV0.URL} {
		stranger.want(stranger.get(path), http.StatusOK)
		stranger.want(stranger.get(path, "Range", "bytes=1-2"), http.StatusPartialContent)
	}
	tokens := []string{get.Token, put.Token, parameter(t, getV0.URL, "signature"), parameter(t, putV0.URL.Single, "signature")}
	minio.Kill()
	// GET /v1/stores is not among them: it tells an administrator what the storage
	// said, to mend it.
	for i, ans := range []harness.Answer{
		stranger.get("/l/" + get.Token), stranger.get(getV0.URL), owner.get(contentOf(f.UID)), stranger.do(http.MethodPut, "/l/"+put.Token, content),
		owner.putV0(putV0, []byte("abc")), owner.do(http.MethodPost, "/v1/files?name=a25", []byte("abc")),
	} {
		if ans.Status < http.StatusInternalServerError { // else no error of the storage was told
			t.Errorf("request %d: %d, %v", i, ans.Status, ans.Err)
		}
	}
	if ans := owner.get("/readyz"); ans.Status == 0 {
		t.Error(ans.Err)
	}
	endpoint := strings.TrimPrefix(minio.Endpoint, "http://")
	for _, told := range s.told(bucket, endpoint, "canary-prefix", minio.AccessKeyID, minio.SecretAccessKey) {
		t.Error(told)
	}
	for _, token := range tokens {
		payload, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || strings.Contains(string(payload), bucket) || strings.Contains(string(payload), "canary") {
			t.Errorf("a token holds %q, %v", payload, err)
		}
	}
	if err := minio.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}
