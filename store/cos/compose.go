package cos

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// BeginCompose is store.Composer's.
func (b *Backend) BeginCompose(ctx context.Context, key store.Key) (store.ComposeID, error) {
	if err := key.Check(); err != nil {
		return "", fmt.Errorf("begin to compose: %w", err)
	}
	name := b.names.Object(key)
	c := begin(ctx, "begin to compose", name)
	begun, _, err := b.client.Object.InitiateMultipartUpload(c.ctx, name, &cos.InitiateMultipartUploadOptions{
		// Without them the SDK sends a header of the name of their type.
		ACLHeaderOptions:       &cos.ACLHeaderOptions{},
		ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{ContentType: mediaType},
	})
	if err == nil && begun.UploadID == "" {
		err = errors.New("the storage gave no upload id")
	}
	if err != nil {
		return "", c.failed(err)
	}
	return store.ComposeID(begun.UploadID), nil
}

// Compose is store.Composer's. It is verified by the checksums that COS keeps of
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

// AbandonCompose is store.Composer's.
func (b *Backend) AbandonCompose(ctx context.Context, key store.Key, id store.ComposeID) error {
	if err := key.Check(); err != nil {
		return fmt.Errorf("abandon composition: %w", err)
	}
	name := b.names.Object(key)
	c := begin(ctx, "abandon composition", name)
	if _, err := b.client.Object.AbortMultipartUpload(c.ctx, name, spelled(id)); err != nil {
		if err = c.failed(err); !errors.Is(err, store.ErrNotBegun) {
			return err
		}
	}
	return nil
}

// spelled is an id as the SDK takes it, which puts it into a query as it is.
func spelled(id store.ComposeID) string { return url.QueryEscape(string(id)) }

// Unfinished is store.Composer's.
func (b *Backend) Unfinished(ctx context.Context) iter.Seq2[store.Unfinished, error] {
	return func(yield func(store.Unfinished, error) bool) {
		key, id := "", ""
		for {
			c := begin(ctx, "list compositions", "")
			found, _, err := b.client.Object.ListUploads(c.ctx, &cos.ObjectListUploadsOptions{
				Prefix: b.names.Prefix(), EncodingType: "url", MaxUploads: page, KeyMarker: key, UploadIdMarker: id,
			})
			if err != nil {
				yield(store.Unfinished{}, c.failed(err))
				return
			}
			for _, u := range found.Upload {
				own, ok, err := b.unfinished(u)
				if err != nil {
					yield(store.Unfinished{}, c.failed(err))
					return
				}
				if ok && !yield(own, nil) {
					return
				}
			}
			if !found.IsTruncated {
				return
			}
			next, err := url.QueryUnescape(found.NextKeyMarker)
			if err == nil && next == key && found.NextUploadIdMarker == id {
				err = errors.New("the listing says that it goes on, and not from where")
			}
			if err != nil {
				yield(store.Unfinished{}, c.failed(err))
				return
			}
			key, id = next, found.NextUploadIdMarker
		}
	}
}

// unfinished reads an entry of the listing; not ok where it is not ospd's.
func (b *Backend) unfinished(u cos.ListUploadsResultUpload) (own store.Unfinished, ok bool, err error) {
	name, err := url.QueryUnescape(u.Key)
	if err != nil {
		return own, false, err
	}
	key, ok := b.names.Key(name)
	if !ok {
		return own, false, nil
	}
	begun, err := time.Parse(time.RFC3339, u.Initiated)
	return store.Unfinished{Key: key, ID: store.ComposeID(u.UploadID), Begun: begun}, err == nil, err
}
