//go:build postgres || servers

package process

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// inV0 expects that clients of osproxy's get the files as they did from it, and are
// told what they are and who has them.
func (o *osproxy) inV0(api *harness.API) {
	o.Helper()
	for uid, data := range o.want {
		var f protocol.File
		if err := json.Unmarshal(api.Do(http.MethodGet, "/v1/files/"+uid.String(), nil, 0).Body, &f); err != nil {
			o.Fatal(err)
		}
		var answer struct {
			Data []struct {
				UID, URL string
				Meta     struct{ Size, SrcName, MD5 string }
			}
		}
		ans := api.JSON(http.MethodPost, "/api/storage/v0/link/download", map[string]any{"uid": []string{uid.String(), "12345"}, "expire": 600})
		if err := json.Unmarshal(ans.Body, &answer); err != nil || len(answer.Data) != 1 || answer.Data[0].UID != uid.String() {
			o.Errorf("link/download of %s: %d %s", uid, ans.Status, ans.Body)
			continue
		}
		m, get := answer.Data[0].Meta, answer.Data[0].URL
		if m.Size != strconv.Itoa(len(data)) || m.SrcName != f.Name || m.MD5 != md5Of(data) && (m.MD5 != "" || f.MD5 != nil) {
			o.Errorf("link/download of %s: %+v", f.Name, m)
		}
		if ans := api.Do(http.MethodGet, get+"&online=0", nil, 0); ans.Status != http.StatusOK || !bytes.Equal(ans.Body, data) {
			o.Errorf("%s: %d, %d bytes", m.SrcName, ans.Status, len(ans.Body))
		}
		if ans := api.Do(http.MethodGet, get, nil, 0, "Range", "bytes=10-19"); len(data) >= 20 && (ans.Status != http.StatusPartialContent || !bytes.Equal(ans.Body, data[10:20])) {
			o.Errorf("%s, ten bytes: %d %q", m.SrcName, ans.Status, ans.Body)
		}
		if ans := api.Do(http.MethodGet, "/api/storage/v0/proxy?uid="+uid.String(), nil, 0); ans.Status != http.StatusOK || !strings.Contains(string(ans.Body), `"data":"127.0.0.1:`) {
			o.Errorf("%s, who has it: %d %s", m.SrcName, ans.Status, ans.Body)
		}
	}
}
