package api

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// v0Links signs links to put files of the names.
func (o *ospd) v0Links(names ...string) []v0UploadLinks {
	o.t.Helper()
	ask, err := json.Marshal(map[string]any{"filePath": names, "expire": 3600})
	if err != nil {
		o.t.Fatal(err)
	}
	return v0Into[[]v0UploadLinks](o.t, o.do(http.MethodPost, v0Prefix+"/link/upload", string(ask)))
}

func (o *ospd) v0Downloads(expire int, uids ...string) []v0DownloadLink {
	o.t.Helper()
	ask, err := json.Marshal(map[string]any{"uid": uids, "expire": expire})
	if err != nil {
		o.t.Fatal(err)
	}
	return v0Into[[]v0DownloadLink](o.t, o.do(http.MethodPost, v0Prefix+"/link/download", string(ask)))
}

func md5Of(content []byte) string {
	sum := md5.Sum(content)
	return hex.EncodeToString(sum[:])
}

// form is content in the field file of a form, and the form's Content-Type.
func form(t testing.TB, content []byte) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	p, err := w.CreateFormFile("file", "of the client.exe")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// v0Put sends content to a link, without a token.
func (o *ospd) v0Put(link string, content []byte) answer {
	o.t.Helper()
	body, contentType := form(o.t, content)
	return o.with("").do(http.MethodPut, link+"&md5="+md5Of(content), body, "Content-Type", contentType)
}

// TestV0PutAndGet: every size that is next to a boundary comes back as it went,
// under the name that the link was signed for.
func TestV0PutAndGet(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	for _, size := range []int{0, 1, 10, 32<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, v0Held - 300, v0Held, v0Held + 1, 4<<20 + 1, 9 << 20} {
		content := noise(size)
		l := alice.v0Links("pictures/a b.TXT")[0]
		_, data := o.v0Put(l.URL.Single, content).v0(t, http.StatusOK)
		if string(data) != `""` {
			t.Errorf("%d bytes: data %s", size, data)
		}
		d := alice.v0Downloads(3600, l.UID)[0]
		if m := d.Meta; m.SrcName != "a b.TXT" || m.DstName != l.UID+".txt" || m.Size != fmt.Sprint(size) || m.Width != 0 || m.Height != 0 {
			t.Errorf("%d bytes: %+v", size, m)
		}
		a := o.do(http.MethodGet, d.URL, "")
		if a.StatusCode != http.StatusOK || !bytes.Equal(a.body, content) {
			t.Errorf("%d bytes come back as %s, %d bytes", size, a.Status, len(a.body))
		}
		if got := a.Header.Get("Content-Disposition"); got != `attachment; filename="a b.TXT"` {
			t.Errorf("saved as %s", got)
		}
		if f := into[protocol.File](t, alice.do(http.MethodGet, "/v1/files/"+l.UID, ""), http.StatusOK); f.Owner != "alice" || f.Name != "a b.TXT" || a.Header.Get("ETag") != f.ETag {
			t.Errorf("is the File %+v", f)
		}
		if size > 2 {
			if a := o.do(http.MethodGet, d.URL, "", "Range", "bytes=1-"); a.StatusCode != http.StatusPartialContent || !bytes.Equal(a.body, content[1:]) {
				t.Errorf("%d bytes from the second: %s, %d bytes", size, a.Status, len(a.body))
			}
		}
	}
}

// TestV0DownloadIsThatOfV1: conditions, ranges and what keeps a browser from
// running it.
func TestV0DownloadIsThatOfV1(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	f := into[protocol.File](t, alice.oneShot("name=a/m%C3%A4rz.html", []byte("<script>1</script>"), "Content-Type", "text/html"), http.StatusCreated)
	link := alice.v0Downloads(60, f.UID.String())[0].URL
	for _, online := range []string{"", "&online=1", "&online=0", "&online=1&online=1"} {
		a := o.do(http.MethodGet, link+online, "")
		for name, want := range map[string]string{
			"Content-Disposition":     `attachment; filename="m_rz.html"; filename*=UTF-8''m%C3%A4rz.html`,
			"Cache-Control":           "private, no-store",
			"X-Content-Type-Options":  "nosniff",
			"Content-Security-Policy": "sandbox; default-src 'none'",
			"ETag":                    f.ETag,
			"Content-Type":            "text/html",
		} {
			if got := a.Header.Get(name); got != want || a.StatusCode != http.StatusOK {
				t.Errorf("%s: %s %s: %s, want %s", online, a.Status, name, got, want)
			}
		}
	}
	for name, c := range map[string]struct {
		header []string
		status int
		body   string
	}{
		"a part":          {[]string{"Range", "bytes=1-6"}, 206, "script"},
		"the end":         {[]string{"Range", "bytes=-7"}, 206, "script>"},
		"to the end":      {[]string{"Range", "bytes=9-"}, 206, "</script>"[len("</script>")-9:]},
		"the first byte":  {[]string{"Range", "bytes=0-0"}, 206, "<"},
		"what it is":      {[]string{"If-None-Match", f.ETag}, 304, ""},
		"an old part":     {[]string{"Range", "bytes=1-6", "If-Range", `"x"`}, 200, "<script>1</script>"},
		"nothing of it":   {[]string{"Range", "bytes=18-"}, 422, "v0"},
		"another content": {[]string{"If-Match", `"x"`}, 422, "v0"},
	} {
		a := o.do(http.MethodGet, link, "", c.header...)
		if c.body == "v0" {
			a.v0(t, c.status)
		} else if a.StatusCode != c.status || string(a.body) != c.body {
			t.Errorf("%s: %s %q", name, a.Status, a.body)
		}
	}
	if a := o.do(http.MethodGet, link, "", "Range", "bytes=18-"); a.Header.Get("Content-Range") != "bytes */18" {
		t.Errorf("Content-Range %s", a.Header.Get("Content-Range"))
	}
	if a := o.do(http.MethodHead, link, ""); a.StatusCode != http.StatusOK || a.ContentLength != 18 || len(a.body) != 0 {
		t.Errorf("HEAD: %s, %d bytes", a.Status, a.ContentLength)
	}
	o.do(http.MethodGet, link+"&online=2", "").v0(t, http.StatusUnprocessableEntity)
	o.do(http.MethodGet, link+"&online=0&online=1", "").v0(t, http.StatusUnprocessableEntity)
	text := into[protocol.File](t, alice.oneShot("name=a.txt", []byte("abc"), "Content-Type", "text/plain"), http.StatusCreated)
	link = alice.v0Downloads(60, text.UID.String())[0].URL
	for online, want := range map[string]string{"": "inline", "&online=1": "inline", "&online=0": "attachment"} {
		if got := o.do(http.MethodGet, link+online, "").Header.Get("Content-Disposition"); got != want+`; filename="a.txt"` {
			t.Errorf("%s: %s", online, got)
		}
	}
	// A link of v1 that was signed to save the file is good here, and saves it.
	saved := alice.link(fmt.Sprintf(`{"action": "get", "uid": "%s", "expires_in": 60}`, text.UID))
	q := queryOf(t, link)
	q.Set("signature", saved.Token)
	q.Set("date", saved.ExpiresAt.UTC().Add(-time.Minute).Format(v0Date))
	for _, online := range []string{"", "0", "1"} {
		if q.Del("online"); online != "" {
			q.Set("online", online)
		}
		a := o.do(http.MethodGet, v0Prefix+"/download?"+q.Encode(), "")
		if got := a.Header.Get("Content-Disposition"); a.StatusCode != http.StatusOK || got != `attachment; filename="a.txt"` {
			t.Errorf("a link to save, online=%s: %s, %s", online, a.Status, got)
		}
	}
	if a := alice.do(http.MethodDelete, "/v1/files/"+text.UID.String(), ""); a.StatusCode != http.StatusNoContent {
		t.Fatal(a.Status)
	}
	o.do(http.MethodGet, link, "").v0(t, http.StatusNotFound)
}

// TestV0ClientsTakeLinksApart: the query of a link, taken apart and put together
// in another order, doubled, with values that mean nothing.
func TestV0ClientsTakeLinksApart(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	for _, name := range []string{"a.txt", "a b+c.txt", "100%.txt", "a&b=c#d?e.txt", `"quotes"'s.txt`, "报告 最终.txt", "e\u0301.txt", "x%20y;z.txt"} {
		l := alice.v0Links(name)[0]
		if l.Path != name {
			t.Errorf("path %q of %q", l.Path, name)
		}
		for _, u := range []string{l.URL.Single, l.URL.Multi.Upload, l.URL.Multi.Merge} {
			if q := queryOf(t, u); len(q) != 4 || q.Get("uid") != l.UID {
				t.Errorf("%s has %v", u, q)
			}
		}
		content := []byte("content of " + name)
		body, contentType := form(t, content)
		q := queryOf(t, l.URL.Single)
		q.Set("md5", md5Of(content))
		o.do(http.MethodPut, l.URL.Single+"&"+q.Encode(), body, "Content-Type", contentType).v0(t, http.StatusOK)

		d := alice.v0Downloads(3600, l.UID)[0]
		q = queryOf(t, d.URL)
		if q.Get("name") != d.Meta.SrcName || q.Get("bucket") != "none" || q.Get("object") != "none" {
			t.Errorf("%s has %v, and the name is %q", d.URL, q, d.Meta.SrcName)
		}
		q.Set("md5", "stray")
		keys := slices.Sorted(maps.Keys(q))
		slices.Reverse(keys)
		var again []string
		for _, k := range keys {
			again = append(again, k+"="+url.QueryEscape(q.Get(k)))
		}
		for _, u := range []string{d.URL + "&" + q.Encode(), v0Prefix + "/download?" + strings.Join(again, "&"), strings.Replace(d.URL, "name=", "name=%zz&name=", 1)} {
			if a := o.do(http.MethodGet, u, ""); a.StatusCode != http.StatusOK || !bytes.Equal(a.body, content) {
				t.Errorf("%s: %s %s", u, a.Status, a.body)
			}
		}
		q.Set("uid", "7")
		o.do(http.MethodGet, d.URL+"&"+q.Encode(), "").v0(t, http.StatusUnprocessableEntity)
	}
}

// queryOf is the query of a link, which is a path.
func queryOf(t testing.TB, link string) url.Values {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Host != "" || !strings.HasPrefix(u.Path, v0Prefix) {
		t.Fatalf("link %s: %v", link, err)
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		t.Fatalf("link %s: %v", link, err)
	}
	return q
}

// TestV0LinksDoOneThing: whatever of a link is changed, and whatever else it is
// used for, is 401, and changes nothing.
func TestV0LinksDoOneThing(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	f := alice.upload("a.txt", []byte("abc"))
	put, get := alice.v0Links("new.txt")[0].URL.Single, alice.v0Downloads(3600, f.UID.String())[0].URL
	other := alice.v0Links("other.txt")[0]
	use := func(link string, q url.Values) answer {
		path, _, _ := strings.Cut(link, "?")
		if path == v0Prefix+"/download" {
			return o.do(http.MethodGet, path+"?"+q.Encode(), "")
		}
		body, contentType := form(t, []byte("abc"))
		q.Set("md5", md5Of([]byte("abc")))
		return o.do(http.MethodPut, path+"?"+q.Encode(), body, "Content-Type", contentType)
	}
	for _, link := range []string{put, get} {
		for name, values := range map[string][]string{
			"uid":       {other.UID, "7", "0" + queryOf(t, link).Get("uid"), "+" + queryOf(t, link).Get("uid"), "x"},
			"date":      {"2026-01-01T00:00:00Z", "x", strings.Replace(queryOf(t, link).Get("date"), "Z", "+01:00", 1), queryOf(t, link).Get("date") + " "},
			"expire":    {"3601", "3599", "0", "-1", "03600", "+3600", "9223372036854775807", "x"},
			"signature": {"x", queryOf(t, other.URL.Single).Get("signature"), queryOf(t, link).Get("signature") + "A"},
		} {
			for _, value := range values {
				q := queryOf(t, link)
				q.Set(name, value)
				if use(link, q).v0(t, http.StatusUnauthorized); t.Failed() {
					t.Fatalf("%s=%s", name, value)
				}
			}
			q := queryOf(t, link)
			q.Del(name)
			use(link, q).v0(t, http.StatusUnprocessableEntity)
		}
		signature := queryOf(t, link).Get("signature")
		for i := range signature {
			q := queryOf(t, link)
			q.Set("signature", signature[:i]+flipped(signature[i])+signature[i+1:])
			if use(link, q).v0(t, http.StatusUnauthorized); t.Failed() {
				t.Fatalf("byte %d of the signature flipped", i)
			}
		}
	}
	use(v0Prefix+"/download", queryOf(t, put)).v0(t, http.StatusUnauthorized)
	use(v0Prefix+"/upload", queryOf(t, get)).v0(t, http.StatusUnauthorized)
	if a := alice.do(http.MethodGet, "/v1/files/"+other.UID, ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if a := alice.do(http.MethodDelete, "/v1/links?all=true", ""); a.StatusCode != http.StatusNoContent {
		t.Fatal(a.Status)
	}
	use(put, queryOf(t, put)).v0(t, http.StatusUnauthorized)
	use(get, queryOf(t, get)).v0(t, http.StatusUnauthorized)
	for _, link := range []string{put, get, other.URL.Single} {
		if strings.Contains(o.log.String(), queryOf(t, link).Get("signature")) {
			t.Error("the log has a signature")
		}
	}
}

// flipped is another letter of the same alphabet.
func flipped(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}
