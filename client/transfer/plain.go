package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/protocol"
)

// sumPlain hashes size bytes of r in order, as plain hashes want it, and tells
// done of what it has.
func sumPlain(ctx context.Context, h hash.Hash, r io.ReaderAt, size int64, done func(n int64)) error {
	return feed(ctx, io.MultiWriter(h, counted(done)), r, 0, size, make([]byte, copyBuffer))
}

// counted is a Writer that tells of the bytes written to it.
type counted func(n int64)

// Write is io.Writer and never fails.
func (c counted) Write(p []byte) (int, error) {
	c(int64(len(p)))
	return len(p), nil
}

func hexOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// sumBeside is the SHA-256 of the file of a put, hashed beside the parts.
type sumBeside struct {
	ended chan struct{}
	sum   string
	err   error
}

// beginSum begins to hash the file as a whole, where the caller wants that. The
// returned function gives it up, if it still runs, and waits for its end.
func (p *put) beginSum(ctx context.Context) (end func()) {
	if !p.req.SHA256 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &sumBeside{ended: make(chan struct{})}
	p.beside = s
	go func() {
		defer close(s.ended)
		h := sha256.New()
		if s.err = p.local.plain(ctx, h, func(int64) {}); s.err == nil {
			s.sum = hexOf(h)
		}
	}()
	return func() { cancel(); <-s.ended }
}

// summed waits for the SHA-256, where there is to be one. Whether the file
// changed meanwhile is looked at afterwards.
func (p *put) summed() error {
	if p.beside == nil {
		return nil
	}
	<-p.beside.ended
	p.res.SHA256 = p.beside.sum
	return p.beside.err
}

// knownOther is KindIntegrity when the daemon knows the File's SHA-256 and it
// is not the wanted one ("" for any).
func (f *fetch) knownOther(want string) error {
	if want == "" || f.file.SHA256 == nil || *f.file.SHA256 == want {
		return nil
	}
	return f.otherSum(fmt.Sprintf("file %s has", f.file.UID), *f.file.SHA256, want, "nothing was written")
}

func (f *fetch) otherSum(who, sum, want, so string) error {
	return &protocol.Error{Kind: protocol.KindIntegrity, UID: f.file.UID,
		Message: fmt.Sprintf("%s the SHA-256 %s, not %s; %s", who, sum, want, so),
		Hint:    fmt.Sprintf("Check that the uid and the SHA-256 belong together: osp stat %s", f.file.UID)}
}

// checkSum compares the SHA-256 of a file that holds the whole content with the
// one the caller named, if any.
func (g *get) checkSum(ctx context.Context, r io.ReaderAt, who, so string) error {
	if g.req.SHA256 == "" {
		return nil
	}
	h := sha256.New()
	defer g.fetch.item.hashed()
	if err := sumPlain(ctx, h, r, g.fetch.file.Size, g.fetch.item.hashing); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return localError("check what is to be "+g.target.path(), err)
	}
	if sum := hexOf(h); sum != g.req.SHA256 {
		return g.fetch.otherSum(who, sum, g.req.SHA256, so)
	}
	g.res.SHA256 = g.req.SHA256
	return nil
}

// settlePart makes the part file durable while its SHA-256 is checked.
func (g *get) settlePart(ctx context.Context) error {
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return g.checkSum(ctx, g.f, "what was received has", "nothing was written") })
	both.Go(func() error {
		if err := g.f.Sync(); err != nil {
			return localError("write "+g.target.pathOf(g.part), err)
		}
		return nil
	})
	return both.Wait()
}

// sumWriter passes on what is written to it, but for the last piece of content
// that does not have the SHA-256 it should: what came out is not whole then.
type sumWriter struct {
	w    io.Writer
	f    *fetch
	want string
	h    hash.Hash
	left int64
}

func newSumWriter(w io.Writer, f *fetch, want string) *sumWriter {
	return &sumWriter{w: w, f: f, want: want, h: sha256.New(), left: f.file.Size}
}

// Write is io.Writer.
func (s *sumWriter) Write(p []byte) (int, error) {
	s.h.Write(p)
	s.left -= int64(len(p))
	if err := s.check(); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// check compares once all has come. Content without a byte is never written.
func (s *sumWriter) check() error {
	if s.left > 0 {
		return nil
	}
	if sum := hexOf(s.h); sum != s.want {
		return s.f.otherSum("what was received has", sum, s.want, "its end was not written")
	}
	return nil
}
