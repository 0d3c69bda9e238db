package upload

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// syncsAtOnce bounds the blobs of one commit that are synced at the same time.
const syncsAtOnce = 4

// Commit turns an open upload into a file that reads at once. It moves no
// bytes: it checks the recorded parts, makes them durable, and publishes them
// in one transaction. The upload's gen, noted when the parts were read and
// required by the transaction, makes sure that what was checked and synced is
// what is published; when a part came in between, it begins again.
//
// repeated tells that the upload was committed before; the file is then
// answered as it is and c is not compared.
func (s *Service) Commit(ctx context.Context, owner protocol.Owner, uid protocol.UID, c protocol.CommitUpload) (f protocol.File, repeated bool, err error) {
	return s.publish(ctx, owner, uid, func(up meta.Upload, parts []meta.Part) (meta.Commit, error) { return s.plan(up, c, parts) })
}

// planning says what the transaction must record that makes a file of parts, or
// why there is none. It changes nothing.
type planning func(up meta.Upload, parts []meta.Part) (meta.Commit, error)

// publish is Commit by whatever plan.
func (s *Service) publish(ctx context.Context, owner protocol.Owner, uid protocol.UID, plan planning) (f protocol.File, repeated bool, err error) {
	for {
		up, err := s.db.Upload(ctx, owner, uid)
		if err != nil {
			return protocol.File{}, false, err
		}
		if up.State == protocol.UploadCommitted {
			return *up.File, true, nil
		}
		f, err := s.commit(ctx, up, plan)
		switch {
		case err == nil:
			s.sessions.forget(uid, up.Blob)
			s.cfg.Observe("committed")
			s.cfg.Committed()
			return f, false, nil
		case errors.Is(err, meta.ErrGenChanged), protocol.KindOf(err) == protocol.KindCommitted:
			if ctx.Err() != nil {
				return protocol.File{}, false, context.Cause(ctx)
			}
		default:
			return protocol.File{}, false, err
		}
	}
}

// commit is one attempt.
func (s *Service) commit(ctx context.Context, up meta.Upload, plan planning) (protocol.File, error) {
	parts, gen, err := s.heldParts(ctx, up)
	if err != nil {
		return protocol.File{}, err
	}
	if gen != up.Gen {
		return protocol.File{}, meta.ErrGenChanged // what is known of the upload is older than the parts
	}
	rec, err := plan(up, parts)
	if err != nil {
		return protocol.File{}, err
	}
	rec.Gen = gen
	crashpoint.Hit(crashpoint.CommitChecked)
	if err := s.syncParts(ctx, up, parts); err != nil {
		return protocol.File{}, err
	}
	crashpoint.Hit(crashpoint.CommitSynced)
	ctx, cancel := finishing(ctx)
	defer cancel()
	rec.CommittedAt = s.now()
	f, err := s.db.Commit(ctx, rec)
	if err != nil {
		return protocol.File{}, err
	}
	crashpoint.Hit(crashpoint.CommitRecorded)
	return f, nil
}

// plan checks the parts against the upload and the request and says what the
// transaction must record.
func (s *Service) plan(up meta.Upload, c protocol.CommitUpload, parts []meta.Part) (meta.Commit, error) {
	if up.Chunks {
		return meta.Commit{}, inChunks(up.UID)
	}
	size, err := s.finalSize(up, c, parts)
	if err != nil {
		return meta.Commit{}, err
	}
	layout := protocol.Layout{Size: size, PartSize: up.PartSize}
	if err := layout.Check(); err != nil {
		return meta.Commit{}, err
	}
	if err := covers(layout, parts); err != nil {
		return meta.Commit{}, err
	}
	sums := make([]protocol.XXH3, len(parts))
	var blocks []protocol.Block
	for i, p := range parts {
		sums[i] = p.XXH3
		blocks = append(blocks, p.Blocks...)
	}
	if c.PartsXXH3 != nil && *c.PartsXXH3 != protocol.PartsXXH3(sums) {
		return meta.Commit{}, differ(parts, "the parts held are not those the caller holds; nothing was committed")
	}
	digest := protocol.DigestOf(blocks)
	if c.Digest != nil && *c.Digest != digest {
		return meta.Commit{}, &protocol.Error{Kind: protocol.KindDigestDiffers, UID: up.UID,
			Message: "the digest of the parts held is " + digest.String() + ", not the given one; nothing was committed",
			Hint:    "Compare the parts' XXH3 with the file and send those that differ."}
	}
	fingerprint := protocol.FingerprintOf(size, blocks)
	extents := extentsOf(parts)
	return meta.Commit{
		Owner: up.Owner, UID: up.UID, Size: size, Digest: &digest, Fingerprint: &fingerprint,
		ETag: etagOf(digest), Blocks: blocks, Extents: extents, Compose: s.composes(extents), From: up.From,
	}, nil
}

// composes reports whether the stores that the extents lie in join objects.
func (s *Service) composes(extents []meta.Extent) bool {
	for _, e := range extents {
		st := s.cfg.Stores[e.Store]
		if st == nil {
			return false
		}
		if _, ok := st.Composer(); !ok {
			return false
		}
	}
	return true
}

// finalSize is the size the file will have. Parts beyond it are not forgotten
// silently.
func (s *Service) finalSize(up meta.Upload, c protocol.CommitUpload, parts []meta.Part) (int64, error) {
	var size int64
	switch {
	case up.Size != nil && c.Size != nil && *up.Size != *c.Size:
		return 0, differ(parts, "the upload began with another size; nothing was committed")
	case up.Size != nil:
		size = *up.Size
	case c.Size != nil:
		size = *c.Size
	default:
		return 0, &protocol.Error{Kind: protocol.KindSizeRequired, UID: up.UID,
			Message: "the upload began without a size, so its commit must name it; nothing was committed",
			Hint:    `Send {"size": N} with the number of bytes.`}
	}
	if err := s.checkSize(size); err != nil {
		return 0, err
	}
	for _, p := range parts {
		if p.Offset+p.Length > size {
			return 0, differ(parts, "parts are held beyond the size given; nothing was committed")
		}
	}
	return size, nil
}

// covers checks that the parts, ordered by number, are all that l wants, each
// of its full length.
func covers(l protocol.Layout, parts []meta.Part) error {
	have := make([]protocol.PartNumber, 0, len(parts))
	for _, p := range parts {
		if l.CheckLength(p.Number, p.Length) == nil {
			have = append(have, p.Number)
		}
	}
	missing := protocol.MissingParts(have, l.Count())
	if len(missing) == 0 {
		return nil
	}
	return &protocol.Error{Kind: protocol.KindPartsMissing, Missing: missing,
		Message: "parts are missing or too short; nothing was committed", Hint: "Send the parts named in \"missing\", then commit again."}
}

func differ(parts []meta.Part, message string) error {
	return &protocol.Error{Kind: protocol.KindPartsDiffer, Parts: wireParts(parts), Message: message,
		Hint: "Compare the parts in \"parts\" with the file and send those that differ, then commit again."}
}

// extentsOf lists where the parts lie, joining neighbours.
func extentsOf(parts []meta.Part) []meta.Extent {
	var out []meta.Extent
	for _, p := range parts {
		if n := len(out); n > 0 {
			if e := &out[n-1]; e.Blob == p.Blob && e.Offset+e.Length == p.BlobOffset {
				e.Length += p.Length
				continue
			}
		}
		out = append(out, meta.Extent{Blob: p.Blob, Store: p.Store, Key: p.Key, Offset: p.BlobOffset, Length: p.Length})
	}
	return out
}

// etagOf is the ETag of a file whose digest is known at commit.
func etagOf(d protocol.Digest) string { return `"` + d.String() + `"` }

// syncParts makes durable every part that is not. A failed sync loses its
// blob: its parts are no longer listed and the commit fails.
func (s *Service) syncParts(ctx context.Context, up meta.Upload, parts []meta.Part) error {
	unsynced := map[meta.BlobID]meta.Part{}
	for _, p := range parts {
		if p.BootID != "" {
			unsynced[p.Blob] = p
		}
	}
	if len(unsynced) == 0 {
		return nil
	}
	se := s.sessions.enter(up.UID)
	defer s.sessions.leave(se)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(syncsAtOnce)
	for _, p := range unsynced {
		g.Go(func() error { return se.syncBlobOf(ctx, up, p) })
	}
	return g.Wait()
}
