package predecessor

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

// osproxy may go on after an import: it merges files that were parts, and who has
// a link that was not used up may put other bytes. Then the File is made anew, as
// long as its bytes lie where osproxy's are.

// compare ends a row whose File is as the row says. The objects of others are
// looked at, and of those that are compared with no MD5: that they are others is
// seen by nothing else.
func (r *run) compare(it *item, as meta.InheritedAs) {
	why := it.differs(as)
	switch {
	case why == "" && (!as.Foreign || r.Places.hold(it.pieces(), as.Objects) && (it.sum != nil || !r.Places.know(it.pieces()))):
		if it.as, it.same = &as, true; !it.unsays(as) {
			r.end(it, as.InheritResult)
		}
	case !as.Foreign:
		it.changed(why + ", and its bytes lie in objects of ospd's by now")
	default:
		it.as = &as
	}
}

// differs says what of a File is not as the row says, wherever the bytes lie.
func (it *item) differs(as meta.InheritedAs) string {
	switch {
	case it.size != nil && *it.size != as.Size:
		return fmt.Sprintf("the row says %d bytes, and the File has %d", *it.size, as.Size)
	case it.sum != nil && as.Said != nil && *it.sum != *as.Said:
		return fmt.Sprintf("the row says MD5 %x, and said %x when the File was made", *it.sum, *as.Said)
	}
	return ""
}

// unsays reports whether an MD5 is to be said no more of its File.
func (it *item) unsays(as meta.InheritedAs) bool { return it.file.Unsaid && as.Doubted() }

func (it *item) changed(why string) {
	it.fail(Changed, "it has changed since its File was made: %s; the File stays what it is", why)
}

// look finds the objects of a row, and whether its File, if there is one, is of
// them.
func (r *run) look(ctx context.Context, it *item) error {
	switch {
	case it.as == nil:
		return r.find(ctx, it)
	case it.same:
		return nil
	}
	differs := it.differs(*it.as) != ""
	// Equal bytes are kept once: they may lie in an object of another row's.
	if !differs && it.as.MD5 != nil && !it.merged(it.as.Objects) {
		there, err := r.Places.still(ctx, it.as.Objects)
		if it.same = there; there || err != nil {
			return err
		}
	}
	if err := r.find(ctx, it); err != nil {
		return err
	}
	if it.ended {
		it.changed(it.tell[0].Message)
		return nil
	}
	objects := slices.DeleteFunc(slices.Clone(it.file.Objects), func(o meta.HeldObject) bool { return o.Size == 0 })
	it.same = !differs && slices.Equal(objects, it.as.Objects)
	it.file.Anew = !it.same
	return nil
}

// merged reports whether objects are parts of the row, which it has no more: they
// may be there for a while yet, and osproxy removes them.
func (r row) merged(objects []meta.HeldObject) bool {
	part := strconv.FormatInt(r.uid, 10) + "_"
	return !r.multi && slices.ContainsFunc(objects, func(o meta.HeldObject) bool {
		return strings.HasPrefix(path.Base(strings.TrimPrefix(o.Key, "@")), part)
	})
}

// hold reports whether the objects may be those of the pieces. Of a bucket of
// which nobody said where it is nothing can be told.
func (p Places) hold(pieces []piece, objects []meta.HeldObject) bool {
	for _, piece := range pieces {
		if piece.Size != nil && *piece.Size == 0 {
			continue
		}
		if len(objects) == 0 {
			return false
		}
		list := p.candidates(piece.Bucket, piece.Name)
		if len(list) > 0 && !slices.ContainsFunc(list, func(c candidate) bool {
			return c.Store.Name() == objects[0].Store && string(store.ForeignKey(c.name)) == objects[0].Key
		}) {
			return false
		}
		objects = objects[1:]
	}
	return len(objects) == 0
}

// know reports whether somebody said where the objects are.
func (p Places) know(pieces []piece) bool {
	return !slices.ContainsFunc(pieces, func(o piece) bool { return len(p.candidates(o.Bucket, o.Name)) == 0 })
}

// still reports whether objects are what they were. Those of stores that nobody
// named are not looked at.
func (p Places) still(ctx context.Context, objects []meta.HeldObject) (bool, error) {
	for _, o := range objects {
		at, ok := p.named(o.Store)
		if !ok {
			continue
		}
		now, err := p.describe(ctx, candidate{at, strings.TrimPrefix(o.Key, "@")})
		_, refused := errors.AsType[*refusal](err)
		switch {
		case refused || errors.Is(err, store.ErrNotFound):
			return false, nil
		case err != nil:
			return false, err
		case now != o:
			return false, nil
		}
	}
	return true, nil
}

// named is the place of that store.
func (p Places) named(name string) (Place, bool) {
	if p.Rest != nil && p.Rest.Store.Name() == name {
		return *p.Rest, true
	}
	for _, at := range p.Buckets {
		if at.Store.Name() == name {
			return at, true
		}
	}
	return Place{}, false
}
