package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/cmd/osp/input"
	"github.com/osproxy/osproxy/protocol"
)

// maxHeld is how much of a body is read to find out how long it is: what JSON
// the daemon takes at most.
const maxHeld = 1 << 20

// body gives raw the body that the flags ask for.
func (o *apiOptions) body(ctx context.Context, s *session, raw *client.Raw) error {
	length, announced, err := contentLength(raw.Header)
	switch {
	case err != nil:
		return err
	case len(o.sends) > 1:
		return usagef("a request has one body, but there are %s", strings.Join(o.sends, " and "))
	case len(o.sends) == 0 && announced:
		return usagef("--header Content-Length is of no use without a body")
	case len(o.sends) == 0:
		return nil
	case raw.Method == http.MethodGet || raw.Method == http.MethodHead:
		return usagef("%s has no body; parameters stand behind a ? in PATH", raw.Method)
	}
	from := o.input
	switch o.sends[0] {
	case "--field":
		b, err := jsonOf(o.fields)
		if err != nil {
			return err
		}
		if raw.Header.Get("Content-Type") == "" {
			raw.Header.Set("Content-Type", "application/json")
		}
		return held(raw, b, announced)
	case "--data":
		file, isFile := strings.CutPrefix(o.data, "@")
		if !isFile {
			return held(raw, []byte(o.data), announced)
		}
		from = file
	}
	in := s.in
	if from != standardInput {
		f, err := os.Open(from)
		if err != nil {
			return bodyUnreadable(from, err)
		}
		in = f
	}
	return o.stream(ctx, raw, in, length, announced)
}

// stream has a file, a pipe or standard input be the body. Its length is sent
// before it, so it must be known.
func (o *apiOptions) stream(ctx context.Context, raw *client.Raw, in io.Reader, length int64, announced bool) error {
	closer, ok := in.(io.Closer)
	if !ok {
		closer = io.NopCloser(nil)
	}
	if f, ok := in.(*os.File); ok {
		switch info, err := f.Stat(); {
		case err != nil, info.IsDir():
			closer.Close()
			return usagef("%s is not a file that can be read", f.Name())
		case info.Mode().IsRegular() && !announced:
			at, err := f.Seek(0, io.SeekCurrent)
			if err != nil {
				closer.Close()
				return bodyUnreadable(f.Name(), err)
			}
			raw.Body, raw.Length = f, max(info.Size()-at, 0)
			return nil
		}
	}
	in = input.UntilDone(ctx, in)
	if announced {
		raw.Body, raw.Length = readCloser{io.LimitReader(in, length), closer}, length
		return nil
	}
	defer closer.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxHeld+1))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return bodyUnreadable("the body", err)
	case len(b) > maxHeld:
		err := usagef("the body is more than %d bytes, and how many cannot be known from here; nothing was sent", maxHeld)
		err.Hint = "Give a file, or say how many: -H 'Content-Length: N'."
		return err
	}
	return held(raw, b, false)
}

type readCloser struct {
	io.Reader
	io.Closer
}

func held(raw *client.Raw, b []byte, announced bool) error {
	if announced {
		return usagef("--header Content-Length is for what comes through a pipe; the length of this body is known")
	}
	raw.Body, raw.Length = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	return nil
}

// contentLength takes the length that was announced out of the header.
func contentLength(h http.Header) (n int64, announced bool, err error) {
	values := h.Values("Content-Length")
	if len(values) == 0 {
		return 0, false, nil
	}
	h.Del("Content-Length")
	n, err = strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 || len(values) > 1 {
		return 0, false, usagef("--header Content-Length is a number of bytes, not %q", strings.Join(values, ", "))
	}
	return n, true, nil
}

// jsonOf is the object that --field asks for.
func jsonOf(fields []string) ([]byte, error) {
	object := map[string]json.RawMessage{}
	for _, field := range fields {
		key, value, ok := strings.Cut(field, "=")
		key, isJSON := strings.CutSuffix(key, ":")
		if !ok || key == "" {
			return nil, usagef("--field is KEY=TEXT or KEY:=JSON, not %q", field)
		}
		if _, twice := object[key]; twice {
			return nil, usagef("--field gives %q twice", key)
		}
		switch {
		case !isJSON:
			object[key] = marshal(value)
		case json.Valid([]byte(value)):
			object[key] = json.RawMessage(value)
		default:
			return nil, usagef("--field %s: %q is not JSON; a text is given as %s=%s", key, value, key, value)
		}
	}
	return marshal(object), nil
}

func bodyUnreadable(path string, err error) error {
	e := &protocol.Error{Kind: protocol.KindLocalIO, Message: "the body cannot be read; nothing was sent", Err: err}
	if os.IsNotExist(err) {
		e.Kind, e.Message, e.Err = protocol.KindLocalMissing, "there is no file "+path, nil
	}
	return e
}
