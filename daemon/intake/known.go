package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// known finds the files that were made of the objects before. Those that this
// very job made, before it was killed, count as imported by it.
func (im *run) known(ctx context.Context, list []*item) error {
	var from []string
	for _, it := range list {
		if !it.failed() {
			from = append(from, it.from)
		}
	}
	files, err := im.cfg.Meta.ImportedFiles(ctx, im.Owner, from)
	if err != nil {
		return err
	}
	var changed []*item
	for _, it := range list {
		f, ok := files[it.from]
		switch {
		case !ok || it.failed():
		case im.same(it, f):
			it.found(f, im.job.Job.CreatedAt)
		case im.lies(it, f):
			it.fail(fmt.Sprintf("the object has changed since it was imported as %s; remove that file to import it anew", f.UID))
		default:
			changed = append(changed, it)
		}
	}
	return im.anew(ctx, changed, files)
}

// lies reports whether the file's bytes lie in this very object.
func (im *run) lies(it *item, f meta.ImportedFile) bool {
	return im.src.store != nil && f.Store == im.src.store.Name() && f.Key == string(store.ForeignKey(it.Name))
}

// same reports whether the file was made of the object as it is now. Of one in
// place the tag tells. A copy has of the object when that was written, and so has
// a file in place whose bytes lie in an equal object, or are ospd's own, by now.
func (im *run) same(it *item, f meta.ImportedFile) bool {
	switch {
	case f.Size != it.Size:
		return false
	case im.lies(it, f):
		return f.Tag == "" || f.Tag == it.Tag
	}
	return !it.dated() || f.CreatedAt.UnixMilli() == it.Time.UnixMilli()
}

// anew lets the files go of which the objects are others now. That the object is
// what was listed is looked at once more: another import may have made the file
// of what it became since.
func (im *run) anew(ctx context.Context, list []*item, files map[string]meta.ImportedFile) error {
	if err := im.each(ctx, list, im.unchanged); err != nil {
		return err
	}
	var uids []protocol.UID
	for _, it := range list {
		if !it.failed() && !it.later {
			uids = append(uids, files[it.from].UID)
		}
	}
	if len(uids) == 0 {
		return nil
	}
	return im.cfg.Meta.LetGoImported(ctx, im.Owner, uids)
}

func (it *item) found(f meta.ImportedFile, since time.Time) {
	it.known, it.entry.UID, it.entry.Outcome = true, f.UID, protocol.ImportAlready
	if !f.CommittedAt.Before(since) {
		it.entry.Outcome = protocol.ImportImported
	}
}

// imported is what the file's row keeps of the object.
func (im *run) imported(it *item) meta.Imported {
	from := meta.Imported{From: it.from, ModifiedAt: it.Time}
	if !it.dated() {
		from.ModifiedAt = im.cfg.Now()
	}
	return from
}

// dated reports whether it is known when the object was written. A time before
// there were computers is none, and neither is one that the wire does not carry.
// That is so whenever it is asked: a time that lies in the future is the
// object's, since the storage's clock may be ahead, and has passed by the next
// import.
func (it *item) dated() bool {
	return !it.Time.Before(time.Unix(0, 0)) && it.Time.Before(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))
}
