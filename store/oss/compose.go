package oss

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// limits are OSS's: every part but the last has more than 100 KB.
var limits = object.Limits{MinPart: 100<<10 + 1, MaxPart: 5 << 30, MaxParts: 10_000, Part: 512 << 20}

// BeginCompose is store.Composer's.
func (b *Backend) BeginCompose(ctx context.Context, key store.Key) (store.ComposeID, error) {
	if err := key.Check(); err != nil {
		return "", fmt.Errorf("begin to compose: %w", err)
	}
	name := b.names.Object(key)
	c := b.begin(ctx, "begin to compose", name)
	begun, err := b.bucket.InitiateMultipartUpload(name, c.options(oss.ContentType(mediaType))...)
	if err == nil && begun.UploadID == "" {
		err = errors.New("the service gave no upload id")
	}
	if err != nil {
		return "", c.failed(ctx, err)
	}
	return store.ComposeID(begun.UploadID), nil
}

// Compose is store.Composer's.
func (b *Backend) Compose(ctx context.Context, key store.Key, id store.ComposeID, pieces []store.Piece) (bool, error) {
	if err := key.Check(); err != nil {
		return false, fmt.Errorf("compose: %w", err)
	}
	steps, err := object.Plan(pieces, limits)
	if err != nil {
		return false, fmt.Errorf("compose: %w", err)
	}
	name := b.names.Object(key)
	found, err := b.head(ctx, "compose", name)
	switch {
	case err == nil:
		return b.composedBefore(ctx, name, found, pieces)
	case !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	from, err := b.sources(ctx, pieces)
	if err != nil {
		return false, err
	}
	w := &composing{b: b, upload: b.upload(name, id), from: from}
	if w.held, err = b.held(ctx, w.upload); err != nil {
		return false, err
	}
	parts, err := w.run(ctx, steps)
	if err != nil {
		return false, err
	}
	if err := b.complete(ctx, w.upload, parts); err != nil {
		return false, err
	}
	found, err = b.head(ctx, "compose", name)
	switch {
	case errors.Is(err, store.ErrNotFound): // which here would be said of a source
		return false, fmt.Errorf("compose %q: the service says that it made the object, and does not have it", name)
	case err != nil:
		return false, err
	}
	return b.verify(ctx, name, found, from, pieces)
}

// upload is what the SDK knows a composition by.
func (b *Backend) upload(name string, id store.ComposeID) oss.InitiateMultipartUploadResult {
	return oss.InitiateMultipartUploadResult{Bucket: b.bucket.BucketName, Key: name, UploadID: string(id)}
}

// composedBefore is Compose where the object is there already. Its pieces may
// have gone since.
func (b *Backend) composedBefore(ctx context.Context, name string, found described, pieces []store.Piece) (bool, error) {
	if want := total(pieces); found.size != want {
		return false, fmt.Errorf("compose %q: there is an object of %d bytes, and the pieces have %d: %w", name, found.size, want, store.ErrExists)
	}
	from, err := b.sources(ctx, pieces)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return b.verify(ctx, name, found, from, pieces)
}

func total(pieces []store.Piece) (n int64) {
	for _, p := range pieces {
		n += p.Length
	}
	return n
}

// verify compares an object with the pieces it was made of, by what the service
// computed of all of them. Of a range of an object there is no checksum.
func (b *Backend) verify(ctx context.Context, name string, found described, from map[store.Key]described, pieces []store.Piece) (bool, error) {
	known, sum := found.known, uint64(0)
	for _, p := range pieces {
		s := from[p.Key]
		known = known && s.known && p.Offset == 0 && p.Length == s.size
		sum = object.ECMA.Combine(sum, s.sum, p.Length)
	}
	if want := total(pieces); found.size != want || known && found.sum != sum {
		return false, b.discard(ctx, name, fmt.Errorf("compose %q: the service made %d bytes with CRC-64 %d of pieces with %d bytes and %d: %w",
			name, found.size, found.sum, want, sum, store.ErrDamaged))
	}
	return known, nil
}

// complete makes the parts an object. That the upload is gone may mean that an
// earlier try did, whose answer was lost: then the object is there.
func (b *Backend) complete(ctx context.Context, up oss.InitiateMultipartUploadResult, parts []oss.UploadPart) error {
	c := b.begin(ctx, "compose", up.Key)
	done, err := b.bucket.CompleteMultipartUpload(up, parts, c.options(oss.ForbidOverWrite(true))...)
	if err == nil && done.ETag == "" {
		err = errors.New("the service answered with success and made no object")
	}
	if err == nil {
		return nil
	}
	err = c.failed(ctx, err)
	if errors.Is(err, store.ErrNotBegun) || errors.Is(err, store.ErrExists) {
		_, missing := b.head(ctx, "compose", up.Key)
		if missing == nil {
			return nil
		}
		if !errors.Is(missing, store.ErrNotFound) {
			return missing
		}
	}
	return err
}

// AbandonCompose is store.Composer's.
func (b *Backend) AbandonCompose(ctx context.Context, key store.Key, id store.ComposeID) error {
	if err := key.Check(); err != nil {
		return fmt.Errorf("abandon composition: %w", err)
	}
	up := b.upload(b.names.Object(key), id)
	c := b.begin(ctx, "abandon composition", up.Key)
	if err := b.bucket.AbortMultipartUpload(up, c.options()...); err != nil {
		if err = c.failed(ctx, err); !errors.Is(err, store.ErrNotBegun) {
			return err
		}
	}
	return nil
}

// Unfinished is store.Composer's.
func (b *Backend) Unfinished(ctx context.Context) iter.Seq2[store.Unfinished, error] {
	return func(yield func(store.Unfinished, error) bool) {
		key, id := "", ""
		for {
			c := b.begin(ctx, "list compositions", "")
			options := c.options(oss.Prefix(b.names.Prefix()), oss.MaxUploads(page))
			if key != "" {
				options = append(options, oss.KeyMarker(key), oss.UploadIDMarker(id))
			}
			found, err := b.bucket.ListMultipartUploads(options...)
			if err == nil && found.IsTruncated && found.NextKeyMarker == key && found.NextUploadIDMarker == id {
				err = errors.New("the listing says that it goes on, and not from where")
			}
			if err != nil {
				yield(store.Unfinished{}, c.failed(ctx, err))
				return
			}
			for _, u := range found.Uploads {
				own, ok := b.names.Key(u.Key)
				if ok && !yield(store.Unfinished{Key: own, ID: store.ComposeID(u.UploadID), Begun: u.Initiated}, nil) {
					return
				}
			}
			if !found.IsTruncated {
				return
			}
			key, id = found.NextKeyMarker, found.NextUploadIDMarker
		}
	}
}
