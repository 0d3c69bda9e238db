package transfer

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"hash"
	"io"
	"os"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Algorithm is what Hash computes.
type Algorithm string

// The algorithms. AlgorithmDigest is the Digest of WIRE 2, which all cores work
// on; the others are the plain hashes, of which one core can compute one.
const (
	AlgorithmDigest Algorithm = "content_hash"
	AlgorithmSHA256 Algorithm = "sha256"
	AlgorithmMD5    Algorithm = "md5"
)

// HashRequest is one file, or stream, to hash.
type HashRequest struct {
	Path string
	// Stream is read to its end where it is not nil; Path is its name then.
	Stream    io.Reader
	Algorithm Algorithm
}

// Hash computes one hash of a file of this machine, and asks no daemon. What
// is no regular file is read as a stream. The result has it as Digest, SHA256
// or MD5; its outcome is Skipped, since nothing moves. Memory does not grow with
// the file.
//
// A file that changes while it is read is KindLocalChanged. When Hash fails
// while a stream blocks, that read is left behind until it returns.
func Hash(ctx context.Context, req HashRequest, p *Progress) (Result, error) {
	h := &hashing{req: req, item: p.begin(), res: Result{Path: req.Path, Outcome: Skipped}}
	begun := time.Now()
	err := h.run(ctx)
	h.arrived.end()
	h.item.end(err == nil)
	h.res.Elapsed = time.Since(begun)
	if err != nil {
		h.res.Outcome, h.res.Digest, h.res.SHA256, h.res.MD5 = Failed, nil, "", ""
		return h.res, own(ctx, err)
	}
	return h.res, nil
}

// hashing is one run of one Hash.
type hashing struct {
	req     HashRequest
	item    *item
	arrived *arrival
	res     Result
}

func (h *hashing) run(ctx context.Context) error {
	h.arrived = h.item.arrive()
	h.item.called(h.req.Path)
	if h.req.Stream != nil {
		return h.stream(ctx, h.req.Stream)
	}
	info, err := os.Stat(h.req.Path)
	// Files that a kernel makes up say that they are empty.
	if err == nil && !info.IsDir() && (!info.Mode().IsRegular() || info.Size() == 0) {
		return h.open(ctx)
	}
	l, err := openLocal(h.req.Path, toHash())
	if err != nil {
		return err
	}
	defer l.close()
	h.res.Size = l.stamp.Size
	h.item.grow(l.stamp.Size)
	if err := h.file(ctx, l); err != nil {
		return err
	}
	return l.unchanged()
}

// file hashes a file of known size.
func (h *hashing) file(ctx context.Context, l *local) error {
	if h.req.Algorithm == AlgorithmDigest {
		d, err := l.digest(ctx, h.passed)
		h.res.Digest = &d
		return err
	}
	sum := h.plain()
	err := l.plain(ctx, sum, h.passed)
	h.record(sum)
	return err
}

// open hashes what a path gives that is no regular file. Opening a pipe waits
// for whoever writes into it.
func (h *hashing) open(ctx context.Context) error {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.Open(h.req.Path)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return localError("open "+h.req.Path, o.err)
		}
		defer o.f.Close()
		return h.stream(ctx, o.f)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stream hashes what r gives.
func (h *hashing) stream(ctx context.Context, r io.Reader) error {
	s := &source{r: r, spoiled: "so it has no hash"}
	count := func(n int64) {
		h.res.Size += n
		h.item.grow(n)
		h.passed(n)
	}
	if h.req.Algorithm == AlgorithmDigest {
		d, err := digestStream(ctx, s, count)
		h.res.Digest = &d
		return err
	}
	sum, buf := h.plain(), make([]byte, copyBuffer)
	for {
		n, err := s.fillWithin(ctx, buf)
		if err != nil && err != io.EOF {
			return err
		}
		sum.Write(buf[:n])
		count(int64(n))
		if err == io.EOF {
			h.record(sum)
			return nil
		}
	}
}

// passed counts n bytes as hashed.
func (h *hashing) passed(n int64) {
	h.arrived.add(n)
	h.arrived.keep()
}

// plain is the plain hash that is asked for.
func (h *hashing) plain() hash.Hash {
	if h.req.Algorithm == AlgorithmMD5 {
		return md5.New()
	}
	return sha256.New()
}

// record takes over what came out.
func (h *hashing) record(sum hash.Hash) {
	if h.req.Algorithm == AlgorithmMD5 {
		h.res.MD5 = hexOf(sum)
	} else {
		h.res.SHA256 = hexOf(sum)
	}
}

// digestStream is the digest of what s gives until it ends: its blocks are
// hashed on all cores while the next are read. It holds a block for each core
// and one more. done is told of the bytes of each block.
func digestStream(ctx context.Context, s *source, done func(n int64)) (protocol.Digest, error) {
	type inHand struct {
		buf []byte
		sum chan [sha256.Size]byte
	}
	whole := sha256.New()
	var line []inHand
	// oldest waits for the first block in line, and gives its buffer back.
	oldest := func() []byte {
		b := line[0]
		line = line[1:]
		sum := <-b.sum
		whole.Write(sum[:])
		return b.buf[:cap(b.buf)]
	}
	for {
		var buf []byte
		if len(line) > workers() {
			buf = oldest()
		} else {
			buf = make([]byte, protocol.BlockSize)
		}
		n, err := s.fillWithin(ctx, buf)
		if n > 0 && (err == nil || err == io.EOF) {
			b := inHand{buf[:n], make(chan [sha256.Size]byte, 1)}
			line = append(line, b)
			go func() { b.sum <- sha256.Sum256(b.buf) }()
			done(int64(n))
		}
		if err == nil {
			continue
		}
		for len(line) > 0 {
			oldest()
		}
		if err != io.EOF {
			return protocol.Digest{}, err
		}
		return protocol.Digest(whole.Sum(nil)), nil
	}
}
