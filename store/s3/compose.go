package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/minio/minio-go/v7"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// BeginCompose is store.Composer's.
func (b *Backend) BeginCompose(ctx context.Context, key store.Key) (store.ComposeID, error) {
	if err := key.Check(); err != nil {
		return "", fmt.Errorf("begin to compose: %w", err)
	}
	sums, err := b.joins.ask(ctx, b.sumsJoins)
	if err != nil {
		return "", fmt.Errorf("begin to compose: %w", err)
	}
	return b.beginUpload(ctx, b.names.Object(key), sums)
}

// beginUpload begins one, whose object has a checksum of the whole if sums is
// set: that needs the service to know those of the parts.
func (b *Backend) beginUpload(ctx context.Context, name string, sums bool) (store.ComposeID, error) {
	options := minio.PutObjectOptions{ContentType: mediaType}
	if sums {
		options.UserMetadata = map[string]string{"X-Amz-Checksum-Algorithm": algorithm, "X-Amz-Checksum-Type": "FULL_OBJECT"}
	}
	c := begin(ctx, "begin to compose")
	id, err := b.core.NewMultipartUpload(c.ctx, b.bucket, name, options)
	if err != nil {
		return "", c.failed(err)
	}
	if id == "" {
		return "", errors.New("begin to compose: the service gave no upload id")
	}
	return store.ComposeID(id), nil
}

// Compose is store.Composer's.
func (b *Backend) Compose(ctx context.Context, key store.Key, id store.ComposeID, pieces []store.Piece) (bool, error) {
	err := key.Check()
	for _, p := range pieces {
		err = errors.Join(err, p.Key.CheckAny())
	}
	if err != nil {
		return false, fmt.Errorf("compose: %w", err)
	}
	verified, err := object.Join(ctx, &vendor{Backend: b}, key, id, pieces)
	if err != nil {
		return false, fmt.Errorf("compose %s: %w", key, err)
	}
	return verified, nil
}

// AbandonCompose is store.Composer's.
func (b *Backend) AbandonCompose(ctx context.Context, key store.Key, id store.ComposeID) error {
	if err := key.Check(); err != nil {
		return fmt.Errorf("abandon composition: %w", err)
	}
	c := begin(ctx, fmt.Sprintf("abandon composition of %s", key))
	err := c.failed(b.core.AbortMultipartUpload(c.ctx, b.bucket, b.names.Object(key), string(id)))
	if errors.Is(err, store.ErrNotBegun) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Unfinished is store.Composer's. The whole bucket is asked for, since MinIO
// takes a prefix for the name of an object.
func (b *Backend) Unfinished(ctx context.Context) iter.Seq2[store.Unfinished, error] {
	return func(yield func(store.Unfinished, error) bool) {
		name, id := "", ""
		for {
			c := begin(ctx, "list compositions")
			found, err := b.core.ListMultipartUploads(c.ctx, b.bucket, "", name, id, "", page)
			if err == nil && found.IsTruncated && found.NextKeyMarker == name && found.NextUploadIDMarker == id {
				err = errors.New("the listing says that it goes on, and not from where")
			}
			if err != nil {
				yield(store.Unfinished{}, c.failed(err))
				return
			}
			for _, u := range found.Uploads {
				key, ours := b.names.Key(u.Key)
				if ours && !yield(store.Unfinished{Key: key, ID: store.ComposeID(u.UploadID), Begun: u.Initiated}, nil) {
					return
				}
			}
			if !found.IsTruncated {
				return
			}
			name, id = found.NextKeyMarker, found.NextUploadIDMarker
		}
	}
}

// page is how much a listing gives at once.
const page = 1000
