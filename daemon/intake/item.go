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
			UID:        uid, ETag: etag, Store: im.src.store.Name(), Key: string(store.ForeignKey(it.Name)),
			Size: it.Size, Tag: it.Tag, Adopted: im.Adopt,
		}
	}
	return nil
}
