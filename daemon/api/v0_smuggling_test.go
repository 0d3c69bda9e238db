package api

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// v0Target is a signed link of v0 that a test sends raw requests to.
type v0Target struct {
	o    *ospd
	uid  protocol.UID
	path string
	// chunk says that it takes chunks.
	chunk bool
}

// v0Targets are links to put a file, and to put a chunk of one.
func v0Targets(o *ospd) []v0Target {
	o.t.Helper()
	links := v0Into[[]v0UploadLinks](o.t, o.do(http.MethodPost, v0Prefix+"/link/upload", `{"filePath": ["single.bin", "chunks.bin"], "expire": 3600}`))
	var list []v0Target
	for _, row := range v0Rows() {
		x := v0Target{o: o, chunk: row.path == "/upload/multi"}
		l := links[0]
		switch {
		case row.path == "/upload":
			x.path = l.URL.Single
		case x.chunk:
			l = links[1]
			x.path = l.URL.Multi.Upload + "&chunkNum=1"
		default:
			continue
		}
		var err error
		if x.uid, err = protocol.ParseUID(l.UID); err != nil {
			o.t.Fatal(err)
		}
		list = append(list, x)
	}
	return list
}

// put is the request line of a put of data, up to the version.
func (x v0Target) put(data string) string {
	sum := md5.Sum([]byte(data))
	return http.MethodPut + " " + x.path + "&md5=" + hex.EncodeToString(sum[:]) + " "
}

// has expects that the target holds the bytes, or, where there are none, nothing
// at all.
func (x v0Target) has(t *testing.T, data *string) {
	t.Helper()
	if x.chunk {
		want := "[]"
		if data != nil {
			want = "[1]"
		}
		if _, held := x.o.do(http.MethodGet, v0Prefix+"/checkpoint?uid="+x.uid.String(), "").v0(t, http.StatusOK); string(held) != want {
			t.Errorf("chunks %s are held, want %s", held, want)
		}
		return
	}
	a := x.o.do(http.MethodGet, contentPath(x.uid), "")
	switch {
	case data == nil && a.StatusCode != http.StatusNotFound:
		t.Errorf("something was put: %s, %d bytes", a.Status, len(a.body))
	case data != nil && (a.StatusCode != http.StatusOK || string(a.body) != *data):
		t.Errorf("%s, %d bytes, and not the %d that were sent", a.Status, len(a.body), len(*data))
	}
}

// merged expects that a chunk that is held is those bytes.
func (x v0Target) merged(t *testing.T, data string) {
	t.Helper()
	sum := md5.Sum([]byte(data))
	link := strings.Replace(strings.TrimSuffix(x.path, "&chunkNum=1"), "/upload/multi", "/upload/merge", 1)
	x.o.do(http.MethodPut, fmt.Sprintf("%s&num=1&size=%d&md5=%s", link, len(data), hex.EncodeToString(sum[:])), "").v0(t, http.StatusOK)
	if a := x.o.do(http.MethodGet, contentPath(x.uid), ""); a.StatusCode != http.StatusOK || string(a.body) != data {
		t.Errorf("merged: %s, %d bytes, and not the %d that were sent", a.Status, len(a.body), len(data))
	}
}

// hiddenPut is a put of another file by its own link, which is made if ever a
// request is served that is not one.
func hiddenPut(o *ospd) (raw string, untouched func(t *testing.T)) {
	x := v0Targets(o)[0]
	body := oneFileForm("B", "smuggled")
	raw = x.put("smuggled") + fmt.Sprintf("HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n%s", o.addr, len(body), body)
	return raw, func(t *testing.T) { x.has(t, nil) }
}

// oneFileForm is a form with one file.
func oneFileForm(boundary, data string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n" + data + "\r\n--" + boundary + "--\r\n"
}

// TestV0Smuggling sends what two servers could read as different requests to the
// routes of v0 that take bytes. Each is refused and the connection closed. What is
// no HTTP is no request for a route, and not answered as one of v0.
func TestV0Smuggling(t *testing.T) {
	o := startV0(t)
	hidden, untouched := hiddenPut(o)
	for _, x := range v0Targets(o) {
		for name, raw := range ambiguous(x.put("hello"), "Content-Type: multipart/form-data; boundary=B\r\n", oneFileForm("B", "hello"), hidden) {
			t.Run(fmt.Sprintf("%s, chunk %v", name, x.chunk), func(t *testing.T) {
				p := o.dial().send(raw)
				a := p.read(http.MethodPut)
				if a.StatusCode == http.StatusBadRequest {
					a.problem(t, protocol.KindBadRequest)
				} else {
					a.v0(t, http.StatusUnprocessableEntity)
				}
				if !a.Close {
					t.Error("the answer does not say that the connection is closed")
				}
				p.ended()
				x.has(t, nil)
				untouched(t)
			})
		}
	}
}

// formTrick is a form that may be read in more ways than one.
type formTrick struct {
	// contentType is that of a form with the boundary B when "".
	contentType string
	body        string
	// data is what the sender means to put, taken says that it must be. Anything
	// else is refused or exactly that.
	data  string
	taken bool
}

// formTricks are such forms, each of about the size.
func formTricks(size int, hidden string) map[string]formTrick {
	data := strings.Repeat("0123456789abcde\n", size/16)
	const disposition = "Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n"
	file := func(data string) string { return "--B\r\n" + disposition + "\r\n" + data }
	part := func(header, data string) string { return "--B\r\n" + header + "\r\n" + data }
	field := "--B\r\nContent-Disposition: form-data; name=\"comment\"\r\n\r\nhello\r\n"
	end := "\r\n--B--\r\n"
	long := strings.Repeat("b", 69)
	means := func(data string) formTrick { return formTrick{body: file(data) + end, data: data} }
	tricks := map[string]formTrick{
		"a plain one":                            {body: file(data) + end, data: data, taken: true},
		"a field before":                         {body: field + file(data) + end, data: data, taken: true},
		"a field behind":                         {body: file(data) + "\r\n" + field[:len(field)-2] + end, data: data},
		"the boundary and more in the data":      means(data + "\r\n--Bx" + data),
		"the boundary and a dash in the data":    means(data + "\r\n--B-" + data),
		"the boundary behind LF in the data":     means(data + "\n--B--\n" + data),
		"the boundary behind CR in the data":     means(data + "\r--B--\r" + data),
		"the boundary at the beginning":          means("--B--\r\n" + data),
		"the delimiter in the data":              means(data + "\r\n--B\r\n" + data),
		"the delimiter and a header in the data": means(data + "\r\n" + file(data)),
		"the closing delimiter in the data":      means(data + end + data),
		"the closing delimiter and text":         means(data + "\r\n--B--text" + data),
		"a delimiter with blanks":                means(data + "\r\n--B \t\r\n" + data),
		"CR at the end":                          {body: file(data+"\r") + end, data: data + "\r", taken: true},
		"CR LF at the end":                       {body: file(data+"\r\n") + end, data: data + "\r\n", taken: true},
		"dashes at the end":                      {body: file(data+"\r\n--") + end, data: data + "\r\n--", taken: true},
		"LF alone":                               {body: strings.ReplaceAll(file("")+"DATA"+end, "\r\n", "\n"), data: data},
		"LF alone, CR at the end":                {body: strings.ReplaceAll(file("")+"DATA\r"+end, "\r\n", "\n"), data: data + "\r"},
		"LF behind the first delimiter":          {body: "--B\n" + file(data)[len("--B\r\n"):] + end, data: data},
		"LF before the last delimiter":           {body: file(data) + "\n--B--\r\n", data: data},
		"no last delimiter":                      {body: file(data), data: data},
		"no dashes behind the last delimiter":    {body: file(data) + "\r\n--B\r\n", data: data},
		"one dash behind the last delimiter":     {body: file(data) + "\r\n--B-\r\n", data: data},
		"no CR LF behind the last delimiter":     {body: file(data) + "\r\n--B--", data: data},
		"no first delimiter":                     {body: file(data)[len("--B\r\n"):] + end, data: data},
		"a preamble":                             {body: "preamble\r\n" + file(data) + end, data: data},
		"a request as the preamble":              {body: hidden + "\r\n" + file(data) + end, data: data},
		"an epilogue":                            {body: file(data) + end + "epilogue", data: data},
		"a request as the epilogue":              {body: file(data) + end + hidden, data: data},
		"a form as the epilogue":                 {body: file(data) + end + file("other") + end, data: data},
		"two files":                              {body: file(data) + "\r\n" + file("other") + end, data: data},
		"two files, the same":                    {body: file(data) + "\r\n" + file(data) + end, data: data},
		"a file in another case":                 {body: part(strings.Replace(disposition, `"file"`, `"FILE"`, 1), data) + end, data: data},
		"no file":                                {body: field[:len(field)-2] + end, data: data},
		"a file of two names":                    {body: part(strings.Replace(disposition, `"file"`, `"other"; name="file"`, 1), data) + end, data: data},
		"a name in two spellings":                {body: part(strings.Replace(disposition, `"file"`, `"other"; name*=UTF-8''file`, 1), data) + end, data: data},
		"two dispositions":                       {body: part("Content-Disposition: form-data; name=\"other\"\r\n"+disposition, data) + end, data: data},
		"a folded disposition":                   {body: part(strings.Replace(disposition, "; name", ";\r\n name", 1), data) + end, data: data},
		"an attachment":                          {body: part(strings.Replace(disposition, "form-data", "attachment", 1), data) + end, data: data},
		"a header without a colon":               {body: part("X\r\n"+disposition, data) + end, data: data},
		"a header with a length":                 {body: part("Content-Length: 3\r\n"+disposition, data) + end, data: data},
		"a huge header":                          {body: part("X: "+strings.Repeat("x", 100<<10)+"\r\n"+disposition, data) + end, data: data},
		"many fields in the header":              {body: part(strings.Repeat("X: y\r\n", 11_000)+disposition, data) + end, data: data},
		"many fields before":                     {body: strings.Repeat(field, 1_100) + file(data) + end, data: data},
		"in base64":                              {body: part("Content-Transfer-Encoding: base64\r\n"+disposition, data) + end, data: data},
		"quoted":                                 {body: part("Content-Transfer-Encoding: quoted-printable\r\n"+disposition, data+"=41") + end, data: data + "=41"},
		"a form in it":                           {body: part("Content-Type: multipart/mixed; boundary=C\r\n"+disposition, "--C\r\n\r\n"+data+"\r\n--C--\r\n") + end, data: "--C\r\n\r\n" + data + "\r\n--C--\r\n", taken: true},
		"a boundary of 70":                       {contentType: "multipart/form-data; boundary=B" + long, body: oneFileForm("B"+long, data), data: data, taken: true},
		"a boundary of 71":                       {contentType: "multipart/form-data; boundary=Bb" + long, body: oneFileForm("Bb"+long, data), data: data},
		"a boundary in quotes":                   {contentType: `multipart/form-data; boundary="B: B"`, body: oneFileForm("B: B", data), data: data, taken: true},
		"a boundary with a blank at the end":     {contentType: `multipart/form-data; boundary="B "`, body: oneFileForm("B ", data), data: data},
		"a boundary of dashes":                   {contentType: "multipart/form-data; boundary=--", body: oneFileForm("--", data), data: data},
		"two boundaries":                         {contentType: "multipart/form-data; boundary=B; boundary=C", body: file(data) + end, data: data},
		"no boundary":                            {contentType: "multipart/form-data", body: file(data) + end, data: data},
		"an empty boundary":                      {contentType: `multipart/form-data; boundary=""`, body: oneFileForm("", data), data: data},
		"another boundary":                       {contentType: "multipart/form-data; boundary=C", body: file(data) + end, data: data},
		"a mixed one":                            {contentType: "multipart/mixed; boundary=B", body: file(data) + end, data: data},
		"in capitals":                            {contentType: "Multipart/Form-Data; BOUNDARY=B", body: file(data) + end, data: data, taken: true},
		"no form":                                {contentType: "application/octet-stream", body: data, data: data},
		"nothing":                                {body: "", data: ""},
	}
	for _, name := range []string{"LF alone", "LF alone, CR at the end"} {
		x := tricks[name]
		x.body = strings.Replace(x.body, "DATA", data, 1)
		tricks[name] = x
	}
	return tricks
}

// TestV0FormsAreNoRequests: whatever a form looks like it is refused, with nothing recorded,
// or the file is exactly what was sent in it; and what is behind it on the
// connection is read as what it is, or not at all.
func TestV0FormsAreNoRequests(t *testing.T) {
	o := startV0(t)
	hidden, untouched := hiddenPut(o)
	for _, size := range []int{64, v0Held + v0Held/4} {
		for name, trick := range formTricks(size, hidden) {
			t.Run(fmt.Sprintf("%s, %d bytes", name, size), func(t *testing.T) {
				for _, x := range v0Targets(o) {
					x.takes(t, trick)
				}
				untouched(t)
			})
		}
	}
}

// takes sends the form, and a harmless request behind it.
func (x v0Target) takes(t *testing.T, trick formTrick) {
	t.Helper()
	contentType := trick.contentType
	if contentType == "" {
		contentType = "multipart/form-data; boundary=B"
	}
	p := x.o.dial()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		p.send(x.put(trick.data) + fmt.Sprintf("HTTP/1.1\r\nHost: HOST\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, len(trick.body)) +
			trick.body + "GET " + v0Prefix + "/ping HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")
	}()
	a := p.read(http.MethodPut)
	taken := a.StatusCode == http.StatusOK
	if taken {
		a.v0(t, http.StatusOK)
		x.has(t, &trick.data)
	} else {
		a.v0(t, http.StatusUnprocessableEntity)
		x.has(t, nil)
		if trick.taken {
			t.Errorf("it was refused: %s", a.body)
		}
	}
	if !a.Close {
		if got := v0Into[string](t, p.read(http.MethodGet)); got != "Test Router..." {
			t.Errorf("the next request was answered %q", got)
		}
	}
	p.ended()
	<-sent
	if x.chunk && taken {
		x.merged(t, trick.data)
	}
}
