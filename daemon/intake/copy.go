package intake

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// partsAtOnce is how many parts of one large object are copied together.
const partsAtOnce = 2

// errChanged: the object is not the one that was listed any more.
var errChanged = errors.New("the object changed")

// readError is a failure to read the object, and not to write its copy.
type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }

// reader has the failures of a body be readErrors.
type reader struct{ r io.Reader }

func (r reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &readError{err}
	}
	return n, err
}

// copyAll makes files of copies of the objects, as if somebody put them.
func (im *run) copyAll(ctx context.Context, list []*item) error {
	return im.each(ctx, list, im.copy)
}

func (im *run) copy(ctx context.Context, it *item) error {
	if err := im.describe(ctx, it); err != nil {
		return err
	}
	put := im.copyParts
	if it.Size <= protocol.OneShotMax {
		put = im.copyWhole
	}
	uid, err := put(ctx, it)
	if protocol.KindOf(err) == protocol.KindConflict {
		// Another import was there first.
		if lerr := im.known(ctx, []*item{it}); lerr != nil || it.known {
			return lerr
		}
	}
	if err != nil {
		return err
	}
	it.entry.UID, it.entry.Outcome = uid, protocol.ImportImported
	return nil
}

// unchanged makes sure that what was read is the object that was listed.
func (im *run) unchanged(ctx context.Context, it *item) error {
	f, err := im.src.Describe(ctx, it.Name)
	if err != nil {
		return &readError{err}
	}
	if f.Tag != it.Tag || f.Size != it.Size {
		return errChanged
	}
	return nil
}

// read calls do with a reader of a range of the object.
func (im *run) read(ctx context.Context, it *item, off, n int64, do func(io.Reader) error) error {
	rc, err := im.src.Read(ctx, it.Name, off, n)
	if err != nil {
		return &readError{err}
	}
	return errors.Join(do(reader{rc}), rc.Close())
}

// copyWhole copies a small object at once.
func (im *run) copyWhole(ctx context.Context, it *item) (protocol.UID, error) {
	body := make([]byte, it.Size)
	if err := im.read(ctx, it, 0, it.Size, func(r io.Reader) error {
		_, err := io.ReadFull(r, body)
		return err
	}); err != nil {
		return 0, err
	}
	if err := im.unchanged(ctx, it); err != nil {
		return 0, err
	}
	r, err := im.cfg.Uploads.PutFile(ctx, im.Owner, upload.NewFile{Name: it.name, MediaType: it.mediaType(), Body: body, Imported: im.imported(it)}, nil)
	return r.UID, err
}

// copyParts copies a large object in parts. An upload that a kill left of the
// same job and state of the object is gone on with.
func (im *run) copyParts(ctx context.Context, it *item) (protocol.UID, error) {
	u, err := im.begin(ctx, it)
	if err != nil || u.State == protocol.UploadCommitted {
		return u.UID, err
	}
	held := map[protocol.PartNumber]bool{}
	for _, p := range u.Parts {
		held[p.Number] = true
	}
	layout := protocol.Layout{Size: it.Size, PartSize: u.PartSize}
	g, parts := errgroup.WithContext(ctx)
	g.SetLimit(partsAtOnce)
	for n := protocol.PartNumber(1); int64(n-1)*u.PartSize < it.Size; n++ {
		if !held[n] {
			g.Go(func() error { return im.part(parts, it, u.UID, layout, n) })
		}
	}
	if err = g.Wait(); err == nil {
		err = im.unchanged(ctx, it)
	}
	if err == nil {
		_, _, err = im.cfg.Uploads.Commit(ctx, im.Owner, u.UID, protocol.CommitUpload{})
	}
	if lasting(err) != "" || protocol.KindOf(err) == protocol.KindConflict {
		if aerr := im.cfg.Uploads.Abort(context.WithoutCancel(ctx), im.Owner, u.UID); aerr != nil {
			im.log.WarnContext(ctx, "an upload of an import is left to be abandoned", "uid", u.UID, "err", aerr)
		}
	}
	return u.UID, err
}

func (im *run) part(ctx context.Context, it *item, uid protocol.UID, layout protocol.Layout, n protocol.PartNumber) error {
	off, length, err := layout.Range(n)
	if err != nil {
		return err
	}
	return im.read(ctx, it, off, length, func(r io.Reader) error {
		_, err := im.cfg.Uploads.PutPart(ctx, im.Owner, uid, n, upload.Body{Reader: r, Length: length})
		return err
	})
}

// begin gives the upload of the object: the one that this job began, while it
// is there.
func (im *run) begin(ctx context.Context, it *item) (u protocol.Upload, err error) {
	sum := sha256.Sum256([]byte(it.from + "\x00" + it.Tag))
	req := &once.Request{Key: fmt.Sprintf("import/%s/%x", im.job.Job.ID, sum[:16]), Sum: sum}
	b := protocol.BeginUpload{Name: it.name, Size: &it.Size, MediaType: it.mediaType()}
	for range 2 {
		r, err := im.cfg.Uploads.BeginImported(ctx, im.Owner, b, im.imported(it), req)
		if err != nil {
			return u, err
		}
		if err := json.Unmarshal(r.Body, &u); err != nil {
			return u, err
		}
		u, err = im.cfg.Uploads.Upload(ctx, im.Owner, u.UID)
		if protocol.KindOf(err) != protocol.KindNotFound {
			return u, err
		}
		req = nil // it was aborted since
	}
	return u, err
}
