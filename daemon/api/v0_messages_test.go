package api

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestV0MessagesNameTheParameter: who is told that something of his request is
// wrong is told what: all that he has is the message.
func TestV0MessagesNameTheParameter(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	sum := md5Of([]byte("hello"))
	body, contentType := form(t, []byte("hello"))
	l, put := alice.v0Links("a.bin")[0], alice.v0Links("b.bin")[0]
	o.v0Chunk(l, 1, []byte("hello"), sum).v0(t, http.StatusOK)
	get := alice.v0Downloads(60, alice.upload("c.txt", []byte("hello")).UID.String())[0].URL
	without := func(link, name string) string {
		path, _, _ := strings.Cut(link, "?")
		q := queryOf(t, link)
		q.Del(name)
		return path + "?" + q.Encode() + "&chunkNum=1&md5=" + sum
	}
	for _, c := range []struct{ name, method, target, body string }{
		{"md5", http.MethodPut, put.URL.Single, body},
		{"md5", http.MethodPut, put.URL.Single + "&md5=" + sum[1:], body},
		{"md5", http.MethodPut, put.URL.Single + "&md5=" + sum + "&md5=" + sum[1:], body},
		{"MD5", http.MethodPut, put.URL.Single + "&md5=" + md5Of(nil), body},
		{"file", http.MethodPut, put.URL.Single + "&md5=" + sum, strings.ReplaceAll(body, `"file"`, `"other"`)},
		{"md5", http.MethodPut, l.URL.Multi.Upload + "&chunkNum=1", body},
		{"MD5", http.MethodPut, l.URL.Multi.Upload + "&chunkNum=1&md5=" + md5Of(nil), body},
		{"chunkNum", http.MethodPut, l.URL.Multi.Upload + "&md5=" + sum, body},
		{"chunkNum", http.MethodPut, l.URL.Multi.Upload + "&chunkNum=10001&md5=" + sum, body},
		{"chunkNum", http.MethodPut, l.URL.Multi.Upload + "&chunkNum=1&chunkNum=2&md5=" + sum, body},
		{"num is not", http.MethodPut, l.URL.Multi.Merge + "&size=5&md5=" + sum, ""},
		{"num is not", http.MethodPut, l.URL.Multi.Merge + "&num=0&size=5&md5=" + sum, ""},
		{"size is not", http.MethodPut, l.URL.Multi.Merge + "&num=1&md5=" + sum, ""},
		{"size is not", http.MethodPut, l.URL.Multi.Merge + "&num=1&size=-1&md5=" + sum, ""},
		{"md5", http.MethodPut, l.URL.Multi.Merge + "&num=1&size=5", ""},
		{"MD5", http.MethodPut, l.URL.Multi.Merge + "&num=1&size=5&md5=" + md5Of(nil), ""},
		{"bytes", http.MethodPut, l.URL.Multi.Merge + "&num=1&size=6&md5=" + sum, ""},
		{"chunks", http.MethodPut, l.URL.Multi.Merge + "&num=2&size=5&md5=" + sum, ""},
		{"online", http.MethodGet, get + "&online=2", ""},
		{"online", http.MethodGet, get + "&online=0&online=1", ""},
		{"uid", http.MethodGet, v0Prefix + "/checkpoint", ""},
		{"uid", http.MethodGet, v0Prefix + "/checkpoint?uid=1&uid=2", ""},
		{"uid", http.MethodGet, v0Prefix + "/proxy?uid=x", ""},
		{"filePath", http.MethodPost, v0Prefix + "/link/upload", `{"expire": 60}`},
		{"names", http.MethodPost, v0Prefix + "/link/upload", asking(51, "")},
		{"extension", http.MethodPost, v0Prefix + "/link/upload", `{"filePath": ["a"], "expire": 60}`},
		{"expire", http.MethodPost, v0Prefix + "/link/upload", `{"filePath": ["a.txt"]}`},
		{"expire", http.MethodPost, v0Prefix + "/link/upload", `{"filePath": ["a.txt"], "expire": "60"}`},
		{"uid", http.MethodPost, v0Prefix + "/link/download", `{"expire": 60}`},
		{"uid", http.MethodPost, v0Prefix + "/link/download", `{"uid": ["x"], "expire": 60}`},
		{"expire", http.MethodPost, v0Prefix + "/link/download", `{"uid": ["7"], "expire": 0}`},
		{"data", http.MethodPost, v0Prefix + "/resume", `{}`},
		{"md5", http.MethodPost, v0Prefix + "/resume", `{"data": [{"md5": "x", "path": "a.txt"}]}`},
		{"file 1: this name", http.MethodPost, v0Prefix + "/resume", `{"data": [{"md5": "` + sum + `", "path": "a/.."}]}`},
		{"JSON", http.MethodPost, v0Prefix + "/resume", `{`},
		{"uid", http.MethodPut, without(put.URL.Single, "uid"), body},
		{"date", http.MethodPut, without(put.URL.Multi.Upload, "date"), body},
		{"expire", http.MethodPut, without(put.URL.Single, "expire"), body},
		{"signature", http.MethodPut, without(put.URL.Multi.Upload, "signature"), body},
		{"signature", http.MethodGet, without(get, "signature"), ""},
	} {
		a := alice.do(c.method, c.target, c.body, "Content-Type", contentType)
		if message, _ := a.v0(t, http.StatusUnprocessableEntity); !strings.Contains(message, c.name) {
			t.Errorf("%s %s %.60s: says %q, and not %s", c.method, c.target, c.body, message, c.name)
		}
	}
}

// TestV0MessagesOfFailures: an error that nobody wrote for a reader is not told.
func TestV0MessagesOfFailures(t *testing.T) {
	for name, err := range map[string]error{
		"of a store":  errors.New("put s3://files/abc: AccessDenied"),
		"of a client": &protocol.Error{Kind: protocol.KindLocalIO, Message: "put s3://files/abc: AccessDenied"},
		"below one":   &protocol.Error{Kind: protocol.KindUnavailable, Err: errors.New("put s3://files/abc: AccessDenied")},
	} {
		f := start(t, Config{}, nil)
		f.replaced = true
		f.v0.routes[0].endpoint.serve = func(*call) error { return err }
		message, _ := f.do(http.MethodGet, v0Prefix+"/ping", "").v0(t, http.StatusInternalServerError)
		if strings.Contains(message, "files") || strings.Contains(message, "Denied") {
			t.Errorf("%s: says %q", name, message)
		}
	}
}
