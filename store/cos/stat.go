package cos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// described is what the service says of an object.
type described struct {
	object.Object
	time      time.Time
	mediaType string
}

// head asks for an object. The answer says not whether it is the bucket that is
// not there, so that this is asked, then.
func (b *Backend) head(ctx context.Context, op, name string) (described, error) {
	c := begin(ctx, op, name)
	if err := checkName(name); err != nil {
		return described{}, c.failed(err)
	}
	resp, err := b.client.Object.Head(c.ctx, name, nil)
	if err != nil {
		err = c.failed(err)
		if errors.Is(err, store.ErrNotFound) {
			if bucket := b.headBucket(ctx, op, name); bucket != nil {
				return described{}, bucket
			}
		}
		return described{}, err
	}
	d := described{object.Object{Size: resp.ContentLength, Tag: resp.Header.Get("Etag")}, time.Time{}, resp.Header.Get("Content-Type")}
	d.CRC, err = strconv.ParseUint(resp.Header.Get(checksumHeader), 10, 64)
	d.HasCRC = err == nil
	d.time, err = http.ParseTime(resp.Header.Get("Last-Modified"))
	if err != nil || d.Size < 0 {
		return described{}, c.failed(fmt.Errorf("the storage answered without the length or the time of the object: %w", store.ErrUnsupported))
	}
	return d, nil
}

// headBucket is nil where there is a bucket, be it one that may not be looked at.
func (b *Backend) headBucket(ctx context.Context, op, name string) error {
	c := begin(ctx, op, name)
	_, err := b.client.Bucket.Head(c.ctx)
	if err == nil {
		return nil
	}
	err = c.failed(err)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%s: the storage knows no bucket at url: %w", c.what, store.ErrNoBucket)
	case errors.Is(err, store.ErrDenied):
		return nil
	}
	return err
}

// Stat is store.Backend's.
func (b *Backend) Stat(ctx context.Context, key store.Key) (store.Info, error) {
	if err := key.CheckAny(); err != nil {
		return store.Info{}, fmt.Errorf("stat: %w", err)
	}
	d, err := b.head(ctx, "stat", b.names.Object(key))
	if err != nil {
		return store.Info{}, err
	}
	return store.Info{Key: key, Size: d.Size, Time: d.time}, nil
}
