package upload

import (
	"context"
	"io"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// PutPart receives part n of an open upload and records it. The same number
// may be sent again, also with other bytes and by several senders at once: the
// last one recorded wins whole. On any error the part stays what it was. An
// upload without a size is charged to the owner's quota here, up to the part's
// end, before a byte is taken. Where another node is the upload's home the error is
// a *holder.Elsewhere, and nothing was taken.
func (s *Service) PutPart(ctx context.Context, owner protocol.Owner, uid protocol.UID, n protocol.PartNumber, body Body) (protocol.Part, error) {
	held, err := s.putPart(ctx, owner, uid, n, body)
	if err != nil {
		return protocol.Part{}, err
	}
	return protocol.Part{Number: n, Offset: held.Offset, Length: held.Length, XXH3: held.XXH3}, nil
}

// putPart gives what is recorded.
func (s *Service) putPart(ctx context.Context, owner protocol.Owner, uid protocol.UID, n protocol.PartNumber, body Body) (held meta.Part, err error) {
	up, err := s.db.Upload(ctx, owner, uid)
	if err != nil {
		return held, err
	}
	if up.State != protocol.UploadOpen {
		return held, committed(up)
	}
	if up.Chunks {
		return held, inChunks(uid)
	}
	if err := s.here(up); err != nil {
		return held, err
	}
	layout := layoutOf(up)
	offset, _, err := layout.Range(n)
	if err != nil {
		return held, err
	}
	if err := layout.CheckLength(n, body.Length); err != nil {
		return held, err
	}
	se := s.sessions.partBegins(uid)
	defer s.sessions.partEnds(se)
	if err := se.touch(ctx, up); err != nil {
		return held, err
	}
	end := offset + body.Length
	if up.Size == nil {
		if err := se.chargePart(ctx, up, end); err != nil {
			return held, err
		}
	}
	p := meta.NewPart{Number: n, Offset: offset, Length: body.Length}
	held, err = se.put(ctx, up, p, body, s.asPart(up))
	if up.Size == nil {
		se.partEnds(ctx, up, end, err != nil)
	}
	if err == nil {
		crashpoint.Hit(crashpoint.PartRecorded)
	}
	return held, err
}

// recording makes what was received count. stays says that what is recorded
// under its number has the same bytes, and is held instead.
type recording func(ctx context.Context, p meta.NewPart) (held meta.Part, stays bool, err error)

// asPart records parts of an upload.
func (s *Service) asPart(up meta.Upload) recording {
	return func(ctx context.Context, p meta.NewPart) (meta.Part, bool, error) {
		gen, err := s.db.RecordPart(ctx, up.Owner, up.UID, p)
		return meta.Part{NewPart: p, Gen: gen}, false, err
	}
}

// put writes the part where claim decides, and gives what is recorded then.
func (se *session) put(ctx context.Context, up meta.Upload, p meta.NewPart, body Body, record recording) (held meta.Part, err error) {
	err = se.svc.choose(ctx, func(st *store.Store) error {
		if err := se.svc.settleHome(ctx, up, st); err != nil {
			return err
		}
		t, err := se.claim(ctx, up, st, p.Number, p.Offset)
		switch {
		case err != nil:
			return err
		case t == nil:
			held, err = se.putWhole(ctx, up, st, p, body, record)
		default:
			held, err = t.put(ctx, p, body, record)
		}
		return err
	})
	return held, err
}

// put writes the part to the target; it is synced later.
func (t *target) put(ctx context.Context, p meta.NewPart, body Body, record recording) (held meta.Part, err error) {
	r, err := t.receive(ctx, body)
	if err == nil {
		err = body.check(r)
	}
	if err != nil {
		t.abandon(ctx)
		return held, err
	}
	p.XXH3, p.Blocks = r.xxh3, r.blocks
	p.Blob, p.BlobOffset, p.BootID = t.blob.id, t.base, t.se.svc.cfg.BootID
	held, stays, err := record.arrived(ctx, p)
	switch {
	case err != nil:
		t.doubt(ctx)
	case stays:
		t.abandon(ctx)
	default:
		t.release(held.Gen)
	}
	return held, err
}

// putWhole stores the part as an object of its own, durable when it returns.
func (se *session) putWhole(ctx context.Context, up meta.Upload, st *store.Store, p meta.NewPart, body Body, record recording) (held meta.Part, err error) {
	s := se.svc
	id, key, err := s.ownBlob(ctx, up, st, body.Length)
	if err != nil {
		return held, err
	}
	sc := s.scratches.Get().(*scratch)
	defer s.scratches.Put(sc)
	in := &hashingReader{r: body.Reader, h: body.hashing(sc.part), want: body.Length}
	err = st.Put(ctx, key, in, body.Length)
	if err != nil && in.err == nil {
		s.dropBlob(ctx, id)
		return held, storeError(ctx, "store a part", err)
	}
	r := in.h.sum()
	if err = in.err; err == nil {
		err = body.check(r)
	}
	if err != nil {
		s.discard(ctx, st, id, key)
		return held, err
	}
	p.XXH3, p.Blocks, p.Blob = r.xxh3, r.blocks, id
	held, stays, err := record.arrived(ctx, p)
	switch {
	case err != nil:
		s.dropBlob(ctx, id)
	case stays:
		s.discard(ctx, st, id, key)
	}
	return held, err
}

// arrived records a part whose bytes are there, so that it no longer depends on
// the client.
func (record recording) arrived(ctx context.Context, p meta.NewPart) (meta.Part, bool, error) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	return record(ctx, p)
}

// hashingReader hashes what a store reads through it, ends after want bytes,
// and remembers why the body failed, so that the caller can tell it from a
// failure of the store.
type hashingReader struct {
	r    io.Reader
	h    hashing
	got  int64
	want int64
	err  error
}

func (h *hashingReader) Read(p []byte) (int, error) {
	if h.got == h.want {
		return 0, io.EOF
	}
	n, err := h.r.Read(p[:min(int64(len(p)), h.want-h.got)])
	h.h.write(p[:n])
	h.got += int64(n)
	if err != nil && h.got < h.want {
		h.err = bodyError(err, h.got, h.want)
		return n, h.err
	}
	return n, nil
}

// layoutOf is how the upload is cut into parts.
func layoutOf(up meta.Upload) protocol.Layout {
	l := protocol.Layout{Size: -1, PartSize: up.PartSize}
	if up.Size != nil {
		l.Size = *up.Size
	}
	return l
}

func committed(up meta.Upload) error {
	return &protocol.Error{Kind: protocol.KindCommitted, UID: up.UID,
		Message: "the upload is committed; its file does not change any more",
		Hint:    "Read the file under the same uid, or begin a new upload."}
}
