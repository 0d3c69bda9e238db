package upload

import (
	"context"
	"crypto/md5"
	"encoding"
	"errors"
	"hash"
	"io"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// A file may come in chunks, which are of any length, in any order, and each
// begins where the one before it ends: what that is is known once all are there
// (merge.go). Each lies in a blob of its own. Nobody sends chunks but by a link.

// PutLinkedChunk receives chunk n of the link's file, of which body has the MD5,
// and records it; the first one begins the upload, as b says. The same number may
// be sent again: the same bytes are compared and not written, others take the
// place of what was there, once all of them have come and have their MD5. Else it
// stays what it was. Before a byte is taken the owner's quota is charged for it.
func (s *Service) PutLinkedChunk(ctx context.Context, l Linked, b protocol.BeginUpload, n protocol.PartNumber, body Body) (protocol.Part, error) {
	if err := s.checkChunk(n, body); err != nil {
		return protocol.Part{}, err
	}
	if err := l.still(ctx); err != nil {
		return protocol.Part{}, err
	}
	if err := s.rewrites.check(ctx, l.subject()); err != nil {
		return protocol.Part{}, err
	}
	if err := s.beginChunks(ctx, l, b); err != nil {
		return protocol.Part{}, err
	}
	up, held, found, others, err := s.db.ChunkAt(ctx, l.Owner, l.UID, n)
	if err != nil {
		return protocol.Part{}, err
	}
	if !up.Chunks {
		return protocol.Part{}, notInChunks(l.UID) // it began anew since
	}
	if err := s.here(up); err != nil {
		return protocol.Part{}, err
	}
	if err := s.fits(l, others+body.Length); err != nil {
		return protocol.Part{}, err
	}
	se := s.sessions.partBegins(l.UID)
	defer s.sessions.partEnds(se)
	if err := se.touch(ctx, up); err != nil {
		return protocol.Part{}, err
	}
	if found && held.MD5 != nil && *held.MD5 == *body.MD5 && held.Length == body.Length && !s.ofOtherBoot(held) {
		return s.compareChunk(ctx, held, body)
	}
	if err := se.chargeChunk(ctx, up, others, body.Length); err != nil {
		return protocol.Part{}, err
	}
	now, err := se.putChunk(ctx, up, n, body)
	se.chunkEnds(ctx, up, others+body.Length, body.Length, err != nil)
	if err == nil && found && held.Blob != now.Blob || protocol.KindOf(err) == protocol.KindChecksumMismatch {
		// What was there is on the disk for a while; what was not right was not free.
		s.rewrites.add(ctx, l.subject())
	}
	if err != nil {
		return protocol.Part{}, err
	}
	crashpoint.Hit(crashpoint.PartRecorded)
	return protocol.Part{Number: n, Length: now.Length, XXH3: now.XXH3}, nil
}

func (s *Service) checkChunk(n protocol.PartNumber, body Body) error {
	switch {
	case n < 1 || n > protocol.MaxParts:
		return protocol.Errorf(protocol.KindBadPart, "chunks are numbered from 1 to %d, not %d; nothing was recorded", protocol.MaxParts, n)
	case body.Length < 1:
		return &protocol.Error{Kind: protocol.KindBadLength, Message: "a chunk of no bytes is none; nothing was recorded", Hint: "Send an empty file whole."}
	case body.MD5 == nil:
		return protocol.Errorf(protocol.KindBadRequest, "the MD5 of the chunk is missing; nothing was recorded")
	}
	return nil
}

// fits refuses a file that would be too long with a chunk.
func (s *Service) fits(l Linked, size int64) error {
	if size > s.cfg.MaxSize || size < 0 {
		return protocol.Errorf(protocol.KindTooLarge, "with this chunk the file is longer than the %d bytes this daemon takes; the chunk was not recorded", s.cfg.MaxSize)
	}
	return l.Check(&size)
}

// beginChunks has the upload of a link's file be there, in chunks.
func (s *Service) beginChunks(ctx context.Context, l Linked, b protocol.BeginUpload) error {
	b.Size = nil // what it will be is said at the merge
	if err := s.checkBegin(b); err != nil {
		return err
	}
	_, _, err := s.beginOf(ctx, l, beginning{BeginUpload: b, uid: l.UID, chunks: true})
	return err
}

// compareChunk reads a chunk that has the MD5 of the one that is held.
func (s *Service) compareChunk(ctx context.Context, held meta.Part, body Body) (protocol.Part, error) {
	sent, err := s.hashed(body)
	if err != nil {
		return protocol.Part{}, err
	}
	if !sent.same(held) {
		// MD5 is broken: two chunks of one can be made.
		return protocol.Part{}, &protocol.Error{Kind: protocol.KindPartsDiffer, Message: "the chunk held has the same MD5 and other bytes; what came was not recorded", Parts: []protocol.Part{}}
	}
	return protocol.Part{Number: held.Number, Length: held.Length, XXH3: held.XXH3}, ctx.Err()
}

// hashed reads a body to nowhere and gives its hashes, which are as announced.
func (s *Service) hashed(body Body) (received, error) {
	sc := s.scratches.Get().(*scratch)
	defer s.scratches.Put(sc)
	in := &hashingReader{r: body.Reader, h: body.hashing(sc.part), want: body.Length}
	if _, err := io.CopyBuffer(io.Discard, onlyReader{in}, sc.buf); err != nil {
		return received{}, err
	}
	sent := in.h.sum()
	return sent, body.check(sent)
}

// onlyReader hides what a reader can do besides.
type onlyReader struct{ io.Reader }

// putChunk receives a chunk and records it.
func (se *session) putChunk(ctx context.Context, up meta.Upload, n protocol.PartNumber, body Body) (meta.Part, error) {
	p := meta.NewPart{Number: n, Length: body.Length, MD5: body.MD5}
	running, err := turnOf(up.InOrder, n)
	if err != nil {
		return meta.Part{}, err
	}
	before := up.InOrder.State
	if n == 1 {
		before = nil
	}
	if running != nil {
		body.Reader = io.TeeReader(body.Reader, running)
	}
	return se.put(ctx, up, p, body, func(ctx context.Context, p meta.NewPart) (held meta.Part, stays bool, err error) {
		c := meta.NewChunk{NewPart: p}
		if running != nil {
			c.Before = before
			if c.After, err = stateOf(running); err != nil {
				return held, false, err
			}
		}
		return se.svc.db.RecordChunk(ctx, up.Owner, up.UID, c)
	})
}

// turnOf is the MD5 of all that comes before chunk n, to go on with it; nil
// where it is not its turn.
func turnOf(in meta.InOrder, n protocol.PartNumber) (hash.Hash, error) {
	running := md5.New()
	switch {
	case n == 1:
		return running, nil
	case n != in.Next:
		return nil, nil
	}
	return running, restore(running, in.State)
}

var errNoState = errors.New("the state of an MD5 cannot be kept")

func restore(h hash.Hash, state []byte) error {
	u, ok := h.(encoding.BinaryUnmarshaler)
	if !ok {
		return errNoState
	}
	return u.UnmarshalBinary(state)
}

func stateOf(h hash.Hash) ([]byte, error) {
	m, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return nil, errNoState
	}
	return m.MarshalBinary()
}

func (l Linked) subject() string { return "link " + l.UID.String() }

func notInChunks(uid protocol.UID) error {
	return &protocol.Error{Kind: protocol.KindConflict, UID: uid, Message: "this file was begun to be sent whole, or in parts, and takes no chunks; nothing was recorded",
		Hint: "Send it as it was begun, or ask for a new link."}
}

func inChunks(uid protocol.UID) error {
	return &protocol.Error{Kind: protocol.KindConflict, UID: uid, Message: "this file is sent in chunks, through v0 of the API: it has no parts, and is neither sent nor committed otherwise; nothing was changed",
		Hint: "Go on with its chunks and merge them, or abort it and begin anew."}
}
