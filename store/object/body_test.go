package object_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

func TestUploadGivesExactlyTheSize(t *testing.T) {
	gone := errors.New("the client went away")
	for _, c := range []struct {
		name string
		r    io.Reader
		size int64
		want error
	}{
		{"whole", strings.NewReader("hello"), 5, nil},
		{"one byte", strings.NewReader("h"), 1, nil},
		{"none", strings.NewReader(""), 0, nil},
		{"in single bytes", iotest.OneByteReader(strings.NewReader("hello")), 5, nil},
		{"with the end among the bytes", iotest.DataErrReader(strings.NewReader("hello")), 5, nil},
		{"short", strings.NewReader("hell"), 5, store.ErrShort},
		{"nothing of one", strings.NewReader(""), 1, store.ErrShort},
		{"long", strings.NewReader("hello!"), 5, store.ErrShort},
		{"long in single bytes", iotest.OneByteReader(strings.NewReader("hello!")), 5, store.ErrShort},
		{"one of none", strings.NewReader("h"), 0, store.ErrShort},
		{"negative", strings.NewReader(""), -1, store.ErrShort},
		{"failing", io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(gone)), 5, gone},
		{"failing at the end", io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(gone)), 5, gone},
		{"failing with what wraps an end", io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(fmt.Errorf("%w: %w", gone, io.EOF))), 5, gone},
		{"failing where nothing is to come", iotest.ErrReader(gone), 0, gone},
		{"giving nothing for ever", silent{}, 5, io.ErrNoProgress},
	} {
		u, err := object.NewUpload(t.Context(), c.r, c.size, object.ECMA.New())
		var got []byte
		if err == nil {
			got, err = io.ReadAll(u)
			if cause := u.Stop(); !errors.Is(cause, c.want) || (cause == nil) != (err == nil) {
				t.Errorf("%s: ended because of %v after %v", c.name, cause, err)
			}
		}
		if !errors.Is(err, c.want) || (c.want == nil && int64(len(got)) != c.size) {
			t.Errorf("%s: %d bytes, %v, want %v", c.name, len(got), err, c.want)
		}
		if c.want != nil && c.size > 0 && int64(len(got)) >= c.size {
			t.Errorf("%s: the last byte was given", c.name)
		}
		if c.want != nil && !errors.Is(c.want, store.ErrShort) && errors.Is(err, store.ErrShort) {
			t.Errorf("%s: the reader's error was taken for a wrong length: %v", c.name, err)
		}
		if c.want == nil {
			sum := object.ECMA.New()
			sum.Write(got)
			if u.Sum() != sum.Sum64() {
				t.Errorf("%s: wrong sum", c.name)
			}
		}
	}
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

func TestUploadIsAReaderAndNoMore(t *testing.T) {
	u, err := object.NewUpload(t.Context(), bytes.NewReader([]byte("x")), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	var r any = u
	_, seeks := r.(io.Seeker)
	_, closes := r.(io.Closer)
	_, readsAt := r.(io.ReaderAt)
	_, writesTo := r.(io.WriterTo)
	_, measures := r.(interface{ Len() int })
	if seeks || closes || readsAt || writesTo || measures {
		t.Error("an SDK would find more than a reader")
	}
}

func TestUploadEndsWithItsContext(t *testing.T) {
	for _, body := range []string{"", "hello"} {
		ctx, cancel := context.WithCancel(t.Context())
		r := io.MultiReader(strings.NewReader(body), calling(cancel), strings.NewReader(" world"[:6*min(1, 5-len(body))]))
		u, err := object.NewUpload(ctx, r, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(u)
		if !errors.Is(err, context.Canceled) || len(got) == 5 || !errors.Is(u.Stop(), context.Canceled) {
			t.Errorf("cancelled after %q: %q, %v", body, got, err)
		}
	}
}

// calling is an empty reader that calls the function when it is reached.
type calling func()

func (c calling) Read([]byte) (int, error) { c(); return 0, io.EOF }

// TestUploadStops: nothing is read after Stop, which waits for what is.
func TestUploadStops(t *testing.T) {
	reading, goOn := make(chan bool), make(chan bool)
	read := 0
	r := readerFunc(func(p []byte) (int, error) {
		read++
		reading <- true
		<-goOn
		return copy(p, "x"), nil
	})
	u, err := object.NewUpload(t.Context(), r, 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		_, _ = io.ReadAll(u)
	}()
	<-reading
	stopped := make(chan error)
	go func() { stopped <- u.Stop() }()
	select {
	case <-stopped:
		t.Error("stopped while the reader is read")
	default:
	}
	go func() {
		for range reading { // a Read may be faster than Stop
			goOn <- true
		}
	}()
	goOn <- true
	if err := <-stopped; err != nil && !errors.Is(err, store.ErrShort) {
		t.Errorf("stop: %v", err)
	}
	before := read
	<-ended
	if _, err := u.Read(make([]byte, 1)); err == nil || read != before {
		t.Errorf("read on after stop: %v", err)
	}
	close(reading)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestDownloadGivesExactlyTheSize(t *testing.T) {
	broken := errors.New("connection reset")
	for _, c := range []struct {
		name string
		r    io.Reader
		n    int64
		got  string
		want error
	}{
		{"whole", strings.NewReader("hello"), 5, "hello", nil},
		{"none", strings.NewReader(""), 0, "", nil},
		{"more than asked for", strings.NewReader("hello"), 3, "hel", nil},
		{"an error after the last byte", io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(broken)), 5, "hello", nil},
		{"an error with the last byte", iotest.DataErrReader(io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(broken))), 5, "hello", nil},
		{"short", strings.NewReader("hell"), 5, "hell", io.ErrUnexpectedEOF},
		{"broken", io.MultiReader(strings.NewReader("he"), iotest.ErrReader(broken)), 5, "he", broken},
	} {
		body := &closing{Reader: c.r}
		d := object.NewDownload(t.Context(), body, c.n)
		got, err := io.ReadAll(d)
		if string(got) != c.got || !errors.Is(err, c.want) {
			t.Errorf("%s: %q, %v, want %q, %v", c.name, got, err, c.got, c.want)
		}
		if err := d.Close(); err != nil || !body.closed {
			t.Errorf("%s: close: %v", c.name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := object.NewDownload(ctx, &closing{Reader: io.MultiReader(strings.NewReader("he"), calling(cancel), iotest.ErrReader(broken))}, 5)
	if got, err := io.ReadAll(d); string(got) != "he" || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %q, %v", got, err)
	}
	if _, err := d.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("read with an ended context: %v", err)
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}
