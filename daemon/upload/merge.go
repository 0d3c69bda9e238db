package upload

import (
	"context"
	"crypto/md5"
	"fmt"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Merge is what a caller says of the file that chunks are.
type Merge struct {
	// Num is how many chunks there are: those of the numbers from 1 on.
	Num  int
	Size int64
	MD5  [md5.Size]byte
}

// MergeLinked turns the chunks of a link's file into a file that reads at once.
// It moves no bytes. The MD5 is compared where it is known, which is when the
// chunks came in order; else the file's digest job finds whether it has it. On any
// error nothing has changed. The same again gives the same answer.
func (s *Service) MergeLinked(ctx context.Context, l Linked, m Merge) (protocol.File, error) {
	if m.Num < 1 || m.Num > protocol.MaxParts {
		return protocol.File{}, protocol.Errorf(protocol.KindBadRequest, "a file is merged of 1 to %d chunks, not of %d; nothing was merged", protocol.MaxParts, m.Num)
	}
	if err := s.checkSize(m.Size); err != nil {
		return protocol.File{}, err
	}
	if err := l.Check(&m.Size); err != nil {
		return protocol.File{}, err
	}
	if err := l.still(ctx); err != nil {
		return protocol.File{}, err
	}
	f, repeated, err := s.publish(ctx, l.Owner, l.UID, func(up meta.Upload, parts []meta.Part) (meta.Commit, error) { return s.planMerge(up, m, parts) })
	if err != nil || !repeated {
		return f, err
	}
	said, err := s.db.Said(ctx, l.Owner, l.UID)
	if err == nil && (said == nil || *said != m.MD5 || f.Size != m.Size) {
		err = &protocol.Error{Kind: protocol.KindCommitted, UID: l.UID, Message: "the file is there already, and not as this request says; it does not change any more", Hint: "Ask for a new link."}
	}
	return f, err
}

// planMerge is plan for chunks.
func (s *Service) planMerge(up meta.Upload, m Merge, chunks []meta.Part) (meta.Commit, error) {
	if !up.Chunks {
		return meta.Commit{}, notInChunks(up.UID)
	}
	if err := m.check(up.UID, chunks); err != nil {
		return meta.Commit{}, err
	}
	said := &meta.SaidMD5{MD5: m.MD5}
	// It may be of more: of a chunk that a power cut took.
	if up.InOrder.Next == protocol.PartNumber(m.Num)+1 {
		all := md5.New()
		if err := restore(all, up.InOrder.State); err != nil {
			return meta.Commit{}, err
		}
		if [md5.Size]byte(all.Sum(nil)) != m.MD5 {
			return meta.Commit{}, &protocol.Error{Kind: protocol.KindDigestDiffers, UID: up.UID,
				Message: "the chunks together have another MD5 than the one given; nothing was merged, and they are held", Hint: "Send those again that differ from the file, and merge them then."}
		}
		said.Agrees = true
	}
	c := meta.Commit{Owner: up.Owner, UID: up.UID, Size: m.Size, ETag: `"u` + up.UID.String() + `"`, Extents: eachExtent(chunks), Said: said}
	if blocks, whole := blocksOf(chunks); whole {
		digest, fingerprint := protocol.DigestOf(blocks), protocol.FingerprintOf(m.Size, blocks)
		c.Digest, c.Fingerprint, c.Blocks, c.ETag, c.Extents = &digest, &fingerprint, blocks, etagOf(digest), extentsOf(chunks)
		c.Compose = s.composes(c.Extents)
	}
	return c, nil
}

// check compares what is said with the chunks that are held, by number.
func (m Merge) check(uid protocol.UID, chunks []meta.Part) error {
	numbers := make([]protocol.PartNumber, len(chunks))
	var size int64
	for i, c := range chunks {
		numbers[i] = c.Number
		size += c.Length
	}
	missing := protocol.MissingParts(numbers, protocol.PartNumber(m.Num))
	switch {
	case len(missing) > 0:
		return &protocol.Error{Kind: protocol.KindPartsMissing, UID: uid, Missing: missing,
			Message: fmt.Sprintf("%d chunks are held, and of those from 1 to %d some are missing, the first is %d; nothing was merged", len(chunks), m.Num, missing[0][0]),
			Hint:    "Send those that are missing, and merge them then."}
	case len(chunks) > m.Num:
		return &protocol.Error{Kind: protocol.KindPartsDiffer, UID: uid, Parts: []protocol.Part{},
			Message: fmt.Sprintf("%d chunks are held, not %d; nothing was merged", len(chunks), m.Num), Hint: "Merge all that were sent."}
	case size != m.Size:
		return &protocol.Error{Kind: protocol.KindPartsDiffer, UID: uid, Parts: []protocol.Part{},
			Message: fmt.Sprintf("the chunks have %d bytes together, not %d; nothing was merged, and they are held", size, m.Size), Hint: "Send those again that differ from the file, and merge them then."}
	}
	return nil
}

// blocksOf are the blocks of the whole, where no block is of two chunks.
func blocksOf(chunks []meta.Part) (blocks []protocol.Block, whole bool) {
	for i, c := range chunks {
		if i < len(chunks)-1 && c.Length%protocol.BlockSize != 0 {
			return nil, false
		}
		blocks = append(blocks, c.Blocks...)
	}
	return blocks, true
}

// eachExtent lists where the chunks lie, each with its XXH3: that is what is
// known of the bytes until the digest job has read them.
func eachExtent(chunks []meta.Part) []meta.Extent {
	out := make([]meta.Extent, len(chunks))
	for i, c := range chunks {
		out[i] = meta.Extent{Blob: c.Blob, Store: c.Store, Key: c.Key, Offset: c.BlobOffset, Length: c.Length, XXH3: &chunks[i].XXH3}
	}
	return out
}

// Known is KindNotFound where there is neither a file of the uid nor a chunk of
// one.
func (s *Service) Known(ctx context.Context, owner protocol.Owner, uid protocol.UID) error {
	up, err := s.db.Upload(ctx, owner, uid)
	if err != nil || up.State != protocol.UploadOpen {
		return err
	}
	if up.Chunks {
		parts, _, err := s.db.Parts(ctx, owner, uid)
		if protocol.KindOf(err) == protocol.KindCommitted {
			return nil
		}
		if err != nil || len(parts) > 0 {
			return err
		}
	}
	return &protocol.Error{Kind: protocol.KindNotFound, UID: uid, Message: "there is neither a file " + uid.String() + " nor a chunk of one"}
}

// Chunks are the numbers of the chunks that are held for certain of an upload in
// chunks: none of one that was merged. An upload that is unknown, or is another's,
// is KindNotFound.
func (s *Service) Chunks(ctx context.Context, owner protocol.Owner, uid protocol.UID) ([]protocol.PartNumber, error) {
	list := []protocol.PartNumber{}
	up, err := s.db.Upload(ctx, owner, uid)
	if err != nil || up.State != protocol.UploadOpen || !up.Chunks {
		return list, err
	}
	parts, _, err := s.heldParts(ctx, up)
	if protocol.KindOf(err) == protocol.KindCommitted {
		return list, nil
	}
	for _, p := range parts {
		list = append(list, p.Number)
	}
	return list, err
}
