package digest

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"hash"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/sniff"
	"github.com/osproxy/osproxy/protocol"
)

// computing is what is computed over the bytes of a content as they pass.
type computing struct {
	sha, md hash.Hash
	// head are the first bytes, sniff.HeadSize at most; told is what they tell,
	// once there are as many or somebody wants to know.
	head []byte
	told *meta.Findings
}

func newComputing() *computing { return &computing{sha: sha256.New(), md: md5.New()} }

func (c *computing) write(p []byte) {
	c.gather(p)
	c.sha.Write(p)
	c.md.Write(p)
}

// gather has the first bytes told of once there are enough, copied only where
// they come in pieces.
func (c *computing) gather(p []byte) {
	left := sniff.HeadSize - len(c.head)
	if c.told != nil {
		return
	}
	if len(c.head) == 0 && len(p) >= left {
		c.head = p[:left]
	} else {
		c.head = append(c.head, p[:min(left, len(p))]...)
	}
	if len(c.head) == sniff.HeadSize {
		c.tell()
	}
}

// tell is what the first bytes tell.
func (c *computing) tell() meta.Findings {
	if c.told == nil {
		c.told = &meta.Findings{MediaType: sniff.MediaType(c.head)}
		if size, ok := sniff.ImageSize(c.head); ok {
			c.told.Width, c.told.Height = size.Width, size.Height
		}
		c.head = nil
	}
	return *c.told
}

func (c *computing) findings() meta.Findings {
	f := c.tell()
	f.SHA256, f.MD5 = [sha256.Size]byte(c.sha.Sum(nil)), [md5.Size]byte(c.md.Sum(nil))
	return f
}

// findings reads a content through its blocks. Each matched its record before
// it counts, so that it does not matter whether they are moved meanwhile, or
// between two attempts. One of which an MD5 was said is read wherever it lies.
func (w *Worker) findings(ctx context.Context, d meta.DigestDue, k *keeper, read func(n int64)) (f meta.Findings, err error) {
	r, err := w.cfg.Read.Through(ctx, d.Content)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if !d.Said && !r.InStores(w.reads) {
		return f, errElsewhere
	}
	c := newComputing()
	block := k.resume(d.Content, c)
	defer func() { err = errors.Join(err, k.atEnd(ctx, d.Content, block, c)) }()
	for ; block < r.Blocks(); block++ {
		if block > 0 && block%keepEvery == 0 {
			if err := k.keep(ctx, d.Content, block, c); err != nil {
				return f, err
			}
		}
		if err := w.cfg.Pace.Wait(ctx, r.Length(block)); err != nil {
			return f, err
		}
		b, err := r.Block(ctx, block)
		if err != nil {
			return f, err
		}
		c.write(b)
		read(int64(len(b)))
	}
	return c.findings(), nil
}

// fill computes all there is to know of a content whose digest was not known,
// and records it. Here it does matter where the bytes lay: nothing else says
// that they are the content's. Moved ones are meta.ErrGenChanged.
func (w *Worker) fill(ctx context.Context, d meta.DigestDue, read func(n int64)) error {
	var c *computing
	blocks := protocol.NewPartHasher()
	gen, err := w.cfg.Read.Unrecorded(ctx, d.Content, func() func([]byte) error {
		c = newComputing()
		blocks.Reset()
		return func(p []byte) error {
			if err := w.cfg.Pace.Wait(ctx, int64(len(p))); err != nil {
				return err
			}
			c.write(p)
			_, _ = blocks.Write(p) // hashes do not fail
			read(int64(len(p)))
			return nil
		}
	})
	if err != nil {
		return err
	}
	_, records := blocks.Sum()
	return w.cfg.Meta.FillDigest(ctx, meta.Filled{
		Content: d.Content, Gen: gen, Digest: protocol.DigestOf(records), Fingerprint: protocol.FingerprintOf(d.Size, records),
		Blocks: records, Findings: c.findings(),
	})
}
