package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	stdmultipart "mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// instant is when the content of the range tests was made: with a part of a
// second, which an HTTP date cannot say.
func instant() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 500e6, time.UTC) }

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// fixed is an endpoint that serves b.
func fixed(b []byte, etag string) endpoint {
	return endpoint{serve: func(c *call) error {
		return c.serveContent(representation{
			size: int64(len(b)), etag: etag, modified: instant(), mediaType: "text/x-test", disposition: "attachment",
			writeRange: func(_ context.Context, w io.Writer, off, n int64) error {
				_, err := w.Write(b[off : off+n])
				return err
			},
		})
	}}
}

// TestRangesAsServeContent asks this server and http.ServeContent the same, for
// every range with every condition, and wants the same answers.
func TestRangesAsServeContent(t *testing.T) {
	date := func(d time.Duration) string { return instant().Add(d).Format(http.TimeFormat) }
	ranges := []string{
		"", "bytes=", "bytes=,", "bytes=0-0", "bytes=0-", "bytes=1-", "bytes=9-", "bytes=10-", "bytes=0-4", "bytes=5-9", "bytes=5-100",
		"bytes=9-9", "bytes=10-10", "bytes=100-200", "bytes=-1", "bytes=-9", "bytes=-10", "bytes=-11", "bytes=-1000", "bytes=4-3", "bytes=-",
		"bytes=--1", "bytes=x-1", "bytes=1-x", "bytes=1", "bytes=1-2-3", "bytes= 1-2", "bytes=1 - 2", "bytes=\t1-2 ,", "bytes=0-1,3-4", "bytes=0-1, 3-4",
		"bytes=0-0,-1", "bytes=3-4,0-1", "bytes=0-1,1-2", "bytes=0-5,5-9", "bytes=0-,0-,0-", "bytes=0-9,0-9", "bytes=0-1,100-", "bytes=100-,200-", "bytes=0-1,4-3",
		"bytes=0-1,x", "bytes=0-99999999999999999999", "bytes=99999999999999999999-", "bytes=-99999999999999999999", "bytes=0-9223372036854775807", "bytes=9223372036854775807-",
		"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9",
	}
	conditions := [][]string{
		{}, {"If-Match", `"tag"`}, {"If-Match", `"x", "tag"`}, {"If-Match", `W/"tag"`}, {"If-Match", `"x"`}, {"If-Match", "*"}, {"If-Match", "tag"}, {"If-Match", `"x" "tag"`},
		{"If-None-Match", `"tag"`}, {"If-None-Match", `W/"tag"`}, {"If-None-Match", `"x",,"tag"`}, {"If-None-Match", `"x"`}, {"If-None-Match", "*"}, {"If-None-Match", `"unclosed`},
		{"If-Range", `"tag"`}, {"If-Range", `W/"tag"`}, {"If-Range", `"x"`}, {"If-Range", date(0)}, {"If-Range", date(time.Second)}, {"If-Range", date(-time.Second)}, {"If-Range", "rubbish"},
		{"If-Modified-Since", date(0)}, {"If-Modified-Since", date(-time.Second)}, {"If-Modified-Since", date(time.Hour)}, {"If-Modified-Since", "rubbish"},
		{"If-Unmodified-Since", date(0)}, {"If-Unmodified-Since", date(-time.Second)}, {"If-Unmodified-Since", date(time.Hour)}, {"If-Unmodified-Since", "rubbish"},
		{"If-Match", `"x"`, "If-None-Match", `"tag"`}, {"If-Match", `"tag"`, "If-None-Match", `"tag"`}, {"If-Match", `"tag"`, "If-Unmodified-Since", date(-time.Hour)},
		{"If-None-Match", `"x"`, "If-Modified-Since", date(time.Hour)}, {"If-None-Match", `"tag"`, "If-Range", `"x"`}, {"If-Match", `"tag"`, "If-Range", `"tag"`},
	}
	for _, size := range []int{0, 1, 2, 10, 1000} {
		content := noise(size)
		f := start(t, Config{}, map[protocol.RouteName]endpoint{
			protocol.RouteGetContent: fixed(content, `"tag"`), protocol.RouteHeadContent: fixed(content, `"tag"`),
		})
		ours := &http.Client{}
		defer ours.CloseIdleConnections()
		for _, rng := range ranges {
			if rng == "bytes=-1" && size == 0 || rng == "bytes=-9" && size == 0 || strings.HasPrefix(rng, "bytes=-1") && size == 0 || rng == "bytes=0-0,-1" && size == 0 {
				continue // TestRangesOtherThanServeContent
			}
			for _, cond := range conditions {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					if method == http.MethodHead && rng != "" {
						continue // TestRangesOtherThanServeContent
					}
					req := httptest.NewRequest(method, "http://"+f.addr+"/v1/files/1/content", nil)
					req.RequestURI = ""
					if rng != "" {
						req.Header.Set("Range", rng)
					}
					for i := 0; i < len(cond); i += 2 {
						req.Header.Set(cond[i], cond[i+1])
					}
					want := httptest.NewRecorder()
					want.Header().Set("ETag", `"tag"`)
					want.Header().Set("Content-Type", "text/x-test")
					http.ServeContent(want, req, "", instant(), bytes.NewReader(content))
					got, err := ours.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(got.Body)
					got.Body.Close()
					if diff := compare(answer{got, body, err}, want.Result(), method); diff != "" {
						t.Errorf("%s of %d bytes, Range %q, %q: %s", method, size, rng, cond, diff)
					}
				}
			}
		}
	}
}

// compare says how an answer differs from the oracle's.
func compare(got answer, want *http.Response, method string) string {
	wantBody, err := io.ReadAll(want.Body)
	if err != nil || got.err != nil {
		return fmt.Sprintf("reading: %v, %v", err, got.err)
	}
	if got.StatusCode != want.StatusCode {
		return fmt.Sprintf("status %d, want %d", got.StatusCode, want.StatusCode)
	}
	if cr := want.Header.Get("Content-Range"); cr != "" && got.Header.Get("Content-Range") != cr {
		return fmt.Sprintf("Content-Range %q, want %q", got.Header.Get("Content-Range"), cr)
	}
	switch got.StatusCode {
	case http.StatusNotModified:
		if got.Header.Get("ETag") != want.Header.Get("ETag") || len(got.body) > 0 {
			return fmt.Sprintf("ETag %q, body %q", got.Header.Get("ETag"), got.body)
		}
		return ""
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		if method != http.MethodHead && got.Header.Get("Content-Type") != "application/problem+json" {
			return "no problem: " + string(got.body)
		}
		return ""
	}
	for _, name := range []string{"ETag", "Last-Modified", "Accept-Ranges"} {
		if got.Header.Get(name) != want.Header.Get(name) {
			return fmt.Sprintf("%s %q, want %q", name, got.Header.Get(name), want.Header.Get(name))
		}
	}
	gotType, gotParams, _ := mime.ParseMediaType(got.Header.Get("Content-Type"))
	wantType, wantParams, _ := mime.ParseMediaType(want.Header.Get("Content-Type"))
	if gotType != wantType {
		return fmt.Sprintf("Content-Type %q, want %q", gotType, wantType)
	}
	if gotType == "multipart/byteranges" {
		g, w := parts(got.body, gotParams["boundary"]), parts(wantBody, wantParams["boundary"])
		if g != w {
			return fmt.Sprintf("parts\n%s\nwant\n%s", g, w)
		}
		return ""
	}
	if got.ContentLength != want.ContentLength || !bytes.Equal(got.body, wantBody) {
		return fmt.Sprintf("%d bytes %q, want %d bytes %q", got.ContentLength, got.body, want.ContentLength, wantBody)
	}
	return ""
}

// parts prints a multipart body without its boundary.
func parts(body []byte, boundary string) string {
	var b strings.Builder
	r := stdmultipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := r.NextPart()
		if err != nil {
			fmt.Fprintf(&b, "%v", err)
			return b.String()
		}
		content, err := io.ReadAll(p)
		fmt.Fprintf(&b, "%v %q %v\n", p.Header, content, err)
	}
}

// TestRangesOtherThanServeContent are the answers in which net/http and RFC
// 9110 differ, or an empty range would be promised.
func TestRangesOtherThanServeContent(t *testing.T) {
	for _, c := range []struct {
		method string
		size   int
		rng    string
		status int
		cr     string
	}{
		// A server must ignore a unit it does not know, and Range but on GET;
		// units are compared without case.
		{"GET", 10, "items=0-1", 200, ""},
		{"GET", 10, "bytes", 200, ""},
		{"GET", 10, "bytes =0-1", 200, ""},
		{"GET", 10, "BYTES=0-1", 206, "bytes 0-1/10"},
		{"HEAD", 10, "bytes=0-1", 200, ""},
		{"HEAD", 10, "bytes=20-", 200, ""},
		// No range is empty: -0 has no byte, and an empty file is sent whole.
		{"GET", 10, "bytes=-0", 416, "bytes */10"},
		{"GET", 10, "bytes=0-1,-0", 206, "bytes 0-1/10"},
		{"GET", 0, "bytes=-5", 200, ""},
		{"GET", 0, "bytes=-0", 200, ""},
		// Positions are digits.
		{"GET", 10, "bytes=+1-2", 416, "bytes */10"},
		{"GET", 10, "bytes=-+2", 416, "bytes */10"},
		// Every 416 says the size.
		{"GET", 10, "bytes=4-3", 416, "bytes */10"},
		// More ranges than maxRanges are not worth it.
		{"GET", 1000, "bytes=0-0" + strings.Repeat(",2-2", maxRanges), 200, ""},
	} {
		content := noise(c.size)
		f := start(t, Config{}, map[protocol.RouteName]endpoint{
			protocol.RouteGetContent: fixed(content, `"tag"`), protocol.RouteHeadContent: fixed(content, `"tag"`),
		})
		a := f.do(c.method, "/v1/files/1/content", "", "Range", c.rng)
		if a.StatusCode != c.status || a.Header.Get("Content-Range") != c.cr {
			t.Errorf("%s of %d bytes, Range %q: %d and %q, want %d and %q", c.method, c.size, c.rng, a.StatusCode, a.Header.Get("Content-Range"), c.status, c.cr)
		}
	}
}

// TestCutAnswer: whatever goes wrong after the header left, the client never
// reads a clean end, and the next request on the connection is not answered.
func TestCutAnswer(t *testing.T) {
	const size = 300 << 10
	content := noise(size)
	for name, write := range map[string]func(w io.Writer) error{
		"an error at once": func(io.Writer) error { return errors.New("the disk is gone") },
		"an error later":   func(w io.Writer) error { w.Write(content[:200<<10]); return errors.New("the disk is gone") },
		"a kind of error": func(w io.Writer) error {
			w.Write(content[:1])
			return protocol.Errorf(protocol.KindContentCorrupt, "rot")
		},
		"a clean short end": func(w io.Writer) error { _, err := w.Write(content[:size-1]); return err },
		"nothing":           func(io.Writer) error { return nil },
		"a panic":           func(w io.Writer) error { w.Write(content[:70<<10]); panic("a mistake") },
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

func TestDisposition(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt":      `attachment; filename="a.txt"`,
		"a b;c.txt":  `attachment; filename="a b;c.txt"`,
		`a"b.txt`:    `attachment; filename="a_b.txt"; filename*=UTF-8''a%22b.txt`,
		"50%41.txt":  `attachment; filename="50_41.txt"; filename*=UTF-8''50%2541.txt`,
		"naïve €.md": `attachment; filename="na_ve _.md"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.md`,
		"文件":         `attachment; filename="__"; filename*=UTF-8''%E6%96%87%E4%BB%B6`,
		"a\r\nb":     `attachment; filename="a__b"; filename*=UTF-8''a%0D%0Ab`,
	} {
		got := disposition(false, name)
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
		if _, params, err := mime.ParseMediaType(got); err != nil || params["filename"] != name {
			t.Errorf("%q reads back as %q, %v", name, params["filename"], err)
		}
	}
	for mediaType, inline := range map[string]bool{
		"image/png": true, "IMAGE/PNG": true, "text/plain; charset=utf-8": true, "application/pdf": true, "video/mp4": true,
		"text/html": false, "image/svg+xml": false, "application/xhtml+xml": false, "text/xml": false, "application/javascript": false, "": false, "text/plain, text/html": false,
	} {
		if mayInline(mediaType) != inline {
			t.Errorf("%q inline: %v, want %v", mediaType, !inline, inline)
		}
	}
}
