package tap

import (
	"bufio"
	"io"
	"sync"
)

// ear holds what was said until it is listened to.
type ear struct {
	mu      sync.Mutex
	changed sync.Cond
	held    []byte
	// skip is how many of the bytes to come nobody wants to hear.
	skip    int64
	closed  bool
	ignored bool
}

// held at most; who says more waits until some of it was listened to.
const most = 4 << 20

func newEar() *ear {
	e := &ear{}
	e.changed.L = &e.mu
	return e
}

func (e *ear) hear(b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.held) > most && !e.ignored {
		e.changed.Wait()
	}
	n := min(e.skip, int64(len(b)))
	e.skip -= n
	if b = b[n:]; !e.ignored && len(b) > 0 {
		e.held = append(e.held, b...)
	}
	e.changed.Broadcast()
}

// pass goes to the end of a body of that length, negative where that is not
// known, which r reads from the ear, and reports whether it came. Most of a long
// one is not even copied.
func (e *ear) pass(r *bufio.Reader, body io.Reader, length int64) bool {
	if length < 0 {
		_, err := io.Copy(io.Discard, body)
		return err == nil
	}
	n, err := r.Discard(int(min(length, int64(r.Buffered()))))
	if err != nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	rest := length - int64(n)
	have := min(rest, int64(len(e.held)))
	e.held, e.skip = e.held[have:], rest-have
	e.changed.Broadcast()
	for e.skip > 0 && !e.closed {
		e.changed.Wait()
	}
	return e.skip == 0
}

// Read is io.Reader.
func (e *ear) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.held) == 0 && !e.closed {
		e.changed.Wait()
	}
	if len(e.held) == 0 {
		return 0, io.EOF
	}
	n := copy(p, e.held)
	e.held = e.held[n:]
	e.changed.Broadcast()
	return n, nil
}

// close says that nothing more will be said.
func (e *ear) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.changed.Broadcast()
}

// ignore says that nobody listens any more.
func (e *ear) ignore() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ignored, e.held = true, nil
	e.changed.Broadcast()
}
