package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// TestCutAnswer: whatever goes wrong after the header left, the client never
// reads a clean end, and the next request on the connection is not answered.
func TestCutAnswer(t *testing.T) {
	const size = 300 << 10
	content := noise(size)
	for name, write := range map[string]func(w io.Writer) error{
		"an error at once": func(io.Writer) error { return errors.New("the disk is gone") },
		"an error later": func(w io.Writer) error {
			_, err := w.Write(content[:200<<10])
			return errors.Join(err, errors.New("the disk is gone"))
		},
		"a kind of error": func(w io.Writer) error {
			w.Write(content[:1])
			return protocol.Errorf(protocol.KindContentCorrupt, "rot")
		},
		"a clean short end": func(w io.Writer) error { _, err := w.Write(content[:size-1]); return err },
		"nothing":           func(io.Writer) error { return nil },
		"a panic":           func(w io.Writer) error { _, err := w.Write(content[:70<<10]); panic(err) },
	} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan struct{})
			f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: {serve: func(c *call) error {
				return c.serveContent(representation{
					size: size, etag: `"a"`, mediaType: "text/plain",
					writeRange: func(_ context.Context, w io.Writer, _, _ int64) error { return write(w) },
					close:      func() error { close(closed); return nil },
				})
			}}})
			p := f.dial().send(strings.Repeat("GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n\r\n", 2))
			a := p.read(http.MethodGet)
			if a.StatusCode != http.StatusOK || !errors.Is(a.err, io.ErrUnexpectedEOF) || len(a.body) >= size {
				t.Errorf("answered %s and %d bytes, then %v", a.Status, len(a.body), a.err)
			}
			p.ended()
			<-closed
			if log := f.log.String(); !strings.Contains(log, "answer cut") || !strings.Contains(log, "cut=true") {
				t.Errorf("the log does not tell: %s", log)
			}
		})
	}
}

// TestEarlyCheck: what is found before the header left is a status.
func TestEarlyCheck(t *testing.T) {
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: {serve: func(c *call) error {
		return c.serveContent(representation{size: 10, etag: `"a"`, mediaType: "text/plain",
			check: func(_ context.Context, off, n int64) error {
				return protocol.Errorf(protocol.KindContentCorrupt, "bytes %d to %d", off, off+n)
			}})
	}}})
	if p := f.do(http.MethodGet, "/v1/files/1/content", "", "Range", "bytes=2-4").problem(t, protocol.KindContentCorrupt); p.Detail != "bytes 2 to 5" {
		t.Errorf("checked %s", p.Detail)
	}
}

// TestClientGoesAway: the work for a reader that left ends, and is no error.
func TestClientGoesAway(t *testing.T) {
	ended := make(chan error, 1)
	f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: {serve: func(c *call) error {
		return c.serveContent(representation{size: 1 << 40, etag: `"a"`, mediaType: "text/plain",
			writeRange: func(_ context.Context, w io.Writer, _, _ int64) error {
				for b := make([]byte, 1<<20); ; {
					if _, err := w.Write(b); err != nil {
						ended <- err
						return err
					}
				}
			}})
	}}})
	p := f.dial().send("GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n\r\n")
	if _, err := io.CopyN(io.Discard, p, 4<<20); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if _, ok := errors.AsType[*net.OpError](<-ended); !ok {
		t.Error("the writer was not told that the client is gone")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if log := f.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("a client that went away is called an error: %s", log)
	}
}

// TestDeadReader: a reader that takes nothing is cut.
func TestDeadReader(t *testing.T) {
	const size = 64 << 20
	for name, serve := range map[string]func(c *call) error{
		"from memory": func(c *call) error {
			return c.serveContent(representation{size: size, etag: `"a"`, mediaType: "text/plain", writeRange: func(_ context.Context, w io.Writer, _, n int64) error {
				_, err := w.Write(make([]byte, n))
				return err
			}})
		},
		"from a file": func(c *call) error { return c.serveContent(zeroes(size)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, Config{Limits: Limits{Stall: 100 * time.Millisecond}}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: {serve: serve}})
			p := f.dial().send("GET /v1/files/1/content HTTP/1.1\r\nHost: HOST\r\n\r\n")
			for !strings.Contains(f.log.String(), "cut=true") {
				time.Sleep(time.Millisecond)
			}
			if a := p.read(http.MethodGet); a.err == nil {
				t.Error("a reader that was cut read a clean end")
			}
		})
	}
}

// TestSlowReader: a deadline that passes ends an answer only when nothing
// moved before it.
func TestSlowReader(t *testing.T) {
	content := noise(3 << 10)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, send := range map[string]func(w io.Writer) (int64, error){
		"memory": func(w io.Writer) (int64, error) { n, err := w.Write(content); return int64(n), err },
		"file": func(w io.Writer) (int64, error) {
			f, err := os.Open(path)
			if err != nil {
				return 0, err
			}
			defer f.Close()
			return io.Copy(w, &io.LimitedReader{R: f, N: int64(len(content))})
		},
	} {
		slow := &tricklingConn{each: 1 << 10, times: 3}
		if n, err := send(&rollingWriter{conn: slow, stall: time.Second}); err != nil || n != 3<<10 || !bytes.Equal(slow.got.Bytes(), content) {
			t.Errorf("%s: a slow reader got %d bytes, then %v", name, slow.got.Len(), err)
		}
		dead := &tricklingConn{each: 1 << 10, times: 2}
		if n, err := send(&rollingWriter{conn: dead, stall: time.Second}); !errors.Is(err, os.ErrDeadlineExceeded) || n != 2<<10 {
			t.Errorf("%s: a dead reader got %d bytes, then %v", name, n, err)
		}
	}
}

// tricklingConn takes some bytes before each deadline passes, so many times.
type tricklingConn struct {
	net.Conn
	got         bytes.Buffer
	each, times int
}

func (c *tricklingConn) SetWriteDeadline(time.Time) error { return nil }

func (c *tricklingConn) Write(p []byte) (int, error) {
	if c.times == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	c.times--
	c.got.Write(p[:c.each])
	return c.each, os.ErrDeadlineExceeded
}

func (c *tricklingConn) ReadFrom(r io.Reader) (int64, error) {
	if c.times == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	c.times--
	n, err := io.CopyN(&c.got, r, int64(c.each))
	return n, errors.Join(err, os.ErrDeadlineExceeded)
}

// zeroes is a representation in a sparse file.
func zeroes(size int64) representation {
	return representation{size: size, etag: `"a"`, mediaType: "text/plain", writeRange: func(_ context.Context, w io.Writer, off, n int64) error {
		f, err := os.CreateTemp("", "api")
		if err != nil {
			return err
		}
		defer f.Close()
		if err := errors.Join(os.Remove(f.Name()), f.Truncate(size)); err != nil {
			return err
		}
		_, err = io.Copy(w, &io.LimitedReader{R: f, N: n})
		return err
	}}
}

// TestFilesGoToTheSocketUncopied: a file is handed to the connection itself,
// in slices, by ReadFrom, which is where net uses sendfile.
func TestFilesGoToTheSocketUncopied(t *testing.T) {
	content := noise(2*sliceBytes + 17)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	conn := &readerFromConn{}
	w := &rollingWriter{conn: conn, stall: time.Second}
	n, err := io.Copy(w, &io.LimitedReader{R: f, N: int64(len(content)) + 5})
	if err != nil || n != int64(len(content)) || w.n != n || !bytes.Equal(conn.got.Bytes(), content) {
		t.Errorf("copied %d (%d) bytes, %v", n, w.n, err)
	}
	if conn.files != 4 {
		t.Errorf("the connection was given %d files, want three slices and the end", conn.files)
	}
	var _ io.ReaderFrom = &tcpConn{}
}

// readerFromConn is a connection that notes what it is given.
type readerFromConn struct {
	net.Conn
	got   bytes.Buffer
	files int
}

func (c *readerFromConn) SetWriteDeadline(time.Time) error { return nil }

func (c *readerFromConn) ReadFrom(r io.Reader) (int64, error) {
	if lr, ok := r.(*io.LimitedReader); ok {
		if _, ok := lr.R.(*os.File); ok {
			c.files++
		}
	}
	return io.Copy(&c.got, r)
}
