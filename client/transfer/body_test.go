package transfer

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// spyBody counts the bytes that pass Read.
type spyBody struct {
	*fileBody
	read atomic.Int64
}

func (s *spyBody) Read(p []byte) (int, error) {
	n, err := s.fileBody.Read(p)
	s.read.Add(int64(n))
	return n, err
}

func openBody(t *testing.T, path string, off, n int64) *fileBody {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newFileBody(f, off, n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A part out of the middle of a file goes to the socket inside the kernel, is
// exact, and is counted.
func TestFileBodyIsSentByTheKernel(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 3*testPart)
	size := int64(len(data))
	up := &fakeUpload{up: protocol.Upload{UID: 7, PartSize: testPart, Size: &size}, data: map[protocol.PartNumber][]byte{}}
	r.d.uploads[7] = up
	part := data[testPart : 2*testPart]
	body := &spyBody{fileBody: openBody(t, path, testPart, testPart)}
	got, err := r.cfg.Client.PutPart(t.Context(), 7, 2, body, testPart, protocol.SumXXH3(part))
	if err != nil || got.Length != testPart {
		t.Fatal(got, err)
	}
	body.wait()
	if body.sent() != testPart || body.read.Load() != 0 || !bytes.Equal(up.data[2], part) {
		t.Errorf("%d bytes were sent, %d of them through Read", body.sent(), body.read.Load())
	}
}

func TestFileBodyReadsItsRangeOnly(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 1000)
	b := openBody(t, path, 100, 300)
	if _, ok := any(b).(io.WriterTo); ok {
		t.Error("io.Copy would prefer WriteTo to the kernel")
	}
	if _, ok := any(b).(syscall.Conn); !ok {
		t.Error("net cannot get at the file")
	}
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, data[100:400]) || b.sent() != 300 {
		t.Errorf("%d bytes, %d sent, %v", len(got), b.sent(), err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil || b.sent() != 300 {
		t.Error("after a second Close:", b.sent(), err)
	}
	b.wait()
}

// A body whose request fails at any stage is closed, and what it counted does
// not exceed the part.
func TestFileBodyOfAFailedRequest(t *testing.T) {
	r := newRig(t)
	path, _ := r.write(t, "a.bin", 2*testPart)
	for name, hook := range map[string]func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc){
		"refused at once": func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			writeProblem(w, protocol.KindStoreFull, nil)
		},
		"cut": func(http.ResponseWriter, *http.Request, http.HandlerFunc) { panic(http.ErrAbortHandler) },
		"cut half way": func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			io.CopyN(io.Discard, q.Body, testPart/2)
			panic(http.ErrAbortHandler)
		},
	} {
		r.d.on(hook)
		b := openBody(t, path, 0, testPart)
		if _, err := r.cfg.Client.PutPart(t.Context(), 7, 1, b, testPart, protocol.XXH3{}); err == nil {
			t.Errorf("%s: no error", name)
		}
		b.wait()
		if n := b.sent(); n < 0 || n > testPart {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}
