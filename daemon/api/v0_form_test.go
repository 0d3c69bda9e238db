package api

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// v0Form is a request's body, and what comes of it when it is held in memory and
// when it is not. CONTENT stands for the file's bytes.
type v0Form struct {
	contentType    string // "" for the usual one
	before, behind string
	held, streamed bool
}

const (
	formOpen  = "--bound\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n"
	formClose = "\r\n--bound--\r\n"
	formField = "--bound\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nvalue\r\n"
)

func v0Forms() map[string]v0Form {
	of := func(header string) string { return "--bound\r\n" + header + "\r\n\r\n" }
	const disposition = "Content-Disposition: form-data; name=\"file\""
	return map[string]v0Form{
		"plain":                        {"", formOpen, formClose, true, true},
		"without a file name":          {"", of(disposition), formClose, true, true},
		"names without quotes":         {"", of("content-disposition:form-data;name=file;filename=x"), formClose, true, true},
		"a type of the client's":       {"", of(disposition + "\r\nContent-Type: text/html"), formClose, true, true},
		"a preamble":                   {"", "for old readers\r\nof mail\r\n" + formOpen, formClose, true, true},
		"a long preamble":              {"", strings.Repeat("a\r\n", v0Head/3+1) + formOpen, formClose, true, false},
		"an epilogue":                  {"", formOpen, formClose + "for old readers", true, false},
		"no line end at the end":       {"", formOpen, "\r\n--bound--", true, false},
		"spaces behind the boundary":   {"", strings.Replace(formOpen, "bound", "bound \t", 1), formClose, true, true},
		"spaces behind the end":        {"", formOpen, "\r\n--bound-- \r\n", true, false},
		"a field before":               {"", formField + formOpen, formClose, true, true},
		"a long field before":          {"", strings.Replace(formField, "value", strings.Repeat("a", v0Head), 1) + formOpen, formClose, true, false},
		"a field behind":               {"", formOpen, "\r\n" + formField[:len(formField)-2] + formClose, true, false},
		"a quoted boundary":            {`multipart/form-data; boundary="a b:c"`, strings.Replace(formOpen, "bound", "a b:c", 1), "\r\n--a b:c--\r\n", true, true},
		"70 bytes of boundary":         longBoundary(70, true),
		"71 bytes of boundary":         longBoundary(71, false),
		"nothing of a boundary":        {`multipart/form-data; boundary=""`, formOpen, formClose, false, false},
		"no boundary":                  {"multipart/form-data", formOpen, formClose, false, false},
		"two boundaries":               {"multipart/form-data; boundary=bound; boundary=other", formOpen, formClose, false, false},
		"another boundary":             {"multipart/form-data; boundary=other", formOpen, formClose, false, false},
		"a boundary with a space":      {`multipart/form-data; boundary="bound "`, formOpen, formClose, false, false},
		"another type":                 {"multipart/mixed; boundary=bound", formOpen, formClose, false, false},
		"not a form":                   {"application/octet-stream", formOpen, formClose, false, false},
		"a type that cannot be read":   {"multipart/form-data; boundary", formOpen, formClose, false, false},
		"two files":                    {"", formOpen + "x\r\n" + formOpen, formClose, false, false},
		"two files, the other behind":  {"", formOpen, "\r\n" + formOpen + "x" + formClose, false, false},
		"no file":                      {"", strings.Replace(formOpen, `"file"`, `"File"`, 1), formClose, false, false},
		"no name":                      {"", of("Content-Disposition: form-data"), formClose, false, false},
		"no disposition":               {"", of("Content-Type: text/plain"), formClose, false, false},
		"an attachment":                {"", of("Content-Disposition: attachment; name=\"file\""), formClose, false, false},
		"two dispositions":             {"", of(disposition + "\r\nContent-Disposition: form-data; name=\"other\""), formClose, false, false},
		"base64":                       {"", of(disposition + "\r\nContent-Transfer-Encoding: base64"), formClose, false, false},
		"quoted-printable":             {"", of(disposition + "\r\nContent-Transfer-Encoding: Quoted-Printable"), formClose, false, false},
		"two encodings":                {"", of(disposition + "\r\nContent-Transfer-Encoding: binary\r\nContent-Transfer-Encoding: base64"), formClose, false, false},
		"binary":                       {"", of(disposition + "\r\nContent-Transfer-Encoding: BINARY"), formClose, true, true},
		"a header without a colon":     {"", of(disposition + "\r\nX"), formClose, false, false},
		"a space before the colon":     {"", of("Content-Disposition : form-data; name=\"file\""), formClose, false, false},
		"a header that does not end":   {"", "--bound\r\n" + disposition + "\r\nX: ", "", false, false},
		"a long header":                {"", of(disposition + "\r\nX: " + strings.Repeat("a", v0Head)), formClose, true, false},
		"no end":                       {"", formOpen, "", false, false},
		"half of the end":              {"", formOpen, "\r\n--bound-", false, false},
		"the end of another":           {"", formOpen, "\r\n--bound\r\n", false, false},
		"a part behind that ends":      {"", formOpen, "\r\n--bound\r\nab", false, false},
		"an empty part behind":         {"", formOpen, "\r\n--bound\r\n\r\n", false, false},
		"a nested form":                {"", formOpen + "--inner\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n", "\r\n--inner--\r\n" + formClose, true, true},
		"almost the end within":        {"", formOpen + "\r\n--boundx\r\n\r\n--bound.--\r\n", formClose, true, true},
		"the end within":               {"", formOpen + "\r\n--bound--\r\n", formClose, false, false},
		"a request behind the end":     {"", formOpen, formClose + "DELETE /v1/files/1 HTTP/1.1\r\n\r\n", true, false},
		"lines that end in LF":         {"", strings.ReplaceAll(formOpen, "\r\n", "\n"), strings.ReplaceAll(formClose, "\r\n", "\n"), true, false},
		"lines that end in LF, within": {"", formOpen, "\n--bound--\n" + formClose, true, true},
	}
}

func longBoundary(n int, good bool) v0Form {
	b := strings.Repeat("b", n)
	return v0Form{"multipart/form-data; boundary=" + b, strings.Replace(formOpen, "bound", b, 1), "\r\n--" + b + "--\r\n", good, good}
}

// fileOf is the file of a form that is good: all that lies between its header
// and its end.
func (c v0Form) fileOf(content string) string {
	file := content
	if _, inner, ok := strings.Cut(c.before, formOpen); ok {
		file = inner + content
	}
	if inner, _, ok := strings.Cut(c.behind, formClose); ok && !strings.HasPrefix(inner, "\r\n--bound") {
		file += inner
	}
	return file
}

// TestV0Forms: what a form may be, held and streamed; what is refused leaves
// nothing, and the link is good for the right one.
func TestV0Forms(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	small, large := "0123456789", string(noise(v0Held))
	for name, c := range v0Forms() {
		for _, way := range []struct {
			content string
			good    bool
		}{{small, c.held}, {large, c.streamed}} {
			l := alice.v0Links("a.bin")[0]
			contentType := c.contentType
			if contentType == "" {
				contentType = "multipart/form-data; boundary=bound"
			}
			file := c.fileOf(way.content)
			body := c.before + way.content + c.behind
			a := o.do(http.MethodPut, l.URL.Single+"&md5="+md5Of([]byte(file)), body, "Content-Type", contentType)
			if !way.good {
				if a.v0(t, http.StatusUnprocessableEntity); t.Failed() {
					t.Fatalf("%s, %d bytes: %s", name, len(way.content), a.body)
				}
				if a := alice.do(http.MethodGet, "/v1/files/"+l.UID, ""); a.StatusCode != http.StatusNotFound {
					t.Errorf("%s, %d bytes: there is a file: %s", name, len(way.content), a.body)
				}
				file = way.content[:5]
				o.v0Put(l.URL.Single, []byte(file)).v0(t, http.StatusOK)
			} else if a.v0(t, http.StatusOK); t.Failed() {
				t.Fatalf("%s, %d bytes: %s", name, len(way.content), a.body)
			}
			if a := o.do(http.MethodGet, alice.v0Downloads(60, l.UID)[0].URL, ""); string(a.body) != file {
				t.Errorf("%s: %d bytes come back as %d", name, len(file), len(a.body))
			}
		}
	}
}

// FuzzHeldForm: a form is a file or refused, and the file is what mime/multipart
// and nobody else finds in it.
func FuzzHeldForm(f *testing.F) {
	f.Fuzz(func(t *testing.T, form []byte) {
		file, err := heldFile(bytes.Clone(form), "bound")
		streamed, size, streamErr := drained(form)
		if streamErr == nil && (err != nil || int64(len(streamed)) != size || !bytes.Equal(streamed, file)) {
			t.Errorf("streamed %q, held %q, %v", streamed, file, err)
		}
		if err == nil && !bytes.Contains(form, file) {
			t.Errorf("the file %q is not in the form", file)
		}
	})
}

// drained reads a form as a long one is read.
func drained(form []byte) ([]byte, int64, error) {
	b := &body{src: bytes.NewReader(form), conn: noDeadline{}, want: int64(len(form)), cancel: func(error) {}, limits: Limits{}.orDefaults()}
	f, err := streamedFile(b, "bound")
	if err != nil {
		return nil, 0, err
	}
	got, err := io.ReadAll(f)
	return got, f.size, err
}

// noDeadline is a connection that needs none.
type noDeadline struct{ net.Conn }

func (noDeadline) SetReadDeadline(time.Time) error { return nil }
