package upload

import (
	"context"
	"time"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// BeginImported makes an upload of what an import found.
func (s *Service) BeginImported(ctx context.Context, owner protocol.Owner, b protocol.BeginUpload, from meta.Imported, req *once.Request) (once.Reply, error) {
	return s.once.Do(ctx, owner, req, func() (once.Reply, error) {
		if err := s.checkBegin(b); err != nil {
			return once.Reply{}, err
		}
		return s.begin(ctx, owner, beginning{BeginUpload: b, from: from}, req)
	})
}

// Begin makes an upload, or with b.Resume finds an open one of the same name,
// size and fingerprint that nobody is sending to.
func (s *Service) Begin(ctx context.Context, owner protocol.Owner, b protocol.BeginUpload, req *once.Request) (once.Reply, error) {
	return s.once.Do(ctx, owner, req, func() (once.Reply, error) {
		if err := s.checkBegin(b); err != nil {
			return once.Reply{}, err
		}
		if b.Resume && b.Size != nil && b.Fingerprint != nil {
			r, err := s.find(ctx, owner, b, req)
			if err != nil || r.Body != nil {
				return r, err
			}
		}
		return s.begin(ctx, owner, beginning{BeginUpload: b}, req)
	})
}

func (s *Service) checkBegin(b protocol.BeginUpload) error {
	if err := checkFields(b.Name, b.MediaType, b.Meta, b.ExpiresAt, s.now()); err != nil {
		return err
	}
	if b.Size == nil {
		return nil
	}
	return s.checkSize(*b.Size)
}

func (s *Service) checkSize(size int64) error {
	if err := protocol.CheckSize(size); err != nil {
		return err
	}
	if size > s.cfg.MaxSize {
		return protocol.Errorf(protocol.KindTooLarge, "%d bytes are more than the %d this daemon takes; nothing was recorded", size, s.cfg.MaxSize)
	}
	return nil
}

// checkFields checks what a caller says of a file.
func checkFields(name string, mediaType *string, metadata map[string]string, expires *protocol.Time, now time.Time) error {
	if err := names.Check(name); err != nil {
		return err
	}
	if mediaType != nil {
		if err := protocol.CheckMediaType(*mediaType); err != nil {
			return err
		}
	}
	if err := protocol.CheckMeta(metadata); err != nil {
		return err
	}
	if expires != nil && !expires.After(now) {
		return &protocol.Error{Kind: protocol.KindBadRequest, Message: "expires_at lies in the past; nothing was recorded",
			Hint: "Give a time to come, or none."}
	}
	return nil
}

// find looks for the newest open upload that a resuming caller can go on with.
func (s *Service) find(ctx context.Context, owner protocol.Owner, b protocol.BeginUpload, req *once.Request) (once.Reply, error) {
	ups, err := s.db.OpenUploads(ctx, owner, b.Name, *b.Size, *b.Fingerprint)
	if err != nil {
		return once.Reply{}, err
	}
	for _, up := range ups {
		if s.sessions.busy(up) {
			continue
		}
		if s.isDown(s.here(up)) {
			continue // it goes on when the node is back; nobody is to wait for that
		}
		u, err := s.describe(ctx, up)
		if k := protocol.KindOf(err); k == protocol.KindCommitted || k == protocol.KindNotFound {
			continue // it ended meanwhile
		}
		if err != nil {
			return once.Reply{}, err
		}
		r, err := once.ReplyOf(false, up.UID, u)
		if err == nil && req != nil {
			err = s.db.SaveAnswer(ctx, owner, *req.Record(r))
		}
		return r, err
	}
	return once.Reply{}, nil
}

// beginning is what an upload is begun with.
type beginning struct {
	protocol.BeginUpload
	// from is the zero value but for what an import found.
	from meta.Imported
	// uid is that of a link, 0 for a new one.
	uid protocol.UID
	// chunks says that it comes in chunks.
	chunks bool
	// anew says that the upload is there, and to be sent in another way.
	anew bool
}

func (s *Service) begin(ctx context.Context, owner protocol.Owner, b beginning, req *once.Request) (_ once.Reply, err error) {
	if err := s.placed(ctx, b.Size, b.from); err != nil && !b.anew {
		return once.Reply{}, err
	}
	uid := b.uid
	if uid == 0 {
		if uid, err = s.cfg.Minter.Next(ctx); err != nil {
			return once.Reply{}, err
		}
	}
	up := meta.NewUpload{
		FileFields: fields(owner, b.Name, b.MediaType, b.Meta, b.ExpiresAt),
		UID:        uid, CreatedAt: s.now(), Size: b.Size, Fingerprint: b.Fingerprint,
	}
	up.Imported, up.Linked, up.Chunks = b.from, b.uid != 0, b.chunks
	if b.Size != nil {
		up.PartSize = protocol.PartSizeFor(*b.Size)
	} else {
		up.PartSize = protocol.PartSizeForUnknown(b.SizeHint)
	}
	// Who has a link is told nothing of what the owner has.
	if b.uid == 0 {
		if up.Maybe, err = s.maybe(ctx, owner, b.Size, b.Fingerprint); err != nil {
			return once.Reply{}, err
		}
	}
	r, err := once.ReplyOf(true, uid, s.wire(meta.Upload{NewUpload: up, State: protocol.UploadOpen, TouchedAt: up.CreatedAt}))
	if err != nil {
		return once.Reply{}, err
	}
	if err := s.choose(ctx, func(st *store.Store) error { return s.beginIn(ctx, st, up, b.anew, req.Record(r)) }); err != nil {
		return once.Reply{}, err
	}
	crashpoint.Hit(crashpoint.BeginRecorded)
	if !b.anew {
		s.cfg.Observe("begun")
	}
	return r, nil
}

// beginIn records an upload, with a blob in the store where that assembles.
func (s *Service) beginIn(ctx context.Context, st *store.Store, up meta.NewUpload, anew bool, idem *meta.Idempotency) error {
	up.Node = s.onDisk(st)
	if _, ok := st.Assembler(); ok && !up.Chunks && (up.Size == nil || *up.Size > 0) {
		key, err := s.key(ctx, st)
		if err != nil {
			return err
		}
		up.InPlace = &meta.NewBlob{Store: st.Name(), Key: string(key)}
	}
	if anew {
		return s.db.BeginAnew(ctx, up)
	}
	_, err := s.db.BeginUpload(ctx, up, idem)
	return err
}

func fields(owner protocol.Owner, name string, mediaType *string, metadata map[string]string, expires *protocol.Time) meta.FileFields {
	f := meta.FileFields{Owner: owner, Name: name, MediaType: mediaType, Meta: metadata}
	if expires != nil {
		f.ExpiresAt = &expires.Time
	}
	return f
}
