package fsck

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// recordsAtOnce is how many records of blocks are asked for at once.
const recordsAtOnce = 1024

// content checks what is recorded of a content, and hands the reading of its
// bytes to work.
func (c *checker) content(ctx context.Context, work *errgroup.Group, mc meta.ContentRefs) error {
	c.count(func(n *Counts) {
		n.Contents++
		n.Files += int64(len(mc.Files))
	})
	of := func(k Kind, detail string) { c.found(Finding{Kind: k, UIDs: mc.Files, Detail: detail}) }
	switch {
	case mc.State == meta.ContentDoomed && len(mc.Files) > 0:
		of(KindDoomed, "files point to a content that was removed")
		return nil
	case mc.State == meta.ContentDoomed:
		return nil
	case mc.State == meta.ContentDamaged:
		of(KindDamaged, "a read found damage in this content; put the file again to heal it")
	}
	if len(mc.Files) == 0 {
		of(KindUnreferenced, fmt.Sprintf("no file points to content %d", mc.ID))
	}
	if len(mc.Refused) > 0 {
		c.found(Finding{Kind: KindMD5, UIDs: mc.Refused, Detail: "the bytes have another MD5 than who put the file said, and are kept; delete the file and put it again"})
	}
	lies, err := layout.New(mc.Size, mc.Extents)
	if err != nil {
		of(KindExtents, err.Error()+"; an extent is wrong, or refers to a blob that has no row; put the file again to heal it")
	}
	if mc.Digest == nil {
		return nil // the digest job fills the records in
	}
	records, bad := c.records(ctx, mc)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if bad != nil {
		of(KindRecords, bad.Error()+"; put the file again to heal it")
	}
	if c.cfg.ReadData && err == nil && bad == nil {
		work.Go(func() error { return c.readContent(ctx, mc, lies, records) })
	}
	return nil
}

// records reads what is recorded of the blocks of a content; the error says
// what is wrong with it.
func (c *checker) records(ctx context.Context, mc meta.ContentRefs) ([]protocol.Block, error) {
	want := protocol.BlockCount(mc.Size)
	if mc.BlockRows != want {
		return nil, fmt.Errorf("%d blocks are recorded of %d", mc.BlockRows, want)
	}
	var records []protocol.Block
	for first := int64(0); first < want; first += recordsAtOnce {
		page, err := c.cfg.Meta.Blocks(ctx, mc.ID, first, min(recordsAtOnce, want-first))
		if err != nil {
			return nil, err
		}
		records = append(records, page...)
	}
	if int64(len(records)) != want {
		return nil, fmt.Errorf("%d blocks can be read of %d", len(records), want)
	}
	if d := protocol.DigestOf(records); d != *mc.Digest {
		return nil, fmt.Errorf("the block digests recorded give the digest %s, recorded is %s", d, mc.Digest)
	}
	if mc.Fingerprint != nil && *mc.Fingerprint != protocol.FingerprintOf(mc.Size, records) {
		return nil, errors.New("the block digests recorded give another fingerprint than the one recorded")
	}
	return records, nil
}

// readContent reads every block of a content and compares it with its record.
func (c *checker) readContent(ctx context.Context, mc meta.ContentRefs, lies layout.Layout, records []protocol.Block) error {
	var bad []int64
	var first error
	r := newReading(c)
	for i := range records {
		off := int64(i) * protocol.BlockSize
		ps := lies.Pieces(off, min(protocol.BlockSize, mc.Size-off))
		err := r.compareBlock(ctx, ps, records[i])
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case errors.Is(err, errUnusable):
			return nil // the store's finding says that it was not checked
		case err != nil:
			bad = append(bad, int64(i))
			if first == nil {
				first = fmt.Errorf("at %d of %s:%s: %w", ps[0].Offset, ps[0].Blob.Store, ps[0].Blob.Key, err)
			}
		}
		c.count(func(n *Counts) { n.BlocksRead++ })
	}
	if len(bad) == 0 {
		return nil
	}
	f := Finding{Kind: KindCorrupt, UIDs: mc.Files,
		Detail: fmt.Sprintf("%d of %d blocks are not what was recorded: %s; the first, %v; put the file again to heal it", len(bad), len(records), runs(bad), first)}
	if e := lies.Pieces(bad[0]*protocol.BlockSize, 1)[0].Blob; e != nil {
		f.Store, f.Key = e.Store, e.Key
	}
	c.found(f)
	return nil
}

// runs spells ascending numbers with runs as first-last, at most 20 of them.
func runs(ns []int64) string {
	var out []string
	for i := 0; i < len(ns); {
		j := i
		for j+1 < len(ns) && ns[j+1] == ns[j]+1 {
			j++
		}
		if len(out) == 20 {
			return strings.Join(out, ", ") + ", …"
		}
		if i == j {
			out = append(out, fmt.Sprint(ns[i]))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", ns[i], ns[j]))
		}
		i = j + 1
	}
	return strings.Join(out, ", ")
}
