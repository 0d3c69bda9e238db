package api

import (
	"fmt"
	"io"
	"mime/multipart"

	"github.com/osproxy/osproxy/protocol"
)

// A form says of no part how long it is, and the write side wants to know before
// it takes a byte. What the request's Content-Length leaves behind the header of
// the last part is the part and the closing delimiter; so the file has to be the
// last field of a form that is not held, and nothing may come behind the
// delimiter. That it does not is known at the end, before the file's last byte
// is handed on.

// streamedFile finds the file in a form that is read as it comes.
func streamedFile(b *body, boundary string) (v0File, error) {
	head := &headReader{body: b}
	form := multipart.NewReader(head, boundary)
	for {
		p, err := form.NextRawPart()
		if err != nil {
			return v0File{}, err
		}
		is, err := isFile(p)
		if err != nil {
			return v0File{}, err
		}
		if !is {
			continue
		}
		head.past = true
		size := b.want - b.got - int64(len("\r\n--")+len(boundary)+len("--\r\n"))
		if size <= 0 {
			return v0File{}, notLast()
		}
		return v0File{Reader: &lastPart{form: form, part: p, left: size, body: b}, size: size}, nil
	}
}

func notLast() error {
	return badForm(fmt.Sprintf("in one of more than %d bytes it is the last field, and the closing delimiter with its CR LF the end", v0Held))
}

// headReader gives one byte at a time, so that the reader of the form has taken
// no more than the header of a part when it has found that; past is set then.
type headReader struct {
	body *body
	n    int
	past bool
}

// Read is io.Reader.
func (h *headReader) Read(p []byte) (int, error) {
	if h.past || len(p) == 0 {
		return h.body.Read(p)
	}
	if h.n == v0Head {
		return 0, badForm(fmt.Sprintf("it does not begin within %d bytes", v0Head))
	}
	h.n++
	return h.body.Read(p[:1])
}

// lastPart is a part of known length that is the last one.
type lastPart struct {
	form *multipart.Reader
	part *multipart.Part
	left int64
	body *body
	err  error
}

// Read is io.Reader. It gives the last bytes only when the form ended behind
// them.
func (l *lastPart) Read(p []byte) (int, error) {
	switch {
	case l.err != nil:
		return 0, l.err
	case l.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := l.part.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	switch {
	case l.left == 0:
		err = l.ended()
	case err == io.EOF:
		err = notLast()
	}
	if err != nil {
		l.err = l.because(err)
		return 0, l.err
	}
	return n, nil
}

// ended finds out whether nothing follows but the closing delimiter.
func (l *lastPart) ended() error {
	if n, err := l.part.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return notLast()
	}
	if _, err := l.form.NextRawPart(); err != io.EOF {
		return notLast()
	}
	if l.body.got != l.body.want {
		return notLast()
	}
	return nil
}

// because is why a part ended: that its bytes stopped coming, where they did.
func (l *lastPart) because(err error) error {
	if l.body.err != nil {
		return l.body.err
	}
	if protocol.KindOf(err) == protocol.KindInternal {
		return notLast()
	}
	return err
}
