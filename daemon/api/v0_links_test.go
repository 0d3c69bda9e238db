package api

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// TestV0LinkUpload: which names there are links for.
func TestV0LinkUpload(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	ask := func(body string) answer { return alice.do(http.MethodPost, v0Prefix+"/link/upload", body) }
	for path, name := range map[string]string{
		"a.txt": "a.txt", "/tmp/x/a.txt": "a.txt", `C:\tmp\a.txt`: "a.txt", "./a.b.txt": "a.b.txt", "..txt": "..txt", ".bashrc": ".bashrc",
		"dir.d/报告.pdf": "报告.pdf", "e\u0301.txt": "é.txt", strings.Repeat("a", 251) + ".txt": strings.Repeat("a", 251) + ".txt",
	} {
		l := alice.v0Links(path)[0]
		o.v0Put(l.URL.Single, []byte("abc")).v0(t, http.StatusOK)
		if f := into[protocol.File](t, alice.do(http.MethodGet, "/v1/files/"+l.UID, ""), http.StatusOK); f.Name != name || l.Path != path {
			t.Errorf("%s is put as %s, and answered for %s", path, f.Name, l.Path)
		}
	}
	for _, bad := range []string{"", "a", "a.", "dir.d/a", "dir.txt/", ".", "..", "a\x00.txt", "a\n.txt", "a\u202e.txt", strings.Repeat("a", 252) + ".txt"} {
		list, err := json.Marshal([]string{"good.txt", bad})
		if err != nil {
			t.Fatal(err)
		}
		if ask(fmt.Sprintf(`{"filePath": %s, "expire": 60}`, list)).v0(t, http.StatusUnprocessableEntity); t.Failed() {
			t.Fatalf("%q", bad)
		}
	}
	for _, bad := range []string{"", "{", "[]", `{"expire": 60}`, `{"filePath": null, "expire": 60}`, `{"filePath": "a.txt", "expire": 60}`, `{"filePath": [1], "expire": 60}`,
		`{"filePath": ["a.txt"]}`, `{"filePath": ["a.txt"], "expire": 60}}`, "{\"filePath\": [\"a\xff.txt\"], \"expire\": 60}", asking(51, "")} {
		if ask(bad).v0(t, http.StatusUnprocessableEntity); t.Failed() {
			t.Fatalf("%s", bad)
		}
	}
	got := v0Into[[]v0UploadLinks](t, ask(asking(50, `"0.txt", "49.txt", `)))
	if len(got) != 50 || got[0].Path != "0.txt" || got[1].Path != "49.txt" || got[49].Path != "48.txt" {
		t.Errorf("%d links, of %s to %s", len(got), got[0].Path, got[len(got)-1].Path)
	}
	if _, data := ask(asking(0, "")).v0(t, http.StatusOK); string(data) != "[]" {
		t.Errorf("for nothing: %s", data)
	}
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"} {
		a := alice.do(http.MethodPost, v0Prefix+"/link/upload", asking(1, ""), "Content-Type", contentType)
		if got := v0Into[[]v0UploadLinks](t, a); len(got) != 1 {
			t.Errorf("sent as %q: %+v", contentType, got)
		}
	}
}

// asking asks for links for so many names, behind more.
func asking(n int, more string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`"%d.txt"`, i)
	}
	return fmt.Sprintf(`{"filePath": [%s%s], "expire": 60, "unknown": {}}`, more, strings.Join(list, ", "))
}

// TestV0LinkDownload: there are links for what there is to get, and the rest is
// left out.
func TestV0LinkDownload(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	f := into[protocol.File](t, alice.oneShot("name=reports/a.Tar.GZ", []byte("abc")), http.StatusCreated)
	empty := into[protocol.File](t, alice.oneShot("name=none", nil), http.StatusCreated)
	others := o.as("bob").upload("b.txt", []byte("abc"))
	open, unused := alice.begin(`{"name": "open.txt"}`), alice.v0Links("unused.txt")[0]
	uid := f.UID.String()
	got := alice.v0Downloads(60, "999", uid, others.UID.String(), open.UID.String(), unused.UID, uid, empty.UID.String())
	if len(got) != 2 || got[0].UID != uid || got[1].UID != empty.UID.String() {
		t.Fatalf("%+v", got)
	}
	if m := got[0].Meta; m != (v0FileMeta{SrcName: "a.Tar.GZ", DstName: uid + ".gz", Size: "3"}) {
		t.Errorf("%+v", m)
	}
	if m := got[1].Meta; m != (v0FileMeta{SrcName: "none", DstName: got[1].UID, Size: "0", MD5: md5Of(nil)}) {
		t.Errorf("%+v", m)
	}
	if _, data := alice.do(http.MethodPost, v0Prefix+"/link/download", `{"uid": ["999"], "expire": 60}`).v0(t, http.StatusOK); string(data) != "[]" {
		t.Errorf("of nothing: %s", data)
	}
	many := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`"%d"`, 1000+i)
		}
		return `{"uid": [` + strings.Join(append(list, list[0]), ", ") + `], "expire": 60}`
	}
	ask := func(body string) answer { return alice.do(http.MethodPost, v0Prefix+"/link/download", body) }
	ask(many(200)).v0(t, http.StatusOK)
	for _, bad := range []string{many(201), `{"uid": [7], "expire": 60}`, `{"uid": ["007"], "expire": 60}`, `{"uid": ["+7"], "expire": 60}`, `{"uid": ["x"], "expire": 60}`,
		`{"uid": [""], "expire": 60}`, `{"uid": null, "expire": 60}`, `{"expire": 60}`, `{"uid": ["7"]}`} {
		if ask(bad).v0(t, http.StatusUnprocessableEntity); t.Failed() {
			t.Fatalf("%s", bad)
		}
	}
}

// TestV0SaidMD5: of a file whose digest job has not run the MD5 is what was said
// of it, and what was found out from then on.
func TestV0SaidMD5(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	sum := md5.Sum([]byte("abc"))
	heir := func(uid protocol.UID, object string) meta.Inherited {
		return meta.Inherited{UID: uid, FileFields: meta.FileFields{Owner: "alice", Name: object, Imported: meta.Imported{From: "other:" + uid.String()}},
			Objects: []meta.HeldObject{{Store: "disk", Key: "@" + object, Size: 3, Tag: "t"}}}
	}
	said, unsaid := heir(1, "a.txt"), heir(2, "b.txt")
	said.MD5 = &sum
	if _, err := o.db.Inherit(t.Context(), []meta.Inherited{said, unsaid}); err != nil {
		t.Fatal(err)
	}
	got := alice.v0Downloads(60, "1", "2")
	if len(got) != 2 || got[0].Meta.MD5 != md5Of([]byte("abc")) || got[1].Meta.MD5 != "" {
		t.Errorf("%+v", got)
	}
	if f := into[protocol.File](t, alice.do(http.MethodGet, "/v1/files/1", ""), http.StatusOK); f.MD5 != nil {
		t.Errorf("v1 says MD5 %s, which nobody saw", *f.MD5)
	}
}

// TestV0Proxy: the address under which the caller reaches what is there.
func TestV0Proxy(t *testing.T) {
	for public, want := range map[string]string{
		"": "", "http://files.example": "files.example:80", "https://files.example": "files.example:443", "https://files.example:8443/": "files.example:8443",
		"http://[2001:db8::1]": "[2001:db8::1]:80",
	} {
		o := startOspdAs(t, meta.Quota{}, func(cfg *Config) { cfg.PublicURL = public })
		if want == "" {
			want = o.addr
		}
		alice := o.as("alice")
		f, open := alice.upload("a", []byte("abc")), alice.begin(`{"name": "open.txt"}`)
		l, refused := alice.v0Links("c.bin")[0], alice.v0Links("d.bin")[0]
		o.v0Chunk(l, 2, []byte("abc"), md5Of([]byte("abc"))).v0(t, http.StatusOK)
		o.v0Chunk(refused, 1, []byte("abc"), md5Of([]byte("x"))).v0(t, http.StatusUnprocessableEntity)
		for _, uid := range []string{f.UID.String(), l.UID} {
			if got := v0Into[string](t, alice.do(http.MethodGet, v0Prefix+"/proxy?uid="+uid, "")); got != want {
				t.Errorf("%s: %s", public, got)
			}
		}
		for _, uid := range []string{"999", open.UID.String(), refused.UID} {
			alice.do(http.MethodGet, v0Prefix+"/proxy?uid="+uid, "").v0(t, http.StatusNotFound)
		}
		for _, bad := range []string{"", "?uid=", "?uid=x", "?uid=007", "?uid=1&uid=2"} {
			alice.do(http.MethodGet, v0Prefix+"/proxy"+bad, "").v0(t, http.StatusUnprocessableEntity)
		}
	}
}
