package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestV0ChunkedForms: the predecessor's own client says no length. Such a body is
// taken up to a bound, and the connection is not used again.
func TestV0ChunkedForms(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	for _, c := range []struct {
		body   string
		end    string
		status int
	}{
		{formOpen + "0123456789" + formClose, "0\r\n\r\n", 200},
		{formOpen + "0123456789" + formClose, "0\r\nContent-Length: 3\r\n\r\n", 422},
		{formOpen + "0123456789" + formClose, "", 422},
		{formOpen + "0123456789", "0\r\n\r\n", 422},
		{formOpen + "0123456789", "", 422},
		{formOpen + strings.Repeat("a", v0Held) + formClose, "0\r\n\r\n", 422},
	} {
		l := alice.v0Links("a.bin")[0]
		p := o.dial()
		p.send(fmt.Sprintf("PUT %s&md5=%s HTTP/1.1\r\nHost: HOST\r\nContent-Type: multipart/form-data; boundary=bound\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%s",
			l.URL.Single, md5Of([]byte("0123456789")), len(c.body), c.body, c.end))
		if c.end == "" {
			if err := p.CloseWrite(); err != nil {
				t.Fatal(err)
			}
		} else {
			p.send("DELETE /v1/files/" + l.UID + " HTTP/1.1\r\nHost: HOST\r\n\r\n")
		}
		a := p.read(http.MethodPut)
		if c.end == "" && a.StatusCode == http.StatusOK {
			// What was cut off was whole but for the last chunk, which is empty.
			c.status = http.StatusOK
		}
		if message, _ := a.v0(t, c.status); len(c.body) > v0Held && !strings.Contains(message, "only with its length") {
			t.Errorf("too long: %s", message)
		}
		p.ended()
	}
	ask := `{"filePath": ["a.txt"], "expire": 60}`
	p := alice.dial().send(fmt.Sprintf("POST %s/link/upload HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", v0Prefix, alice.token, len(ask), ask))
	if got := v0Into[[]v0UploadLinks](t, p.read(http.MethodPost)); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	p.ended()
	l := alice.v0Links("a.bin")[0]
	o.dial().send("PUT "+l.URL.Single+"&md5="+md5Of(nil)+" HTTP/1.1\r\nHost: HOST\r\nContent-Type: multipart/form-data; boundary=bound\r\n\r\n").read(http.MethodPut).v0(t, http.StatusUnprocessableEntity)
}

// TestV0BodyEndsEarly: what broke off counts for nothing. (Until a first byte came
// of it, it is not known to be of v0.)
func TestV0BodyEndsEarly(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	for _, size := range []int{10, v0Held + 1} {
		whole := formOpen + strings.Repeat("a", size) + formClose
		for _, sent := range []int{1, len(formOpen), len(formOpen) + size/2, len(formOpen) + size, len(whole) - 1} {
			l := alice.v0Links("a.bin")[0]
			p := o.dial().send(fmt.Sprintf("PUT %s&md5=%s HTTP/1.1\r\nHost: HOST\r\nContent-Type: multipart/form-data; boundary=bound\r\nContent-Length: %d\r\n\r\n%s",
				l.URL.Single, md5Of([]byte(strings.Repeat("a", size))), len(whole), whole[:sent]))
			if err := p.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			p.read(http.MethodPut).v0(t, http.StatusUnprocessableEntity)
			if a := alice.do(http.MethodGet, "/v1/files/"+l.UID, ""); a.StatusCode != http.StatusNotFound {
				t.Errorf("%d of %d bytes are a file: %s", sent, len(whole), a.body)
			}
		}
	}
}

// TestV0RepeatedPut: the same file again is answered again, another never.
func TestV0RepeatedPut(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	for _, size := range []int{0, 10, v0Held + 1, 17 << 20} {
		content := noise(size)
		l := alice.v0Links("a.bin")[0]
		body, contentType := form(t, content)
		put := func(body, sum string) answer {
			return o.do(http.MethodPut, l.URL.Single+"&md5="+sum, body, "Content-Type", contentType)
		}
		put(body, md5Of([]byte("other"))).v0(t, http.StatusUnprocessableEntity)
		put(body, strings.ToUpper(md5Of(content))).v0(t, http.StatusOK)
		put(body, md5Of(content)).v0(t, http.StatusOK)
		if size <= v0Held+1 { // of more, the sender may be cut off before it reads why
			put(body, md5Of([]byte("other"))).v0(t, http.StatusUnprocessableEntity)
			other := append(bytes.Clone(content), 'x')
			o.v0Put(l.URL.Single, other).v0(t, http.StatusUnprocessableEntity)
			if size > 0 {
				other = other[:size]
				other[size-1] ^= 1
				o.v0Put(l.URL.Single, other).v0(t, http.StatusUnprocessableEntity)
				put(strings.Replace(body, string(content), string(other), 1), md5Of(content)).v0(t, http.StatusUnprocessableEntity)
			}
		}
		if a := o.do(http.MethodGet, alice.v0Downloads(60, l.UID)[0].URL, ""); !bytes.Equal(a.body, content) {
			t.Errorf("%d bytes come back as %d", size, len(a.body))
		}
		if a := alice.do(http.MethodDelete, "/v1/files/"+l.UID, ""); a.StatusCode != http.StatusNoContent {
			t.Fatal(a.Status)
		}
		o.v0Put(l.URL.Single, []byte("abc")).v0(t, http.StatusUnprocessableEntity)
	}
}

// TestV0PutsAtOnce: of many requests with one link one file comes, and those that
// brought it are answered so, or told to try again.
func TestV0PutsAtOnce(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	l := alice.v0Links("a.bin")[0]
	statuses := make(chan int)
	const n = 16
	for range n {
		go func() { statuses <- o.v0Put(l.URL.Single, []byte("0123456789")).StatusCode }()
	}
	for range n {
		if s := <-statuses; s != http.StatusOK {
			t.Errorf("answered %d", s)
		}
	}
	if a := o.do(http.MethodGet, alice.v0Downloads(60, l.UID)[0].URL, ""); string(a.body) != "0123456789" {
		t.Errorf("%s", a.body)
	}
}

// TestV0MD5: what the query announces is asked before a byte is taken.
func TestV0MD5(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	l := alice.v0Links("a.bin")[0]
	body, contentType := form(t, []byte("abc"))
	for _, query := range []string{"", "&md5=", "&md5=x", "&md5=" + md5Of([]byte("abc"))[1:], "&md5=" + md5Of([]byte("abc")) + "0", "&md5=" + md5Of([]byte("abc")) + "&md5=x"} {
		o.do(http.MethodPut, l.URL.Single+query, body, "Content-Type", contentType).v0(t, http.StatusUnprocessableEntity)
	}
	o.do(http.MethodPut, l.URL.Single+"&md5="+md5Of([]byte("abc"))+"&md5="+md5Of([]byte("abc")), body, "Content-Type", contentType).v0(t, http.StatusOK)
}
