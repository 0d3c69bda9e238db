package upload

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"hash"
	"io"

	"github.com/zeebo/xxh3"

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
}

// BeginLinked makes the upload of a link's file, or finds the one that was made
// by the link before. It is never maybe, so no claim is heard for it. A link
// whose file is there is KindCommitted; one whose file was there, or whose
// upload was given up, KindConflict: each puts one file.
func (s *Service) BeginLinked(ctx context.Context, l Linked, b protocol.BeginUpload) (once.Reply, error) {
	if err := s.checkBegin(b); err != nil {
		return once.Reply{}, err
	}
	if err := l.check(b.Size); err != nil {
		return once.Reply{}, err
	}
	for begun := false; ; begun = true {
		up, err := s.db.Upload(ctx, l.Owner, l.UID)
		switch {
		case err == nil:
			return s.foundLinked(ctx, up)
		case protocol.KindOf(err) != protocol.KindNotFound:
			return once.Reply{}, err
		case begun:
			return once.Reply{}, usedUp(l.UID)
		}
		r, err := s.begin(ctx, l.Owner, beginning{BeginUpload: b, uid: l.UID}, nil)
		if protocol.KindOf(err) != protocol.KindConflict {
			return r, err
		}
		// The link was used before: that is looked at again.
	}
}

func (s *Service) foundLinked(ctx context.Context, up meta.Upload) (once.Reply, error) {
	if up.State != protocol.UploadOpen {
		return once.Reply{}, committed(up)
	}
	u, err := s.describe(ctx, up)
	if err != nil {
		return once.Reply{}, err
	}
	return once.ReplyOf(false, up.UID, u)
}

func usedUp(uid protocol.UID) error {
	return &protocol.Error{Kind: protocol.KindConflict, UID: uid, Message: "this link was used; its file was deleted, or its upload given up, since; nothing was recorded",
		Hint: "Ask who gave it to you for a new one."}
}

func (l Linked) check(size *int64) error {
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
// after the other, so that memory does not grow with it. b has the size. What a
// request that broke off left is put again. The hashes of body are of the whole.
func (s *Service) PutLinked(ctx context.Context, l Linked, b protocol.BeginUpload, body Body) (f protocol.File, err error) {
	r, err := s.BeginLinked(ctx, l, b)
	if err != nil {
		return f, err
	}
	var u protocol.Upload
	if err := json.Unmarshal(r.Body, &u); err != nil {
		return f, err
	}
	if *b.Size != *u.Size {
		return f, protocol.Errorf(protocol.KindConflict, "an upload of %d bytes was begun by this link, and these are %d; nothing was recorded", *u.Size, *b.Size)
	}
	whole := newWhole(body)
	layout := protocol.Layout{Size: *b.Size, PartSize: u.PartSize}
	var sums []protocol.XXH3
	for n := protocol.PartNumber(1); int64(n-1)*u.PartSize < *b.Size; n++ {
		_, length, err := layout.Range(n)
		if err != nil {
			return f, err
		}
		p, err := s.PutPart(ctx, l.Owner, l.UID, n, Body{Reader: whole, Length: length})
		if err != nil {
			return f, err
		}
		sums = append(sums, p.XXH3)
	}
	if err := whole.check(body); err != nil {
		return f, err
	}
	all := protocol.PartsXXH3(sums)
	f, repeated, err := s.Commit(ctx, l.Owner, l.UID, protocol.CommitUpload{PartsXXH3: &all})
	if err == nil && repeated {
		// Somebody else's request with the same link was first, with bytes of its
		// own.
		err = committed(meta.Upload{NewUpload: meta.NewUpload{UID: l.UID}})
	}
	return f, err
}

// whole hashes all of a body that is received in parts, where the caller gave
// its hashes.
type whole struct {
	r      io.Reader
	xxh3   *xxh3.Hasher
	sha256 hash.Hash
}

func newWhole(body Body) *whole {
	w := &whole{r: body.Reader}
	if body.XXH3 != nil {
		w.xxh3 = xxh3.New()
		w.r = io.TeeReader(w.r, w.xxh3)
	}
	if body.SHA256 != nil {
		w.sha256 = sha256.New()
		w.r = io.TeeReader(w.r, w.sha256)
	}
	return w
}

// Read is io.Reader.
func (w *whole) Read(p []byte) (int, error) { return w.r.Read(p) }

func (w *whole) check(body Body) error {
	var r received
	if w.xxh3 != nil {
		r.xxh3 = protocol.XXH3(w.xxh3.Sum128().Bytes())
	}
	if w.sha256 != nil {
		r.sha256 = [32]byte(w.sha256.Sum(nil))
	}
	return body.check(r)
}
