package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// atOnce is how many objects are asked about, or copied, together: small ones
// wait for the disk in groups.
const atOnce = 16

// neverRead is told of an object that could not be read though its store answers.
const neverRead = "it cannot be read; nothing was made of it; run the import again"

// item is one object on its way.
type item struct {
	store.Found
	// name is the file's, from the object's among all.
	name, from string
	known      bool
	// unread: it could not be read at this attempt; later: it is to be tried again.
	unread, later bool
	entry         meta.ImportEntry
}

// items are the objects of a page. A console draws folders with empty objects
// whose name ends in a slash: these are none.
func (im *run) items(page []listed) (list []*item) {
	for _, f := range page {
		if f.Err == nil && f.Size == 0 && strings.HasSuffix(f.Name, "/") {
			continue
		}
		if f.dir != nil {
			list = append(list, im.whole(f))
			continue
		}
		rest := f.Name[im.src.cut:]
		it := &item{Found: f.Found, name: rest, from: im.src.from + f.Name,
			entry: meta.ImportEntry{Path: printable(im.src.path + rest), Size: f.Size}}
		if f.Err != nil {
			im.log.Warn("what cannot be looked at is not imported", "job", im.job.Job.ID, "object", it.from, "err", f.Err)
			it.fail(unseen)
		} else if err := names.Check(rest); err != nil {
			it.fail(reason(err))
		} else if im.at.Tries[it.Name] >= patience {
			it.fail(neverRead)
		}
		list = append(list, it)
	}
	return list
}

// printable spells bytes that are no UTF-8, and the zero byte, \xNN.
func printable(s string) string {
	if utf8.ValidString(s) && !strings.ContainsRune(s, 0) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r == 0 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func (it *item) fail(why string) {
	it.entry.UID, it.entry.Outcome, it.entry.Error, it.entry.Make = 0, protocol.ImportFailed, why, nil
}

func (it *item) failed() bool { return it.entry.Outcome == protocol.ImportFailed }

// reason is what is told of an error: what was written to be told.
func reason(err error) string {
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

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

// each calls do for the objects that are to become files, some at once.
func (im *run) each(ctx context.Context, list []*item, do func(context.Context, *item) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, it := range list {
		if it.failed() || it.known || it.later {
			continue
		}
		g.Go(func() error {
			err := do(ctx, it)
			return im.judge(ctx, it, err)
		})
	}
	return g.Wait()
}

// judge says which errors of one object are a failure of that alone.
func (im *run) judge(ctx context.Context, it *item, err error) error {
	read, isRead := errors.AsType[*readError](err)
	why := lasting(err)
	switch {
	case err == nil, ctx.Err() != nil:
		return err
	case why != "":
		it.fail(why)
	case isRead && im.answers(ctx):
		it.unread = true
		if it.later = im.at.Tries[it.Name]+1 < patience; !it.later {
			it.fail(neverRead)
		}
		im.log.WarnContext(ctx, "an object cannot be read", "job", im.job.Job.ID, "object", it.from, "again", it.later, "err", read)
	default:
		return fmt.Errorf("object %q: %w", it.from, err)
	}
	return nil
}

// answers reports whether the storage is there: else that one object cannot be
// read says nothing of it.
func (im *run) answers(ctx context.Context) bool {
	return im.src.store == nil || im.src.store.Check(ctx) == nil
}

// lasting says why no attempt would do, "" where one may.
func lasting(err error) string {
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "it vanished while it was imported; nothing was made of it"
	case errors.Is(err, errChanged), errors.Is(err, store.ErrRange):
		return "it changed while it was imported; nothing was made of it; run the import again"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, store.ErrDenied):
		return "the daemon may not read it; nothing was made of it"
	case protocol.KindOf(err) == protocol.KindTooLarge, protocol.KindOf(err) == protocol.KindBadRequest:
		return reason(err)
	}
	return ""
}

// lookAt asks what is to be known of an object that stays where it is. That of
// a folder is opened, too: a File that nobody can read is worse than none.
func (im *run) lookAt(ctx context.Context, it *item) error {
	if err := im.describe(ctx, it); err != nil || !im.src.folder {
		return err
	}
	return im.read(ctx, it, 0, 0, func(io.Reader) error { return nil })
}

// describe asks for the media type where a listing does not say it, as those
// of object stores do not.
func (im *run) describe(ctx context.Context, it *item) error {
	if it.MediaType != "" || im.src.store == nil {
		return nil
	}
	f, err := im.src.Describe(ctx, it.Name)
	if err != nil {
		return &readError{err}
	}
	if f.Size != it.Size {
		return errChanged
	}
	it.Found = f
	return nil
}

// mediaType is what the storage says the object is, else what its name says;
// nil leaves it to its bytes.
func (it *item) mediaType() *string {
	kind := it.MediaType
	if kind == "" {
		kind, _, _ = strings.Cut(mime.TypeByExtension(path.Ext(it.name)), ";")
	}
	if kind == "" || protocol.CheckMediaType(kind) != nil {
		return nil
	}
	return &kind
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

// takeAll has the objects become files where they lie.
func (im *run) takeAll(ctx context.Context, list []*item) error {
	if err := im.each(ctx, list, im.lookAt); err != nil {
		return err
	}
	for _, it := range list {
		if it.failed() {
			continue
		}
		uid, err := im.cfg.Minter.Next(ctx)
		if err != nil {
			return err
		}
		etag := `"u` + uid.String() + `"`
		if it.Size == 0 {
			etag = `"` + protocol.DigestOf(nil).String() + `"`
		}
		it.entry.Make = &meta.InPlace{
			FileFields: meta.FileFields{Owner: im.Owner, Name: it.name, MediaType: it.mediaType(), Imported: im.imported(it)},
			UID:        uid, ETag: etag, Store: im.src.store.Name(), Key: string(store.ForeignKey(it.Name)), Node: im.cfg.Node,
			Size: it.Size, Tag: it.Tag, Adopted: im.Adopt,
		}
	}
	return nil
}
