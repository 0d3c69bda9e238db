package oss

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"sync"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// atOnce is how many requests of one composition run at once.
const atOnce = 8

// each calls f for 0 to n-1, several at once, until one fails; it has the error
// of that one and returns when all have.
func each(ctx context.Context, n int, f func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, atOnce) {
		wg.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err) // the first one counts
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

// sources describes the objects of the pieces, and makes sure that they are as
// long as they have to be.
func (b *Backend) sources(ctx context.Context, pieces []store.Piece) (map[store.Key]described, error) {
	var keys []store.Key
	from := map[store.Key]described{}
	for _, p := range pieces {
		if err := p.Key.CheckAny(); err != nil {
			return nil, fmt.Errorf("compose: %w", err)
		}
		if _, ok := from[p.Key]; !ok {
			from[p.Key] = described{}
			keys = append(keys, p.Key)
		}
	}
	found := make([]described, len(keys))
	if err := each(ctx, len(keys), func(ctx context.Context, i int) (err error) {
		found[i], err = b.head(ctx, "compose from", b.names.Object(keys[i]))
		return err
	}); err != nil {
		return nil, err
	}
	for i, k := range keys {
		from[k] = found[i]
	}
	for _, p := range pieces {
		if s := from[p.Key]; p.Offset > s.size || p.Length > s.size-p.Offset {
			return nil, fmt.Errorf("compose from %q: %d bytes from %d of %d: %w", b.names.Object(p.Key), p.Length, p.Offset, s.size, store.ErrRange)
		}
	}
	return from, nil
}

// held are the parts that an earlier try made.
func (b *Backend) held(ctx context.Context, up oss.InitiateMultipartUploadResult) (map[int]oss.UploadedPart, error) {
	held := map[int]oss.UploadedPart{}
	for after := 0; ; {
		c := b.begin(ctx, "list parts of", up.Key)
		found, err := b.bucket.ListUploadedParts(up, c.options(oss.MaxParts(page), oss.PartNumberMarker(after))...)
		if err != nil {
			return nil, c.failed(ctx, err)
		}
		for _, p := range found.UploadedParts {
			held[p.PartNumber] = p
		}
		if !found.IsTruncated {
			return held, nil
		}
		next, err := strconv.Atoi(found.NextPartNumberMarker)
		if err != nil || next <= after {
			return nil, c.failed(ctx, fmt.Errorf("the listing goes on after part %q", found.NextPartNumberMarker))
		}
		after = next
	}
}

// composing makes the parts of one composition.
type composing struct {
	b      *Backend
	upload oss.InitiateMultipartUploadResult
	from   map[store.Key]described
	held   map[int]oss.UploadedPart
}

// run makes all parts.
func (w *composing) run(ctx context.Context, steps []object.Step) ([]oss.UploadPart, error) {
	parts := make([]oss.UploadPart, len(steps))
	err := each(ctx, len(steps), func(ctx context.Context, i int) (err error) {
		parts[i], err = w.part(ctx, steps[i])
		return err
	})
	return parts, err
}

// part makes one part, where an earlier try did not. The same pieces have the
// same steps, so that a part of that number and size is the one.
func (w *composing) part(ctx context.Context, s object.Step) (part oss.UploadPart, err error) {
	if h, ok := w.held[s.Number]; ok && int64(h.Size) == s.Size() && h.ETag != "" {
		return oss.UploadPart{PartNumber: s.Number, ETag: h.ETag}, nil
	}
	if s.Copied() {
		part, err = w.copy(ctx, s)
	} else {
		part, err = w.send(ctx, s)
	}
	if err != nil {
		return oss.UploadPart{}, err
	}
	return part, nil
}

// copy has the service copy a range, of the very object that was looked at. The
// SDK makes a plus of a space in the name, which then is a plus.
func (w *composing) copy(ctx context.Context, s object.Step) (oss.UploadPart, error) {
	p := s.Ranges[0]
	bucket, source := w.b.bucket.BucketName, w.b.names.Object(p.Key)
	c := w.b.begin(ctx, "copy", source)
	part, err := w.b.bucket.UploadPartCopy(w.upload, bucket, source, p.Offset, p.Length, s.Number, c.options(
		oss.CopySourceIfMatch(w.from[p.Key].etag), oss.SetHeader(oss.HTTPHeaderOssCopySource, "/"+bucket+"/"+url.PathEscape(source)))...)
	if err == nil && part.ETag == "" {
		err = errors.New("the service answered with success and copied nothing")
	}
	if err != nil {
		return part, c.failed(ctx, err)
	}
	return part, nil
}

// send reads ranges that are too short to be copied and sends them as one part.
func (w *composing) send(ctx context.Context, s object.Step) (oss.UploadPart, error) {
	c := w.b.begin(ctx, "compose", w.upload.Key)
	r := &gathered{ctx: ctx, b: w.b, rest: s.Ranges}
	h, err := c.send(ctx, map[string]any{"partNumber": strconv.Itoa(s.Number), "uploadId": w.upload.UploadID}, r, s.Size())
	part := oss.UploadPart{PartNumber: s.Number, ETag: h.Get(oss.HTTPHeaderEtag)}
	if err == nil && part.ETag == "" {
		err = c.failed(ctx, errors.New("the service answered with success and took nothing"))
	}
	return part, errors.Join(err, r.Close())
}

// gathered reads ranges one after the other.
type gathered struct {
	ctx  context.Context
	b    *Backend
	rest []store.Piece
	open io.ReadCloser
}

func (g *gathered) Read(p []byte) (int, error) {
	for {
		if g.open == nil {
			if len(g.rest) == 0 {
				return 0, io.EOF
			}
			r, err := g.b.Get(g.ctx, g.rest[0].Key, g.rest[0].Offset, g.rest[0].Length)
			if err != nil {
				return 0, err
			}
			g.open, g.rest = r, g.rest[1:]
		}
		n, err := g.open.Read(p)
		if err != io.EOF {
			return n, err
		}
		if err := g.Close(); err != nil || n > 0 {
			return n, err
		}
	}
}

func (g *gathered) Close() error {
	if g.open == nil {
		return nil
	}
	err := g.open.Close()
	g.open = nil
	return err
}
