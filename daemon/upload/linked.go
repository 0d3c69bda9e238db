package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/protocol"
)

// Linked is the one file that a link allows to be put.
type Linked struct {
	Owner protocol.Owner
	UID   protocol.UID
	// MaxSize bounds it; -1 where the service's limit is the only one.
	MaxSize int64
	// AnySize has a put begin its upload without a size, so that the next one may
	// bring another file while none is there, also where it was begun in chunks and
	// none of them is recorded.
	AnySize bool
	// Still says whether the link is still good, before each part and the commit:
	// one request may take long. It may be nil.
	Still func(ctx context.Context) error
}

func (l Linked) still(ctx context.Context) error {
	if l.Still == nil {
		return nil
	}
	return l.Still(ctx)
}

// BeginLinked makes the upload of a link's file, or finds the one that was made
// by the link before. It is never maybe, so no claim is heard for it. A link
// whose file is there is KindCommitted; one whose file was there, or whose
// upload was given up, KindConflict: each puts one file.
func (s *Service) BeginLinked(ctx context.Context, l Linked, b protocol.BeginUpload) (once.Reply, error) {
	if err := s.checkBegin(b); err != nil {
		return once.Reply{}, err
	}
	if err := l.Check(b.Size); err != nil {
		return once.Reply{}, err
	}
	r, found, err := s.beginOf(ctx, l, beginning{BeginUpload: b, uid: l.UID})
	if err != nil || found == nil {
		return r, err
	}
	u, err := s.describe(ctx, *found)
	if err != nil {
		return once.Reply{}, err
	}
	return once.ReplyOf(false, found.UID, u)
}

func usedUp(uid protocol.UID) error {
	return &protocol.Error{Kind: protocol.KindConflict, UID: uid, Message: "this link was used; its file was deleted, or its upload given up, since; nothing was recorded",
		Hint: "Ask who gave it to you for a new one."}
}

// Check is nil where a file of the size, nil while it is unknown, may be put.
func (l Linked) Check(size *int64) error {
	switch {
	case l.MaxSize < 0:
		return nil
	case size == nil:
		return &protocol.Error{Kind: protocol.KindSizeRequired, Message: "this link is for a file of bounded size, and the request does not say the size; nothing was recorded"}
	case *size > l.MaxSize:
		return protocol.Errorf(protocol.KindTooLarge, "%d bytes are more than the %d this link is for; nothing was recorded", *size, l.MaxSize)
	}
	return nil
}

// PutLinked puts the link's file in one request of any length: in parts, one
// after the other, so that memory does not grow with it. b has the size. A
// request that broke off is repeated: what it left is compared, not written again.
// The hashes of body are of the whole.
func (s *Service) PutLinked(ctx context.Context, l Linked, b protocol.BeginUpload, body Body) (f protocol.File, err error) {
	u, err := s.beginPut(ctx, l, b)
	if err != nil {
		return f, err
	}
	whole := newWhole(body)
	layout := protocol.Layout{Size: *b.Size, PartSize: u.PartSize}
	var parts []meta.Part
	for n := protocol.PartNumber(1); int64(n-1)*u.PartSize < *b.Size; n++ {
		_, length, err := layout.Range(n)
		if err != nil {
			return f, err
		}
		p, err := s.putLinkedPart(ctx, l, n, Body{Reader: whole, Length: length})
		if err != nil {
			return f, err
		}
		parts = append(parts, p)
	}
	if err := s.dropBeyond(ctx, l, u, protocol.PartNumber(len(parts))); err != nil {
		return f, err
	}
	if err := whole.check(body); err != nil {
		return f, errors.Join(err, s.dropParts(ctx, l, parts))
	}
	if err := l.still(ctx); err != nil {
		return f, err
	}
	// It is a file of the bytes that were read here, whoever else has the link.
	all, digest := hashesOf(parts)
	f, repeated, err := s.publish(ctx, l.Owner, l.UID, func(up meta.Upload, parts []meta.Part) (meta.Commit, error) {
		c, err := s.plan(up, protocol.CommitUpload{Size: b.Size, PartsXXH3: &all, Digest: &digest}, parts)
		if protocol.KindOf(err) == protocol.KindPartsMissing {
			err = takenBack(l.UID, err)
		}
		if body.MD5 != nil {
			c.Said = &meta.SaidMD5{MD5: *body.MD5, Agrees: true}
		}
		return c, err
	})
	if err == nil && repeated {
		// Somebody else's request with the same link was first, with bytes of its
		// own.
		err = committed(meta.Upload{NewUpload: meta.NewUpload{UID: l.UID}})
	}
	return f, err
}

// takenBack is the error of a request whose parts another took back that came
// with the same link and other bytes.
func takenBack(uid protocol.UID, err error) error {
	return &protocol.Error{Kind: protocol.KindPartsDiffer, UID: uid, Parts: []protocol.Part{}, Err: err,
		Message: "somebody else sends other bytes with the same link, and what this request had sent was taken back; nothing was committed",
		Hint:    "Send it again, once nobody else does."}
}

func hashesOf(parts []meta.Part) (protocol.XXH3, protocol.Digest) {
	var sums []protocol.XXH3
	var blocks []protocol.Block
	for _, p := range parts {
		sums, blocks = append(sums, p.XXH3), append(blocks, p.Blocks...)
	}
	return protocol.PartsXXH3(sums), protocol.DigestOf(blocks)
}

// beginPut begins the upload of a file that comes in one request, or finds the one
// that an earlier request began.
func (s *Service) beginPut(ctx context.Context, l Linked, b protocol.BeginUpload) (u protocol.Upload, err error) {
	begin := b
	if l.AnySize {
		if err := errors.Join(s.checkBegin(b), l.Check(b.Size)); err != nil {
			return u, err
		}
		begin.Size, begin.SizeHint, l.MaxSize = nil, b.Size, -1
	}
	r, err := s.BeginLinked(ctx, l, begin)
	if err != nil {
		return u, err
	}
	if err := json.Unmarshal(r.Body, &u); err != nil {
		return u, err
	}
	return u, sameFile(u, b)
}

// dropBeyond un-records what an earlier request left behind the last part.
func (s *Service) dropBeyond(ctx context.Context, l Linked, u protocol.Upload, last protocol.PartNumber) error {
	for _, p := range u.Parts {
		if p.Number <= last {
			continue
		}
		held, found, err := s.db.Part(ctx, l.Owner, l.UID, p.Number)
		if err == nil && found {
			err = s.db.DropPart(ctx, l.UID, held.Number, held.Gen)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sameFile refuses to go on with an upload that was begun as another file.
func sameFile(u protocol.Upload, b protocol.BeginUpload) error {
	var was string
	switch {
	case u.Size != nil && *u.Size != *b.Size:
		was = fmt.Sprintf("a file of %d bytes, and this one has %d", *u.Size, *b.Size)
	case b.MediaType != nil && u.MediaType == nil:
		was = "a file of no type, and this one is " + *b.MediaType
	case b.MediaType != nil && *u.MediaType != *b.MediaType:
		was = "a file of type " + *u.MediaType + ", and this one is " + *b.MediaType
	default:
		return nil
	}
	return &protocol.Error{Kind: protocol.KindConflict, UID: u.UID, Message: "this link was begun with " + was + "; nothing was recorded",
		Hint: "Send the file that it was begun with, or ask who gave it to you for a new link."}
}

// linkRewrites is how often in an hour a link may send other bytes than it did
// before: what is replaced stays on the disk for a while, past its size and the
// owner's quota.
const linkRewrites = 10

// PutLinkedPart is PutPart for who has a link. A part that is recorded is
// compared and not written: the same bytes are answered with it. Others un-record
// it, as KindPartsDiffer, and can be sent then; too often is KindRateLimited.
func (s *Service) PutLinkedPart(ctx context.Context, l Linked, n protocol.PartNumber, body Body) (protocol.Part, error) {
	up, err := s.db.Upload(ctx, l.Owner, l.UID)
	if err == nil {
		err = s.here(up)
	}
	if err != nil {
		return protocol.Part{}, err
	}
	held, err := s.putLinkedPart(ctx, l, n, body)
	if err != nil {
		return protocol.Part{}, err
	}
	return protocol.Part{Number: n, Offset: held.Offset, Length: held.Length, XXH3: held.XXH3}, nil
}

// putLinkedPart gives what is recorded, which has the bytes of body.
func (s *Service) putLinkedPart(ctx context.Context, l Linked, n protocol.PartNumber, body Body) (held meta.Part, err error) {
	if err := l.still(ctx); err != nil {
		return held, err
	}
	subject := l.subject()
	if err := s.rewrites.check(ctx, subject); err != nil {
		return held, err
	}
	held, found, err := s.db.Part(ctx, l.Owner, l.UID, n)
	if err != nil {
		return held, err
	}
	if !found || held.Length != body.Length {
		return s.putPart(ctx, l.Owner, l.UID, n, body)
	}
	sent, err := s.hashed(body)
	if err != nil || sent.same(held) {
		return held, err
	}
	s.rewrites.add(ctx, subject)
	if err := s.db.DropPart(ctx, l.UID, n, held.Gen); err != nil {
		return held, err
	}
	return held, &protocol.Error{Kind: protocol.KindPartsDiffer, UID: l.UID, Parts: []protocol.Part{},
		Message: fmt.Sprintf("part %d was sent before with other bytes; it was taken back, and the new bytes were not recorded", n), Hint: "Send it again."}
}

// dropParts un-records what was received of a file whose hash is wrong.
func (s *Service) dropParts(ctx context.Context, l Linked, parts []meta.Part) (err error) {
	s.rewrites.add(ctx, l.subject())
	for _, p := range parts {
		err = errors.Join(err, s.db.DropPart(ctx, l.UID, p.Number, p.Gen))
	}
	return err
}
