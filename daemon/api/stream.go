package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

const (
	// sliceBytes is how much is written under one deadline.
	sliceBytes = 1 << 20
	// sealedBytes is that of TLS, which cannot go on where a deadline passed though
	// something moved.
	sealedBytes = 64 << 10
)

// errShortBody is a body that ended before the length that was promised.
var errShortBody = errors.New("the content ended before its length")

// stream is the body of an answer that comes from a store. fasthttp calls
// WriteTo after the handler returned, and Close in any case. An error of
// WriteTo closes the connection before Content-Length bytes were sent, which
// every client takes for a failure: there is no other way left to say so.
type stream struct {
	call       *call
	pieces     []piece
	size       int64
	writeRange func(ctx context.Context, w io.Writer, off, n int64) error
	close      func() error
	closed     bool
}

// Read makes a stream what fasthttp takes as a body. It is never called: the
// body is written by WriteTo.
func (s *stream) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// WriteTo writes the body to the connection. w is fasthttp's buffer before it;
// with the header flushed out of it, what follows goes round it, so that files
// go by sendfile.
func (s *stream) WriteTo(w io.Writer) (n int64, err error) {
	c := s.call
	conn := c.http.Conn()
	out := &rollingWriter{conn: conn, stall: c.door.taking}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic while writing the body: %v\n%s", v, debug.Stack())
		}
		n, c.sent = out.n, out.n
		if err != nil {
			s.cut(err)
		}
	}()
	if err := out.roll(); err != nil {
		return 0, err
	}
	if f, ok := w.(interface{ Flush() error }); ok {
		if err := f.Flush(); err != nil {
			return 0, fmt.Errorf("write the header: %w", err)
		}
	}
	for _, p := range s.pieces {
		if err := s.writePiece(out, p); err != nil {
			return out.n, err
		}
	}
	if out.n != s.size {
		return out.n, errShortBody
	}
	return out.n, nil
}

func (s *stream) writePiece(out *rollingWriter, p piece) error {
	if p.head != "" {
		if _, err := io.WriteString(out, p.head); err != nil {
			return err
		}
	}
	if p.n == 0 {
		return nil
	}
	before := out.n
	if err := s.writeRange(s.call.ctx, out, p.off, p.n); err != nil {
		return fmt.Errorf("write bytes %d to %d: %w", p.off, p.off+p.n, err)
	}
	if out.n-before != p.n {
		return errShortBody
	}
	return nil
}

// cut notes why the answer ends early. A client that went away, and a server
// that is told to close, are no errors of ours.
func (s *stream) cut(err error) {
	c := s.call
	c.cancel(err)
	c.cut = true
	level := slog.LevelDebug
	_, ours := errors.AsType[*protocol.Error](err)
	_, gone := errors.AsType[*net.OpError](err)
	if ours || !gone && !errors.Is(err, context.Canceled) {
		level, c.kind = slog.LevelError, protocol.KindOf(err)
	}
	c.srv.log.LogAttrs(c.ctx, level, "answer cut", slog.String("request_id", c.id), c.traceID(), slog.String("route", string(c.match.name)),
		slog.Int64("sent", c.sent), slog.Int64("length", s.size), slog.Any("error", err))
}

// Close closes the content and ends the call.
func (s *stream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	defer s.call.finish()
	if s.close == nil {
		return nil
	}
	return s.close()
}

// rollingWriter writes to a connection and gives up only when nothing moves
// for stall: a slow reader may take for ever, a dead one may not.
type rollingWriter struct {
	conn  net.Conn
	stall time.Duration
	n     int64
}

func (w *rollingWriter) roll() error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.stall)); err != nil {
		return fmt.Errorf("set the deadline of the answer: %w", err)
	}
	return nil
}

// Write is io.Writer.
func (w *rollingWriter) Write(p []byte) (n int, err error) {
	slice := sliceBytes
	if _, sealed := w.conn.(*sealedConn); sealed {
		slice = sealedBytes
	}
	for n < len(p) {
		if err := w.roll(); err != nil {
			return n, err
		}
		m, err := w.conn.Write(p[n:min(len(p), n+slice)])
		n += m
		w.n += int64(m)
		if err != nil && !(m > 0 && errors.Is(err, os.ErrDeadlineExceeded)) {
			return n, fmt.Errorf("write to the client: %w", err)
		}
	}
	return n, nil
}

// ReadFrom hands files to the connection, which sends them by sendfile. Other
// readers, and other connections, are copied.
func (w *rollingWriter) ReadFrom(r io.Reader) (n int64, err error) {
	lr, limited := r.(*io.LimitedReader)
	to, able := w.conn.(io.ReaderFrom)
	if limited && able {
		if _, isFile := lr.R.(*os.File); isFile {
			return w.sendFile(to, lr)
		}
	}
	return io.CopyBuffer(struct{ io.Writer }{w}, r, make([]byte, 256<<10))
}

// sendFile sends lr in slices. It ends at the end of the file, which the
// caller compares with what it expected.
func (w *rollingWriter) sendFile(to io.ReaderFrom, lr *io.LimitedReader) (n int64, err error) {
	for lr.N > 0 {
		if err := w.roll(); err != nil {
			return n, err
		}
		slice := &io.LimitedReader{R: lr.R, N: min(lr.N, sliceBytes)}
		asked := slice.N
		m, err := to.ReadFrom(slice)
		n += m
		w.n += m
		lr.N -= m
		// What was taken from the file and not sent would be lost.
		moved := m > 0 && asked-slice.N == m
		if err != nil && !(moved && errors.Is(err, os.ErrDeadlineExceeded)) {
			return n, fmt.Errorf("send to the client: %w", err)
		}
		if m == 0 {
			return n, nil
		}
	}
	return n, nil
}
