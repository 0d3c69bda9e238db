package api

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// FuzzV0Form: a form that is taken has one field of the file's name, with exactly
// these bytes, for the standard library too. One that is read as it comes is taken
// only where it would be taken whole, and gives no byte more or less than it said;
// and it is taken where the file is the last field and nothing is behind it.
func FuzzV0Form(f *testing.F) {
	f.Fuzz(func(t *testing.T, form []byte, boundary string, small bool) {
		if got, err := formBoundary("multipart/form-data; boundary=\"" + boundary + "\""); err != nil || got != boundary {
			return
		}
		file, err := heldFile(bytes.Clone(form), boundary)
		if err == nil {
			onlyFile(t, form, boundary, file)
		}
		streamed, size, streamErr := readStreamed(t, form, boundary, small)
		switch {
		case streamErr == nil && err != nil:
			t.Fatalf("%q was taken as it came, and whole it was not: %v", form, err)
		case streamErr == nil && (!bytes.Equal(streamed, file) || size != int64(len(file))):
			t.Fatalf("%q gave %q of %d bytes as it came, and whole %q", form, streamed, size, file)
		case streamErr != nil && int64(len(streamed)) >= size && size > 0:
			t.Fatalf("%q gave all %d bytes it said before it was refused: %v", form, size, streamErr)
		case streamErr != nil && err == nil && len(file) > 0 && isLast(form, boundary, file):
			t.Fatalf("%q has the file last, and was refused: %v", form, streamErr)
		}
	})
}

// onlyFile expects that the standard library finds the file alone under its name.
func onlyFile(t *testing.T, form []byte, boundary string, file []byte) {
	t.Helper()
	read, err := multipart.NewReader(bytes.NewReader(form), boundary).ReadForm(int64(len(form)) + 1<<20)
	if errors.Is(err, multipart.ErrMessageTooLarge) {
		return // it has more fields than that counts
	}
	if err != nil {
		t.Fatalf("%q was taken, and mime/multipart says %v", form, err)
	}
	found := read.Value[v0Field]
	for _, h := range read.File[v0Field] {
		r, err := h.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		found = append(found, string(b))
	}
	if len(found) != 1 || found[0] != string(file) {
		t.Fatalf("%q gave %q, and mime/multipart has %q", form, file, found)
	}
}

// isLast reports whether the form ends as the shortest that has the file last,
// which the standard library finds to be its last part too.
func isLast(form []byte, boundary string, file []byte) bool {
	closing := []byte("\r\n--" + boundary + "--")
	rest, ok := bytes.CutSuffix(form, append(closing, "\r\n"...))
	if !ok || bytes.Contains(rest, closing) || !bytes.HasSuffix(rest, file) || len(rest)-len(file) > v0Head {
		return false
	}
	r, last := multipart.NewReader(bytes.NewReader(form), boundary), ""
	for {
		p, err := r.NextRawPart()
		if err != nil {
			return err == io.EOF && last == v0Field
		}
		last = p.FormName()
	}
}

// readStreamed reads a form as it comes, byte by byte where small, and gives what
// came of the file, and the size that was said before.
func readStreamed(t *testing.T, form []byte, boundary string, small bool) (file []byte, size int64, err error) {
	t.Helper()
	var src io.Reader = bytes.NewReader(form)
	if small {
		src = iotest.OneByteReader(src)
	}
	b := &body{src: src, conn: restless{}, want: int64(len(form)), limits: Limits{Stall: time.Hour}, cancel: func(error) {}}
	f, err := streamedFile(b, boundary)
	if err != nil {
		return nil, 0, err
	}
	file, err = io.ReadAll(f.Reader)
	if err == nil && b.got != b.want {
		t.Fatalf("%q was taken with %d of its %d bytes read", form, b.got, b.want)
	}
	return file, f.size, err
}

// restless is a connection of which only the deadline is set.
type restless struct{ net.Conn }

func (restless) SetReadDeadline(time.Time) error { return nil }

// TestV0FormTricks: the corpus of forms holds for both readers.
func TestV0FormTricks(t *testing.T) {
	for name, trick := range formTricks(64, "GET / HTTP/1.1\r\n\r\n") {
		if trick.contentType != "" {
			continue
		}
		file, err := heldFile([]byte(trick.body), "B")
		if err == nil {
			onlyFile(t, []byte(trick.body), "B", file)
		}
		streamed, _, streamErr := readStreamed(t, []byte(trick.body), "B", strings.Contains(name, "data"))
		if trick.taken && (err != nil || streamErr != nil || string(file) != trick.data || string(streamed) != trick.data) {
			t.Errorf("%s: whole %q, %v; as it comes %q, %v", name, file, err, streamed, streamErr)
		}
		if streamErr == nil && !bytes.Equal(streamed, file) {
			t.Errorf("%s: whole %q; as it comes %q", name, file, streamed)
		}
	}
}
