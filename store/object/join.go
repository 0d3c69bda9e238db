package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/osproxy/osproxy/store"
)

// Object is what a storage says of one object.
type Object struct {
	Size int64
	// Tag is its ETag: a copy of parts of it is pinned by that.
	Tag string
	// CRC is the checksum that the storage keeps of the whole, if HasCRC.
	CRC    uint64
	HasCRC bool
	// MD5 is that of the bytes, in hex, where the Tag is one; "" elsewhere. Of
	// an object that was joined of parts it is that of their MD5s, and ends with
	// their number.
	MD5 string
}

// Part is a part of an object that is not finished, as the storage has it.
type Part struct {
	Number int
	Size   int64
	Tag    string
	MD5    string // see Object
	// Extra is whatever else the backend has to say of the part when it
	// finishes the object.
	Extra string
}

// Vendor is what Join asks of a backend: its calls, each once, without retries.
// Errors mean what they do in package store.
type Vendor interface {
	Limits() Limits
	Polynomial() Polynomial
	// Head describes the object under key, or is store.ErrNotFound.
	Head(ctx context.Context, key store.Key) (Object, error)
	// Get is store.Backend's.
	Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error)
	// Delete is store.Backend's.
	Delete(ctx context.Context, key store.Key) error
	// Parts are those there are, or store.ErrNotBegun.
	Parts(ctx context.Context, key store.Key, id store.ComposeID) ([]Part, error)
	// CopyPart makes a part of a range of an object, provided that the object
	// still is the one described.
	CopyPart(ctx context.Context, key store.Key, id store.ComposeID, number int, from store.Piece, source Object) (Part, error)
	// UploadPart makes a part of size bytes of a reader.
	UploadPart(ctx context.Context, key store.Key, id store.ComposeID, number int, r io.Reader, size int64) (Part, error)
	// Complete makes the object of the parts, in the order of their numbers, all
	// of which there are. It is store.ErrNotBegun where the storage knows
	// nothing of the composition, and store.ErrExists where the object is there.
	Complete(ctx context.Context, key store.Key, id store.ComposeID, parts []Part) error
}

// atOnce is how many parts are made at the same time.
const atOnce = 4

// Join is store.Composer's Compose, for a storage whose objects are joined of
// parts.
func Join(ctx context.Context, v Vendor, key store.Key, id store.ComposeID, pieces []store.Piece) (verified bool, err error) {
	steps, err := Plan(pieces, v.Limits())
	if err != nil {
		return false, err
	}
	j := &join{Vendor: v, key: key, id: id, pieces: pieces, steps: steps, parts: make([]Part, len(steps)), sources: map[store.Key]Object{}}
	have, err := v.Parts(ctx, key, id)
	switch {
	case errors.Is(err, store.ErrNotBegun):
		// Its object may be there already: an answer got lost, or somebody asks
		// once more.
		return j.settle(ctx, err, false)
	case err != nil:
		return false, err
	}
	if err := j.describe(ctx); err != nil {
		return false, err
	}
	if err := j.makeParts(ctx, have); err != nil {
		return false, err
	}
	err = v.Complete(ctx, key, id, j.parts)
	if err != nil && !errors.Is(err, store.ErrNotBegun) && !errors.Is(err, store.ErrExists) {
		return false, err
	}
	return j.settle(ctx, err, !errors.Is(err, store.ErrExists))
}

// join is one call of Join.
type join struct {
	Vendor
	key     store.Key
	id      store.ComposeID
	pieces  []store.Piece
	steps   []Step
	parts   []Part // by step
	sources map[store.Key]Object
	proof   proof
}

// describe asks for the sources of the pieces, and makes sure that they have
// the bytes of these.
func (j *join) describe(ctx context.Context) error {
	var keys []store.Key
	for _, p := range j.pieces {
		if _, ok := j.sources[p.Key]; !ok {
			j.sources[p.Key] = Object{}
			keys = append(keys, p.Key)
		}
	}
	found := make([]Object, len(keys))
	err := each(ctx, len(keys), func(ctx context.Context, i int) (err error) {
		if found[i], err = j.Head(ctx, keys[i]); err != nil {
			return fmt.Errorf("source %s: %w", keys[i], err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, k := range keys {
		j.sources[k] = found[i]
	}
	for _, p := range j.pieces {
		if size := j.sources[p.Key].Size; p.Length > size || p.Offset > size-p.Length {
			return fmt.Errorf("source %s: %d bytes from %d of %d: %w", p.Key, p.Length, p.Offset, size, store.ErrRange)
		}
	}
	return nil
}

// makeParts makes those parts that are not there yet. A part's number and size
// tell what it is made of, since the same pieces give the same steps.
func (j *join) makeParts(ctx context.Context, have []Part) error {
	byNumber := map[int]Part{}
	for _, p := range have {
		byNumber[p.Number] = p
	}
	return each(ctx, len(j.steps), func(ctx context.Context, i int) (err error) {
		s := j.steps[i]
		if p, ok := byNumber[s.Number]; ok && p.Size == s.Size() {
			j.parts[i] = p
			return nil
		}
		if s.Copied {
			from := s.Ranges[0]
			j.parts[i], err = j.CopyPart(ctx, j.key, j.id, s.Number, from, j.sources[from.Key])
		} else {
			j.parts[i], err = j.send(ctx, s)
		}
		if err != nil {
			return fmt.Errorf("part %d: %w", s.Number, err)
		}
		j.parts[i].Number, j.parts[i].Size = s.Number, s.Size()
		return nil
	})
}

// send makes a part of short pieces, whose bytes pass here.
func (j *join) send(ctx context.Context, s Step) (Part, error) {
	g := newGathering(ctx, j.Vendor, s.Ranges)
	part, err := j.UploadPart(ctx, j.key, j.id, s.Number, g, s.Size())
	if err = errors.Join(err, g.close()); err != nil {
		return Part{}, err
	}
	j.proof.sent(s.Number, g.sums)
	return part, nil
}

// settle looks at the object once the storage has answered to Complete, or
// knows of no composition. why is its error, if it had one. made says that the
// object under the key is certainly what was joined here.
func (j *join) settle(ctx context.Context, why error, made bool) (verified bool, err error) {
	o, err := j.Head(ctx, j.key)
	switch {
	case errors.Is(err, store.ErrNotFound) && why != nil:
		return false, why
	case errors.Is(err, store.ErrNotFound): // which would be said of a source
		return false, errors.New("the storage says that it made the object, and does not have it")
	case err != nil:
		return false, err
	case o.Size != total(j.pieces):
		return false, j.discard(ctx, made, fmt.Errorf("the object has %d bytes and its pieces %d", o.Size, total(j.pieces)))
	}
	if err := j.describe(ctx); err != nil {
		// Sources may be gone when somebody asks once more.
		return false, nilIf(err, store.ErrNotFound)
	}
	want, known := wholeCRC(j.pieces, j.sources, j.Polynomial())
	if known && o.HasCRC {
		if o.CRC != want {
			return false, j.discard(ctx, made, fmt.Errorf("the object has the CRC-64 %016x and its pieces %016x", o.CRC, want))
		}
		return true, nil
	}
	return j.proof.holds(o, j.steps, j.parts, j.sources), nil
}

// discardPatience is for removing what must not stay, whatever became of the
// caller.
const discardPatience = 30 * time.Second

// discard removes what was joined wrongly: nobody looks for it yet. What may be
// somebody else's stays.
func (j *join) discard(ctx context.Context, made bool, why error) error {
	if !made {
		return fmt.Errorf("%w: %w", why, store.ErrExists)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardPatience)
	defer cancel()
	if err := j.Delete(ctx, j.key); err != nil {
		return fmt.Errorf("%w; and it could not be deleted: %w", why, err)
	}
	return fmt.Errorf("%w: %w", why, store.ErrDamaged)
}

func nilIf(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

// each calls f with 0 to n-1, some at once, and waits for all. After the first
// error none is begun any more, and the others are cancelled.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, atOnce) {
		wg.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err) // the first one stays
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
