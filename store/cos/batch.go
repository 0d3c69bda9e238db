package cos

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// errUnsaid is what is known of an object that the service said nothing of.
var errUnsaid = errors.New("the service did not say that it did")

// DeleteAll is store.BatchDeleter's. An object counts as deleted when it is among
// those that the service names, and not among those that it failed to delete:
// the SDK takes an answer for a success that tells of failures, or of nothing.
func (b *Backend) DeleteAll(ctx context.Context, keys []store.Key) iter.Seq2[store.Key, error] {
	return object.DeleteAll(ctx, deleting{b}, keys)
}

// deleting is an object.Deleting.
type deleting struct{ *Backend }

// DeleteMany is object.Deleting's.
func (b deleting) DeleteMany(ctx context.Context, keys []store.Key, failed map[store.Key]error) {
	opt := &cos.ObjectDeleteMultiOptions{}
	for _, k := range keys {
		opt.Objects = append(opt.Objects, cos.Object{Key: b.names.Object(k)})
	}
	c := begin(ctx, "delete many", "")
	done, _, err := b.client.Object.DeleteMulti(c.ctx, opt)
	if err != nil {
		err = c.failed(err)
		for _, k := range keys {
			failed[k] = err
		}
		return
	}
	said := outcomes(c, done)
	for i, k := range keys {
		name := opt.Objects[i].Key
		if err, ok := said[name]; !ok {
			failed[k] = fmt.Errorf("delete %q: %w", name, errUnsaid)
		} else if err != nil {
			failed[k] = fmt.Errorf("delete %q: %w", name, err)
		}
	}
}

// outcomes is what an answer says of each name, nil of those that are gone.
func outcomes(c *call, done *cos.ObjectDeleteMultiResult) map[string]error {
	said := map[string]error{}
	for _, o := range done.DeletedObjects {
		said[o.Key] = nil
	}
	for _, e := range done.Errors {
		err := object.NewFailure(http.StatusOK, e.Code, e.Message, c.answer.Header.Get("X-Cos-Request-Id"), c.answer.RetryAfter())
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		said[e.Key] = err
	}
	return said
}
