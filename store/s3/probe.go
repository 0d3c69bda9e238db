package s3

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// joinSums is whether the service sums up what it joins with a CRC-64 of the
// whole, as AWS does. MinIO begins an upload with one and then refuses every
// part that is copied; versitygw says of a part of an object what the sum of all
// of it is, and so has a wrong one of the result. It is asked once by every
// process, since services are replaced.
type joinSums struct {
	mu     sync.Mutex
	asking chan struct{} // closed when the caller that asks is done
	asked  bool
	yes    bool
}

// ask tries it with the mark, which every store in use has. Without one it is
// asked again the next time. One caller asks at a time; the others wait for its
// answer, each as long as it wants to.
func (j *joinSums) ask(ctx context.Context, b *Backend) (bool, error) {
	for {
		j.mu.Lock()
		if j.asked {
			defer j.mu.Unlock()
			return j.yes, nil
		}
		asking := j.asking
		if asking == nil {
			j.asking = make(chan struct{})
			j.mu.Unlock()
			return j.answer(b.sumsJoins(ctx))
		}
		j.mu.Unlock()
		select {
		case <-asking:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// answer keeps what was found out, if it was.
func (j *joinSums) answer(yes, known bool, err error) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.asking)
	j.asking = nil
	if known && err == nil {
		j.asked, j.yes = true, yes
	}
	return yes, err
}

func (b *Backend) sumsJoins(ctx context.Context) (yes, known bool, err error) {
	text, err := b.readMark(ctx)
	if errors.Is(err, store.ErrNotFound) || err == nil && len(text) < 3 {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	source, err := b.head(ctx, "read mark", b.names.Mark())
	if err != nil {
		return false, false, err
	}
	yes, err = b.copiesWithSums(ctx, text, described(source))
	return yes, true, err
}

// copiesWithSums begins an upload with a checksum, copies a part of the mark's
// text into it, and abandons it. AWS copies ranges of large objects only, and
// says so: then all of it is copied.
func (b *Backend) copiesWithSums(ctx context.Context, text []byte, source object.Object) (yes bool, err error) {
	key := store.NewKey(store.DirOf(0))
	id, err := b.beginUpload(ctx, b.names.Object(key), true)
	if err != nil {
		return false, refusal(err)
	}
	off, n := int64(1), int64(len(text)-2)
	part, err := b.copyPart(ctx, b.names.Object(key), id, 1, b.names.Mark(), off, n, source)
	if isCode(err, "InvalidRequest") || isCode(err, "InvalidRange") {
		off, n = 0, int64(len(text))
		part, err = b.copyPart(ctx, b.names.Object(key), id, 1, b.names.Mark(), 0, -1, source)
	}
	sum := object.NVME.New()
	sum.Write(text[off : off+n])
	yes = err == nil && part.Extra == checksum(sum.Sum64())
	return yes, errors.Join(refusal(err), refusal(b.AbandonCompose(ctx, key, id)))
}

// refusal is nil for an error that says that the service will not do this, for
// whatever reason: composing goes without.
func refusal(err error) error {
	var f *object.Failure
	var busy *store.BusyError
	if errors.As(err, &f) && !errors.As(err, &busy) && f.Status >= 400 && (f.Status < 500 || f.Status == http.StatusNotImplemented) {
		return nil
	}
	return err
}
