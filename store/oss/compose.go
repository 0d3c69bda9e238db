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

// Compose is store.Composer's. It is verified by the checksums that OSS keeps of
// the object and its sources.
func (b *Backend) Compose(ctx context.Context, key store.Key, id store.ComposeID, pieces []store.Piece) (bool, error) {
	if err := key.Check(); err != nil {
		return false, fmt.Errorf("compose: %w", err)
	}
	verified, err := object.Join(ctx, joining{b}, key, id, pieces)
	if err != nil {
		return false, fmt.Errorf("compose %q: %w", b.names.Object(key), err)
	}
	return verified, nil
}

// upload is what the SDK knows a composition by.
func (b *Backend) upload(key store.Key, id store.ComposeID) oss.InitiateMultipartUploadResult {
	return oss.InitiateMultipartUploadResult{Bucket: b.bucket.BucketName, Key: b.names.Object(key), UploadID: string(id)}
}

// AbandonCompose is store.Composer's.
func (b *Backend) AbandonCompose(ctx context.Context, key store.Key, id store.ComposeID) error {
	if err := key.Check(); err != nil {
		return fmt.Errorf("abandon composition: %w", err)
	}
	up := b.upload(key, id)
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
