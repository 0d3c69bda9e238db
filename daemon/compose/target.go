package compose

import (
	"context"
	"errors"
	"fmt"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// target is the object that a content becomes.
type target struct {
	*Worker
	run     *job.Run
	content meta.Content
	st      *store.Store

	blob meta.BlobID
	key  store.Key
	id   store.ComposeID
}

// started is what the next attempt is told: at which gen of the content the
// composition into the blob was begun. Pieces of another gen may be others.
type started struct {
	Blob meta.BlobID `json:"blob"`
	Gen  int64       `json:"gen"`
}

// open goes on with what an earlier attempt began, or begins.
func (t *target) open(ctx context.Context) error {
	var was started
	if _, err := t.run.Saved(&was); err != nil {
		return err
	}
	blobs, err := t.cfg.Meta.JobBlobs(ctx)
	if err != nil {
		return err
	}
	for _, b := range blobs {
		if t.blob == 0 && b.ComposeID != "" && b.Store == t.st.Name() && was == (started{b.ID, t.content.Gen}) {
			t.blob, t.key, t.id = b.ID, store.Key(b.Key), store.ComposeID(b.ComposeID)
			continue
		}
		// Of what was begun, if anything was, nobody knows the id, or of which
		// pieces it is.
		if err := t.cfg.Meta.DropBlob(ctx, b.ID); err != nil {
			return err
		}
	}
	if t.blob != 0 {
		return nil
	}
	return t.begin(ctx)
}

// begin names the object, begins its composition, and writes that down.
func (t *target) begin(ctx context.Context) (err error) {
	if t.key, err = t.cfg.Place.Key(ctx, t.st); err != nil {
		return fmt.Errorf("choose a key: %w", err)
	}
	if t.blob, err = t.cfg.Meta.AddJoinedBlob(ctx, meta.NewBlob{Store: t.st.Name(), Key: string(t.key), Size: t.content.Size}); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.ComposeNamed)
	composer, _ := t.st.Composer()
	if t.id, err = composer.BeginCompose(ctx, t.key); err != nil {
		return fmt.Errorf("begin to join in store %q: %w", t.st.Name(), err)
	}
	crashpoint.Hit(crashpoint.ComposeBegun)
	if err := t.cfg.Meta.KeepComposition(ctx, t.blob, string(t.id)); err != nil {
		return err
	}
	if err := t.run.Save(ctx, started{t.blob, t.content.Gen}); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.ComposeRecorded)
	return nil
}

// join makes the object, makes sure that it is the content, and has the content
// lie in it.
func (t *target) join(ctx context.Context) (again bool, err error) {
	size := t.content.Size
	t.run.Progress(protocol.JobProgress{Total: &size, Unit: "bytes", Note: fmt.Sprintf("joining %d pieces", len(t.content.Extents))})
	composer, _ := t.st.Composer()
	verified, err := composer.Compose(ctx, t.key, t.id, t.pieces())
	if err != nil {
		return t.failed(ctx, err)
	}
	crashpoint.Hit(crashpoint.ComposeJoined)
	if !verified {
		if err := t.compare(ctx); err != nil {
			return t.differs(ctx, err)
		}
	}
	err = t.cfg.Meta.MoveExtents(ctx, meta.Move{Content: t.content.ID, Gen: t.content.Gen,
		Extents: []meta.Extent{{Blob: t.blob, Length: size}}, Verified: !verified})
	switch kind := protocol.KindOf(err); {
	case err == nil:
		crashpoint.Hit(crashpoint.ComposeFlipped)
		t.run.Progress(protocol.JobProgress{Done: size, Total: &size, Unit: "bytes"})
		return false, nil
	case errors.Is(err, meta.ErrGenChanged), kind == protocol.KindNotFound, kind == protocol.KindContentCorrupt, kind == protocol.KindStoreUnavailable:
		// Another look tells what became of the content, or begins anew.
		return true, t.cfg.Meta.DropBlob(ctx, t.blob)
	}
	return false, err
}

// pieces are the content's extents, in order.
func (t *target) pieces() []store.Piece {
	list := make([]store.Piece, len(t.content.Extents))
	for i, e := range t.content.Extents {
		list[i] = store.Piece{Key: store.Key(e.Key), Offset: e.Offset, Length: e.Length}
	}
	return list
}

// failed is what is to be done where the storage does not join.
func (t *target) failed(ctx context.Context, err error) (again bool, _ error) {
	switch {
	case errors.Is(err, store.ErrPieces):
		t.log.InfoContext(ctx, "a content stays in its parts: the storage cannot join them", "content", t.content.ID, "store", t.st.Name(), "err", err)
		return false, t.leave(ctx, t.run, "the storage cannot join its parts; it stays as it is")
	case errors.Is(err, store.ErrNotBegun):
		return true, t.cfg.Meta.DropBlob(ctx, t.blob)
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrRange):
		return t.missing(ctx, err)
	}
	return false, fmt.Errorf("join in store %q: %w", t.st.Name(), err)
}

// missing is where a part is not there, or too short: the content was moved
// meanwhile, or it is damaged, which a scrub finds out and records.
func (t *target) missing(ctx context.Context, cause error) (again bool, err error) {
	now, err := t.cfg.Meta.ContentOf(ctx, t.content.ID)
	switch {
	case protocol.KindOf(err) == protocol.KindNotFound, err == nil && now.Gen != t.content.Gen:
		return true, t.cfg.Meta.DropBlob(ctx, t.blob)
	case err != nil:
		return false, err
	}
	t.log.WarnContext(ctx, "a content cannot be joined: a part is missing or too short", "content", t.content.ID, "store", t.st.Name(), "err", cause)
	if err := t.cfg.Meta.EnqueueScrub(ctx, t.content.ID); err != nil {
		return false, err
	}
	return false, t.leave(ctx, t.run, "a part is missing or too short; a scrub tells what is damaged")
}

// differs gives an object up that is not the content. Whether its parts are, a
// scrub finds out; the next attempt joins them anew, or finds them damaged.
func (t *target) differs(ctx context.Context, cause error) (again bool, _ error) {
	if _, ok := errors.AsType[*mismatch](cause); !ok {
		return false, cause
	}
	t.log.ErrorContext(ctx, "what was joined is not the content; it is given up, and the parts are read", "content", t.content.ID, "store", t.st.Name(), "err", cause)
	return false, errors.Join(cause, t.cfg.Meta.DropBlob(ctx, t.blob), t.cfg.Meta.EnqueueScrub(ctx, t.content.ID))
}
