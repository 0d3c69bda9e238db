package upload

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/placing"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// NewFile is a file that arrives whole, in one request.
type NewFile struct {
	Name      string
	MediaType *string
	Meta      map[string]string
	ExpiresAt *protocol.Time
	// Imported is the zero value but for what an import found.
	Imported meta.Imported
	// Body is at most protocol.OneShotMax bytes. The hashes are checked when
	// present.
	Body   []byte
	XXH3   *protocol.XXH3
	SHA256 *[32]byte
}

// PutFile stores a small file: one object, durable, then one transaction. On a
// store of files no row names the object before it exists; the reservation of its
// directory stands for it (package placing). On an object store the row comes first.
func (s *Service) PutFile(ctx context.Context, owner protocol.Owner, f NewFile, req *once.Request) (once.Reply, error) {
	return s.once.Do(ctx, owner, req, func() (once.Reply, error) {
		if err := checkFields(f.Name, f.MediaType, f.Meta, f.ExpiresAt, s.now()); err != nil {
			return once.Reply{}, err
		}
		if len(f.Body) > protocol.OneShotMax {
			return once.Reply{}, &protocol.Error{Kind: protocol.KindTooLarge,
				Message: "the body is too large for one request; nothing was recorded", Hint: "Begin an upload and send it in parts."}
		}
		sums := s.hash(f)
		body := Body{Length: int64(len(f.Body)), XXH3: f.XXH3, SHA256: f.SHA256}
		if err := body.check(sums); err != nil {
			return once.Reply{}, err
		}
		return s.putFile(ctx, owner, f, sums, req)
	})
}

func (s *Service) hash(f NewFile) received {
	sc := s.scratches.Get().(*scratch)
	defer s.scratches.Put(sc)
	sc.part.Reset()
	_, _ = sc.part.Write(f.Body) // hashes do not fail
	var r received
	r.xxh3, r.blocks = sc.part.Sum()
	if f.SHA256 != nil {
		r.sha256 = sha256.Sum256(f.Body)
	}
	return r
}

func (s *Service) putFile(ctx context.Context, owner protocol.Owner, f NewFile, sums received, req *once.Request) (once.Reply, error) {
	if size := int64(len(f.Body)); size > 0 {
		if err := s.placed(ctx, &size, f.Imported); err != nil {
			return once.Reply{}, err
		}
	}
	uid, err := s.cfg.Minter.Next(ctx)
	if err != nil {
		return once.Reply{}, err
	}
	size := int64(len(f.Body))
	digest := protocol.DigestOf(sums.blocks)
	rec := meta.NewFile{
		FileFields: fields(owner, f.Name, f.MediaType, f.Meta, f.ExpiresAt),
		UID:        uid, Size: size, Digest: digest, Fingerprint: protocol.FingerprintOf(size, sums.blocks),
		ETag: etagOf(digest), Blocks: sums.blocks,
	}
	rec.Imported = f.Imported
	if err := s.unnamed.begin(); err != nil {
		return once.Reply{}, err
	}
	defer s.unnamed.end()
	var r once.Reply
	if err := s.choose(ctx, func(st *store.Store) (err error) {
		r, err = s.putIn(ctx, st, f.Body, rec, req)
		return err
	}); err != nil {
		return once.Reply{}, err
	}
	crashpoint.Hit(crashpoint.PutRecorded)
	s.cfg.Observe("put")
	s.cfg.Committed()
	return r, nil
}

// putIn stores the bytes of a small file in the store and records it.
func (s *Service) putIn(ctx context.Context, st *store.Store, body []byte, rec meta.NewFile, req *once.Request) (r once.Reply, err error) {
	var small smallBlob
	if len(body) > 0 {
		if small, err = s.storeSmall(ctx, st, body); err != nil {
			return r, err
		}
		rec.Blob, rec.Named = &small.blob, small.row
	}
	rec.CommittedAt = s.now()
	if r, err = once.ReplyOf(true, rec.UID, fileOf(rec)); err != nil {
		return r, err
	}
	ctx, cancel := finishing(ctx)
	defer cancel()
	if _, err = s.db.PutFile(ctx, rec, req.Record(r)); err != nil {
		s.unstore(ctx, small, err)
	}
	return r, err
}

// smallBlob is where a small file was stored.
type smallBlob struct {
	blob meta.NewBlob
	// row is that of the blob, 0 where a directory's reservation stands for it.
	row meta.BlobID
}

// storeSmall writes the bytes of a small file durably under a new key.
func (s *Service) storeSmall(ctx context.Context, st *store.Store, b []byte) (small smallBlob, err error) {
	key, err := s.key(ctx, st)
	if err != nil {
		return small, err
	}
	small.blob = meta.NewBlob{Store: st.Name(), Key: string(key), Size: int64(len(b))}
	if placing.Spread(st) {
		if small.row, err = s.db.AddBlob(ctx, small.blob, 0); err != nil {
			return small, fmt.Errorf("name a blob: %w", err)
		}
	}
	crashpoint.Hit(crashpoint.PutNamed)
	if err := st.Put(ctx, key, bytes.NewReader(b), int64(len(b))); err != nil {
		if small.row != 0 {
			s.dropBlob(ctx, small.row)
		}
		return small, storeError(ctx, "store a file", err)
	}
	crashpoint.Hit(crashpoint.PutStored)
	return small, nil
}

// unstore gives up the object of a file that was not recorded. One with a row
// is left to the sweep, which dooms nothing that turns out to be recorded. One
// without is removed; where the database itself failed it may turn out to be
// recorded after a restart: then the object stays, for Settle to decide.
func (s *Service) unstore(ctx context.Context, small smallBlob, cause error) {
	ctx, cancel := finishing(ctx) // the caller's may have run out over the database
	defer cancel()
	switch {
	case small.row != 0:
		s.dropBlob(ctx, small.row)
	case protocol.KindOf(cause) == protocol.KindInternal:
		s.doubted.Store(true)
	case small.blob.Key != "":
		if err := s.cfg.Stores[small.blob.Store].Delete(ctx, store.Key(small.blob.Key)); err != nil {
			s.log.Warn("remove an unrecorded object; the next start does", "err", err)
		}
	}
}

// fileOf is the File that rec records, as it is answered.
func fileOf(rec meta.NewFile) protocol.File {
	at := protocol.TimeOf(rec.CommittedAt)
	f := protocol.File{
		UID: rec.UID, Owner: rec.Owner, Name: rec.Name, Size: rec.Size, Digest: &rec.Digest, ETag: rec.ETag,
		MediaType: rec.MediaType, Meta: rec.Meta, CreatedAt: at, CommittedAt: at,
	}
	if !rec.ModifiedAt.IsZero() {
		f.CreatedAt = protocol.TimeOf(rec.ModifiedAt)
	}
	if rec.ExpiresAt != nil {
		t := protocol.TimeOf(*rec.ExpiresAt)
		f.ExpiresAt = &t
	}
	if sum, ok := protocol.PlainSHA256(rec.Size, rec.Blocks); ok {
		f.SHA256 = hexOf(sum[:])
	}
	if rec.Size == 0 {
		sum := md5.Sum(nil)
		f.MD5 = hexOf(sum[:])
	}
	return f
}

func hexOf(sum []byte) *string {
	s := hex.EncodeToString(sum)
	return &s
}
