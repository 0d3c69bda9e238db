package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/osproxy/osproxy/protocol"
)

// maxDamaged is how often a block, or the list of digests, may come damaged.
const maxDamaged = 3

// errDamaged: a block came whole and does not match its digest.
var errDamaged = errors.New("block does not match its digest")

// fetch reads ranges of one File and checks the blocks in them.
type fetch struct {
	e    *Engine
	file protocol.File
	// verify has blocks checked, from askSums on. sums are then the raw
	// digests of all of them, but of content of one block: that is checked
	// against the digest itself.
	verify   bool
	sums     []byte
	item     *item
	tries    tries
	received atomic.Int64
	// whole counts the bytes of blocks that came whole and good.
	whole atomic.Int64
}

// askSums asks for the block digests and checks them against the digest, so
// that from there on every block can be checked alone. Of a single block
// nothing needs to be asked.
func (f *fetch) askSums(ctx context.Context) error {
	if protocol.BlockCount(f.file.Size) != 1 {
		return f.askList(ctx)
	}
	f.verify = true
	return f.pending()
}

// askList is askSums that leaves no list out.
func (f *fetch) askList(ctx context.Context) error {
	if err := f.pending(); err != nil {
		return err
	}
	f.verify = true
	for range maxDamaged {
		var sums []byte
		err := f.e.retry(ctx, &f.tries, func(ctx context.Context) (err error) {
			sums, err = f.e.cfg.Client.Blocks(ctx, f.file.UID)
			return err
		})
		if err != nil {
			return err
		}
		digest, err := protocol.DigestOfSums(sums)
		if err == nil && digest == *f.file.Digest && int64(len(sums)) == protocol.BlockCount(f.file.Size)*sha256.Size {
			f.sums = sums
			return nil
		}
		f.tries.n.Add(1)
	}
	return &protocol.Error{Kind: protocol.KindIntegrity, UID: f.file.UID,
		Message: "the daemon's block digests do not belong to the file's digest; nothing was written",
		Hint:    "Have the daemon's operator run: ospd fsck --read-data"}
}

// pending is KindDigestPending while the File's digest is not known.
func (f *fetch) pending() error {
	if f.file.Digest != nil {
		return nil
	}
	return &protocol.Error{Kind: protocol.KindDigestPending, UID: f.file.UID,
		Message: "the daemon has not computed the digest of this file yet, so it cannot be verified; nothing was written",
		Hint:    "Try again in a while; osp get and osp cat take it unverified with --no-verify."}
}

// sink is where a fetch has what it reads.
type sink interface {
	// room is where up to n bytes of the content from off are read to next.
	room(off, n int64) []byte
	// fill is told of those that came. Their block is not known to be good yet,
	// and when it has to be fetched again they come again.
	fill(p []byte, off int64) error
}

// run fetches the blocks of r in order. When it returns nil, what to has of
// each block is good.
func (f *fetch) run(ctx context.Context, r run, to sink) error {
	for damaged := 0; r.first < r.end; {
		from := r.first
		err := f.e.retry(ctx, &f.tries, func(ctx context.Context) error {
			good, err := f.once(ctx, r, to)
			r.first += good
			return err
		})
		if r.first > from {
			damaged = 0
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, errDamaged) {
			return err
		}
		if damaged++; damaged == maxDamaged {
			return &protocol.Error{Kind: protocol.KindIntegrity, UID: f.file.UID,
				Message: fmt.Sprintf("block %d of %s came damaged %d times", r.first+1, f.file.UID, maxDamaged),
				Hint:    "Have the daemon's operator run: ospd fsck --read-data"}
		}
		f.tries.n.Add(1)
	}
	return nil
}

// once makes one request for the blocks of r and says how many came whole and
// good, from the first.
func (f *fetch) once(ctx context.Context, r run, to sink) (good int, err error) {
	off, n := r.bytes(f.file.Size)
	body, err := f.e.cfg.Client.Content(ctx, f.file.UID, off, n, f.file.ETag)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	a := f.item.arrive()
	defer a.end()
	in := io.TeeReader(body, counted(func(n int64) {
		f.received.Add(n)
		a.add(n)
	}))
	for i := r.first; i < r.end; i++ {
		if err := f.block(i, in, to); err != nil {
			return good, err
		}
		a.keep()
		good++
		_, n := blockRange(f.file.Size, i)
		f.whole.Add(n)
	}
	return good, nil
}

// block reads block i from body. Without digests every block is good.
func (f *fetch) block(i int, body io.Reader, to sink) error {
	off, n := blockRange(f.file.Size, i)
	h := sha256.New()
	for n > 0 {
		p := to.room(off, n)
		if _, err := io.ReadFull(body, p); err != nil {
			return err
		}
		if f.verify {
			h.Write(p)
		}
		if err := to.fill(p, off); err != nil {
			return err
		}
		off += int64(len(p))
		n -= int64(len(p))
	}
	if f.verify && !f.matches(i, h.Sum(nil)) {
		return errDamaged
	}
	return nil
}

// matches compares the SHA-256 of block i with what it is to be.
func (f *fetch) matches(i int, sum []byte) bool {
	if f.sums != nil {
		return bytes.Equal(sum, f.sums[i*sha256.Size:][:sha256.Size])
	}
	digest, err := protocol.DigestOfSums(sum)
	return err == nil && digest == *f.file.Digest
}
