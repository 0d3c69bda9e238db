package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

const (
	// v0Held is up to how many bytes a form is read into memory, its fields in any
	// order, with anything before and behind: a file or chunk of 1 MiB, which is
	// what clients of v0 send, and what is around it.
	v0Held = 1<<20 + 64<<10
	// v0HeldOfOne is how many forms of one uid are held at once.
	v0HeldOfOne = 4
	// v0Head bounds what comes before the file in a larger one.
	v0Head = 64 << 10
	// v0Boundary bounds a boundary (RFC 2046 section 5.1.1).
	v0Boundary = 70
	// v0Field is the field of the form that is the file.
	v0Field = "file"
)

// v0File is the file of a form. Its reader fails rather than end early, and also
// where the form around it turns out not to be whole.
type v0File struct {
	io.Reader
	size int64
	// again gives the file from its beginning once more; nil where it was not held.
	again func() io.Reader
}

// withV0File reads the request's form (RFC 7578) as far as the file in it and
// has use take that. What a client says of the file's name and type is passed
// over.
func (c *call) withV0File(use func(v0File) error) error {
	boundary, err := formBoundary(c.header("Content-Type"))
	if err != nil {
		return err
	}
	use = c.handsOnForm(use)
	if c.body.most == 0 && c.body.want > v0Held {
		return c.streamForm(boundary, use)
	}
	length := c.body.want
	if c.body.most > 0 {
		length = c.body.most + 1 // a read of so much fails
	}
	buf, release, err := c.srv.forms.take(c.ctx, c.grant.UID.String(), length, c.srv.limits.FormWait)
	if protocol.KindOf(err) == protocol.KindUnavailable && c.body.most == 0 {
		return c.streamSmallForm(boundary, use)
	}
	if err != nil {
		return err
	}
	c.release = release
	c.body.until = time.Now().Add(c.srv.limits.FormTime)
	n, err := io.ReadFull(c.body, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || c.body.err != nil {
		return fmt.Errorf("read the form: %w", err)
	}
	b, err := heldFile(buf[:n], boundary)
	if err != nil {
		return c.formError(err)
	}
	again := func() io.Reader { return bytes.NewReader(b) }
	return use(v0File{again(), int64(len(b)), again})
}

// streamForm has use take the file of a form while it comes.
func (c *call) streamForm(boundary string, use func(v0File) error) error {
	f, err := streamedFile(c.body, boundary)
	if err != nil {
		return c.formError(err)
	}
	return use(f)
}

// streamSmallForm does so where there is no memory now to hold it. What may only
// have to be held to be read can come again.
func (c *call) streamSmallForm(boundary string, use func(v0File) error) error {
	err := c.streamForm(boundary, use)
	if protocol.KindOf(err) == protocol.KindBadRequest {
		return &protocol.Error{Kind: protocol.KindUnavailable, Err: err,
			Message: "too many forms are being received already, and this one cannot be read as it comes; nothing was recorded"}
	}
	return err
}

// formBoundary reads the Content-Type of a form.
func formBoundary(field string) (string, error) {
	mediaType, params, err := mime.ParseMediaType(field)
	if err != nil || mediaType != "multipart/form-data" {
		return "", badForm("its Content-Type is not multipart/form-data")
	}
	boundary := params["boundary"]
	if boundary == "" || len(boundary) > v0Boundary || strings.ContainsAny(boundary, "\r\n") || strings.HasSuffix(boundary, " ") {
		return "", badForm("it has no boundary of 1 to 70 characters")
	}
	return boundary, nil
}

func badForm(why string) error {
	return &protocol.Error{Kind: protocol.KindBadRequest, Message: "the body is not a form with the file in its field file: " + why + "; nothing was recorded"}
}

// formError says what was wrong with a form, unless its bytes stopped coming.
func (c *call) formError(err error) error {
	if _, ok := errors.AsType[*protocol.Error](err); ok || c.body.err != nil {
		return err
	}
	return badForm("it is not whole, or not one")
}

// heldFile finds the file in a form that is whole in memory. It lies in form's own
// beginning then, so that nothing is held twice: what is read of a part is ahead
// of what is written of it, by its header at least.
func heldFile(form []byte, boundary string) (file []byte, err error) {
	r, found := multipart.NewReader(bytes.NewReader(form), boundary), false
	for {
		p, err := r.NextRawPart()
		switch {
		case err == io.EOF && !closes(form, boundary):
			return nil, io.ErrUnexpectedEOF
		case err == io.EOF && found:
			return file, nil
		case err == io.EOF:
			return nil, badForm("there is no such field")
		}
		if err != nil {
			return nil, err
		}
		is, err := isFile(p)
		switch {
		case err != nil:
			return nil, err
		case !is:
			continue
		case found:
			return nil, badForm("the field is there twice")
		}
		if file, err = readInto(form, p); err != nil {
			return nil, err
		}
		found = true
	}
}

// readInto reads all of a part to the beginning of its form, which is longer.
func readInto(form []byte, part io.Reader) ([]byte, error) {
	for n := 0; ; {
		k, err := part.Read(form[n:])
		n += k
		if err == io.EOF {
			return form[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// closes reports whether the last delimiter of a form, at the beginning of a line,
// is the closing one: one that is cut off before a next part seems to have ended.
func closes(form []byte, boundary string) bool {
	delimiter := []byte("\n--" + boundary)
	i := bytes.LastIndex(form, delimiter)
	return i >= 0 && bytes.HasPrefix(form[i+len(delimiter):], []byte("--"))
}

// isFile reports whether the part is the file, and refuses what could be read
// in two ways.
func isFile(p *multipart.Part) (bool, error) {
	if len(p.Header["Content-Disposition"]) > 1 {
		return false, badForm("a part has two Content-Dispositions")
	}
	if p.FormName() != v0Field {
		return false, nil
	}
	switch encoding := strings.ToLower(p.Header.Get("Content-Transfer-Encoding")); {
	case len(p.Header["Content-Transfer-Encoding"]) > 1:
		return false, badForm("the file has two Content-Transfer-Encodings")
	case encoding != "" && encoding != "binary" && encoding != "8bit" && encoding != "7bit":
		return false, badForm("the file is in a Content-Transfer-Encoding")
	}
	return true, nil
}
