package upload

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"slices"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

const (
	// receiveBuffer is how much is read from a socket, hashed and written at
	// once: large enough to make system calls cheap, small enough to stay in
	// a core's cache.
	receiveBuffer = 256 << 10
	// flushEvery is how often the disk is told to begin writing.
	flushEvery = 8 << 20
)

// Body is a request's payload: exactly Length bytes from Reader, which must
// fail, not end, when fewer arrive. The hashes are checked when present.
type Body struct {
	Reader io.Reader
	Length int64
	XXH3   *protocol.XXH3
	SHA256 *[32]byte
	// MD5 is what a caller of v0 gives.
	MD5 *[md5.Size]byte
}

// received is what is known of a body once all of it was read.
type received struct {
	xxh3   protocol.XXH3
	blocks []protocol.Block
	// sha256 and md5 only when the caller gave one to compare.
	sha256 [32]byte
	md5    [md5.Size]byte
}

// same reports whether a part that is held has these bytes. Of one XXH3 anybody
// can make two; SHA-256 decides.
func (r received) same(held meta.Part) bool {
	return r.xxh3 == held.XXH3 && slices.Equal(r.blocks, held.Blocks)
}

// check compares what arrived with what the sender said it sends.
func (b Body) check(r received) error {
	if b.XXH3 != nil && *b.XXH3 != r.xxh3 {
		return &protocol.Error{Kind: protocol.KindChecksumMismatch,
			Message: "the bytes that arrived have XXH3 " + r.xxh3.String() + ", not the announced " + b.XXH3.String() + "; they were not recorded",
			Hint:    "Send them again; if it happens again, the file is changing or the network corrupts it."}
	}
	if b.SHA256 != nil && *b.SHA256 != r.sha256 {
		return unlike("SHA-256")
	}
	if b.MD5 != nil && *b.MD5 != r.md5 {
		return unlike("MD5")
	}
	return nil
}

func unlike(hash string) error {
	return &protocol.Error{Kind: protocol.KindChecksumMismatch,
		Message: "the bytes that arrived do not have the announced " + hash + "; they were not recorded",
		Hint:    "Send them again; if it happens again, the file is changing or the network corrupts it."}
}

// hashing reads a body and hashes it in one pass.
type hashing struct {
	part *protocol.PartHasher
	// plain and md5 are nil unless such a hash is to be compared.
	plain, md5 hash.Hash
}

// scratch is what one running body needs; memory is bounded by requests.
type scratch struct {
	buf  []byte
	part *protocol.PartHasher
}

func newScratch() any {
	return &scratch{buf: make([]byte, receiveBuffer), part: protocol.NewPartHasher()}
}

func (b Body) hashing(part *protocol.PartHasher) hashing {
	part.Reset()
	h := hashing{part: part}
	if b.SHA256 != nil {
		h.plain = sha256.New()
	}
	if b.MD5 != nil {
		h.md5 = md5.New()
	}
	return h
}

func (h hashing) write(p []byte) {
	_, _ = h.part.Write(p) // hashes do not fail
	if h.plain != nil {
		_, _ = h.plain.Write(p)
	}
	if h.md5 != nil {
		_, _ = h.md5.Write(p)
	}
}

func (h hashing) sum() received {
	var r received
	r.xxh3, r.blocks = h.part.Sum()
	if h.plain != nil {
		h.plain.Sum(r.sha256[:0])
	}
	if h.md5 != nil {
		h.md5.Sum(r.md5[:0])
	}
	return r
}

// receive reads the body into the target, hashing every byte on its way.
func (t *target) receive(ctx context.Context, body Body) (received, error) {
	s := t.se.svc
	sc := s.scratches.Get().(*scratch)
	defer s.scratches.Put(sc)
	h := body.hashing(sc.part)
	var off, flushed int64
	for off < body.Length {
		p := sc.buf[:min(int64(len(sc.buf)), body.Length-off)]
		if n, err := io.ReadFull(body.Reader, p); err != nil {
			return received{}, bodyError(err, off+int64(n), body.Length)
		}
		h.write(p)
		if err := t.write(ctx, p, off); err != nil {
			return received{}, err
		}
		if off < body.Length/2 && off+int64(len(p)) >= body.Length/2 {
			crashpoint.Hit(crashpoint.PartHalfWritten)
		}
		off += int64(len(p))
		if off-flushed >= flushEvery {
			t.blob.asm.Flush(t.base+flushed, off-flushed)
			flushed = off
		}
	}
	t.blob.asm.Flush(t.base+flushed, off-flushed)
	crashpoint.Hit(crashpoint.PartWritten)
	return h.sum(), nil
}

// write puts p at off of the part, once the upload may have more unsynced.
func (t *target) write(ctx context.Context, p []byte, off int64) error {
	n := int64(len(p))
	if err := t.se.reserve(ctx, n); err != nil {
		return err
	}
	_, err := t.blob.asm.WriteAt(p, t.base+off)
	t.se.wrote(t.blob, n, err == nil)
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrLost) {
		t.se.lose(ctx, t.blob)
	}
	return storeError(ctx, "write a part", err)
}

// bodyError says what an early end of the body means.
func bodyError(err error, got, want int64) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		e := protocol.Errorf(protocol.KindBadLength, "the body ended after %d of %d bytes; nothing of it was recorded", got, want)
		e.Hint = "Send it again."
		e.Err = err
		return e
	}
	return err
}
