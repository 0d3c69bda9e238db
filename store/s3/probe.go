package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// question is what a service is asked once by every process, since services are
// replaced.
type question struct {
	mu     sync.Mutex
	asking chan struct{} // closed when the caller that asks is done
	asked  bool
	yes    bool
}

// ask gives the answer, which f finds out where it can. One caller asks at a
// time; the others wait for its answer, each as long as it wants to.
func (q *question) ask(ctx context.Context, f func(context.Context) (yes, known bool, err error)) (bool, error) {
	for {
		q.mu.Lock()
		if q.asked {
			defer q.mu.Unlock()
			return q.yes, nil
		}
		asking := q.asking
		if asking == nil {
			q.asking = make(chan struct{})
			q.mu.Unlock()
			return q.answer(f(ctx))
		}
		q.mu.Unlock()
		select {
		case <-asking:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// answer keeps what was found out, if it was.
func (q *question) answer(yes, known bool, err error) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.asking)
	q.asking = nil
	if known && err == nil {
		q.asked, q.yes = true, yes
	}
	return yes, err
}

// denied reports whether the answer is no. Until it was asked it is not.
func (q *question) denied() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.asked && !q.yes
}

// deny has the answer be no.
func (q *question) deny() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked, q.yes = true, false
}

// sumsBodies asks whether checksums may follow bodies, as AWS, MinIO and
// versitygw let them: whether the service says of a part, which is abandoned,
// what we say. One that does not may refuse such bodies, or keep what goes around
// them.
func (b *Backend) sumsBodies(ctx context.Context) (yes, known bool, err error) {
	const text = "Do you sum up what you take?"
	key := store.TrialKey
	id, err := b.beginUpload(ctx, b.names.Object(key), true)
	if err != nil {
		return false, true, refusal(err)
	}
	sum := object.NVME.New()
	_, _ = io.WriteString(sum, text) // hashes do not fail
	v := &vendor{Backend: b, sums: true}
	part, err := v.UploadPart(ctx, key, id, 1, strings.NewReader(text), int64(len(text)))
	if errors.Is(err, store.ErrDamaged) {
		err = nil // it sums up something else
	}
	return part.Extra == checksum(sum.Sum64()), true, errors.Join(refusal(err), b.abandonAsked(ctx, key, id))
}

// Note is store.Noter's.
func (b *Backend) Note() string {
	if !b.bodies.denied() {
		return ""
	}
	return "the storage takes no CRC-64/NVME of what is sent to it: what is damaged on the way there is found when it is read, and not when it is written"
}

// sumsJoins asks whether the service sums up what it joins with a CRC-64 of the
// whole, as AWS does. MinIO begins an upload with one and then refuses every
// part that is copied; versitygw says of a part of an object what the sum of all
// of it is, and so has a wrong one of the result. It is tried with the mark,
// which every store in use has; without one nothing is known.
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
	key := store.TrialKey
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
	return yes, errors.Join(refusal(err), b.abandonAsked(ctx, key, id))
}

// abandonAsked abandons an upload that was begun to ask something. To be denied
// that is not taken as an answer about the service: each start would leave one
// more upload behind, and the account lacks a right that ospd needs.
func (b *Backend) abandonAsked(ctx context.Context, key store.Key, id store.ComposeID) error {
	err := b.AbandonCompose(ctx, key, id)
	if errors.Is(err, store.ErrDenied) {
		return err
	}
	return refusal(err)
}

// refusal is nil for an error that says that the service will not do this, for
// whatever reason: it goes without.
func refusal(err error) error {
	var f *object.Failure
	var busy *store.BusyError
	if errors.As(err, &f) && !errors.As(err, &busy) && f.Status >= 400 && (f.Status < 500 || f.Status == http.StatusNotImplemented) {
		return nil
	}
	return err
}
