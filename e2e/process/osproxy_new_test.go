//go:build postgres

package process

import (
	"encoding/json"
	"net/http"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// newInV0 are the uids that v0 gives what is new: for a link to put, and for bytes
// that are there already.
func (o *osproxy) newInV0(api *harness.API) map[string]protocol.UID {
	o.Helper()
	data := []byte("put after the import")
	api.MustFile(api.PutFile("known", data), http.StatusCreated)
	uids := map[string]protocol.UID{}
	ask := func(what, path string, body any) bool {
		var answer struct{ Data []struct{ UID string } }
		ans := api.JSON(http.MethodPost, "/api/storage/v0"+path, body)
		if err := json.Unmarshal(ans.Body, &answer); err != nil || ans.Status != http.StatusOK || len(answer.Data) != 1 {
			o.Fatalf("%s: %d %s", path, ans.Status, ans.Body)
		}
		uid, err := protocol.ParseUID(answer.Data[0].UID)
		uids[what] = uid
		return err == nil
	}
	if !ask("a link to put", "/link/upload", map[string]any{"filePath": []string{"a.bin"}, "expire": 600}) {
		o.Error("a link to put has no uid")
	}
	harness.Eventually(o.T, "the bytes are known by their MD5", func() bool {
		return ask("known bytes", "/resume", map[string]any{"data": []map[string]string{{"md5": md5Of(data), "path": "again.bin"}}})
	})
	return uids
}
