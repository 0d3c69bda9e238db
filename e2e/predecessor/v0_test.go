package predecessor

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// What the clients of v0 do is written here once more, from its description, and
// not taken from the daemon.
const v0 = "/api/storage/v0"

// envelope is what every answer of v0 is but the bytes of a download.
type envelope struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

type uploadV0 struct {
	UID string `json:"uid"`
	URL struct {
		Single string `json:"single"`
		Multi  struct {
			Upload string `json:"upload"`
			Merge  string `json:"merge"`
		} `json:"multi"`
	} `json:"url"`
	Path string `json:"path"`
}

// all are the three addresses of the link.
func (u uploadV0) all() []string {
	return []string{u.URL.Single, u.URL.Multi.Upload, u.URL.Multi.Merge}
}

type downloadV0 struct {
	UID  string `json:"uid"`
	URL  string `json:"url"`
	Meta struct {
		SrcName string `json:"srcName"`
		DstName string `json:"dstName"`
		Height  int    `json:"height"`
		Width   int    `json:"width"`
		MD5     string `json:"md5"`
		Size    string `json:"size"`
	} `json:"meta"`
}

func isV0(ans harness.Answer) bool {
	var e envelope
	return ans.Header.Get("Content-Type") == "application/json; charset=utf-8" && json.Unmarshal(ans.Body, &e) == nil && e.Data != nil
}

// statusV0 is what v0 answers where v1 says kind: 401 for 403, 422 for 409, 413
// and their like.
func statusV0(kind protocol.Kind) int {
	switch status := kind.Row().Status; status {
	case http.StatusForbidden:
		return http.StatusUnauthorized
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusInternalServerError:
		return status
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity
}

// refusedV0 expects an error of v0, and goes on.
func (c caller) refusedV0(ans harness.Answer, status int) {
	c.t.Helper()
	var e envelope
	if err := json.Unmarshal(ans.Body, &e); err != nil || ans.Status != status || e.Code != 0 || e.Message == "" || string(e.Data) != `""` {
		c.t.Errorf("answered %d %.300s, %v; want %d", ans.Status, ans.Body, ans.Err, status)
	}
}

// dataV0 decodes the data of an answer.
func dataV0[T any](c caller, ans harness.Answer) (v T) {
	c.t.Helper()
	e := into[envelope](c, ans, http.StatusOK)
	if err := json.Unmarshal(e.Data, &v); err != nil || e.Code != 0 || e.Message != "ok" {
		c.t.Fatalf("answered %.400s: %v", ans.Body, err)
	}
	return v
}

// uploadV0 is a link to put a file.
func (c caller) uploadV0(name string) uploadV0 {
	c.t.Helper()
	ans := c.post(v0+"/link/upload", map[string]any{"filePath": []string{name}, "expire": 600})
	return dataV0[[]uploadV0](c, ans)[0]
}

// downloadV0 is a link to get one.
func (c caller) downloadV0(uid protocol.UID) downloadV0 {
	c.t.Helper()
	ans := c.post(v0+"/link/download", map[string]any{"uid": []string{uid.String()}, "expire": 600})
	return dataV0[[]downloadV0](c, ans)[0]
}

func md5Of(content []byte) string {
	sum := md5.Sum(content)
	return hex.EncodeToString(sum[:])
}

// form is content in the field file of a form.
func form(t testing.TB, content []byte) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	p, err := w.CreateFormFile("file", "any.bin")
	if err == nil {
		_, err = p.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

// sendV0 puts content by a link, with more in the query, and no token.
func (c caller) sendV0(link, more string, content []byte) harness.Answer {
	c.t.Helper()
	body, contentType := form(c.t, content)
	c.authorization = ""
	return c.do(http.MethodPut, link+more, body, "Content-Type", contentType)
}

// putV0 puts content in one request.
func (c caller) putV0(link uploadV0, content []byte) harness.Answer {
	c.t.Helper()
	return c.sendV0(link.URL.Single, "&md5="+md5Of(content), content)
}

// heldV0 puts a file by v0 and gives its uid.
func (c caller) heldV0(name string, content []byte) protocol.UID {
	c.t.Helper()
	l := c.uploadV0(name)
	c.want(c.putV0(l, content), http.StatusOK)
	return uidOf(c.t, l.UID)
}

func uidOf(t testing.TB, text string) protocol.UID {
	t.Helper()
	uid, err := protocol.ParseUID(text)
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

// changed is a link with another value of a name in its query, which goes where
// value is "".
func changed(t testing.TB, link, name, value string) string {
	t.Helper()
	path, raw, _ := strings.Cut(link, "?")
	query, err := url.ParseQuery(raw)
	if err != nil {
		t.Fatal(err)
	}
	query.Del(name)
	if value != "" {
		query.Set(name, value)
	}
	return path + "?" + query.Encode()
}

// parameter is a value in a link's query.
func parameter(t testing.TB, link, name string) string {
	t.Helper()
	_, raw, _ := strings.Cut(link, "?")
	query, err := url.ParseQuery(raw)
	if err != nil || len(query[name]) != 1 {
		t.Fatalf("%s has the %s %q, %v", link, name, query[name], err)
	}
	return query.Get(name)
}

// It allowed what old clients rely on, and so must v0: any order, and a query twice.
func TestA03ReorderedAndDoubledQueriesAreTheSameLink(t *testing.T) {
	owner, stranger := shared.as(t, alice), shared.stranger(t)
	uid := owner.heldV0("a03/order.txt", []byte("abc"))
	link := owner.downloadV0(uid).URL
	path, raw, _ := strings.Cut(link, "?")
	pairs := strings.Split(raw, "&")
	slices.Reverse(pairs)
	for _, query := range []string{strings.Join(pairs, "&"), raw + "&" + raw, raw + "&" + strings.Join(pairs, "&"), raw + "&md5=0123&unknown=%zz&;"} {
		stranger.holds(path+"?"+query, []byte("abc"))
	}
}
