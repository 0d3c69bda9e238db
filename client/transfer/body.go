package transfer

import (
	"bytes"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// body is a request body that says how much of it was taken. net/http closes
// it in any case, possibly after the answer has come; only after wait may what
// it reads from be used again.
type body interface {
	io.ReadCloser
	sent() int64
	wait()
}

// fileBody is a range of a file, through a descriptor of its own.
//
// It is a syscall.Conn, which is what net looks for (net/sendfile.go) to have
// the kernel send a file: the bytes then never pass Read, and the position of
// the descriptor alone says how far it is. It must not have a WriteTo, which
// io.Copy would prefer, and Read must end at the range's end, since net/http
// reads on there to see that the body is not longer than declared.
type fileBody struct {
	f          *os.File
	start, end int64
	closed     chan struct{}

	mu   sync.Mutex // orders Close and a last look at the position
	last int64      // bytes taken as of the last look
	done bool
}

var _ syscall.Conn = (*fileBody)(nil)

// newFileBody takes over f.
func newFileBody(f *os.File, off, n int64) (*fileBody, error) {
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return &fileBody{f: f, start: off, end: off + n, closed: make(chan struct{})}, nil
}

// SyscallConn is syscall.Conn.
func (b *fileBody) SyscallConn() (syscall.RawConn, error) { return b.f.SyscallConn() }

// Read is used where the kernel cannot send: under TLS, or through a proxy.
func (b *fileBody) Read(p []byte) (int, error) {
	pos, err := b.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if pos >= b.end {
		return 0, io.EOF
	}
	return b.f.Read(p[:min(int64(len(p)), b.end-pos)])
}

// Close is io.Closer; a second one does nothing.
func (b *fileBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return nil
	}
	b.look()
	b.done = true
	close(b.closed)
	return b.f.Close()
}

func (b *fileBody) sent() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look()
	return b.last
}

func (b *fileBody) look() {
	if b.done {
		return
	}
	if pos, err := b.f.Seek(0, io.SeekCurrent); err == nil {
		b.last = max(pos-b.start, 0)
	}
}

func (b *fileBody) wait() { <-b.closed }

// memBody is bytes in memory.
type memBody struct {
	r      *bytes.Reader
	taken  atomic.Int64
	once   sync.Once
	closed chan struct{}
}

func newMemBody(p []byte) *memBody {
	return &memBody{r: bytes.NewReader(p), closed: make(chan struct{})}
}

// Read is io.Reader.
func (b *memBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.taken.Add(int64(n))
	return n, err
}

// Close is io.Closer.
func (b *memBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func (b *memBody) sent() int64 { return b.taken.Load() }
func (b *memBody) wait()       { <-b.closed }
