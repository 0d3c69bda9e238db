package object

import (
	"context"
	"iter"
	"slices"

	"github.com/osproxy/osproxy/store"
)

// maxBatch is how many objects OSS and COS delete with one request.
const maxBatch = 1000

// Deleting is how a backend deletes.
type Deleting interface {
	Delete(ctx context.Context, key store.Key) error
	// DeleteMany deletes objects of ours with one request, and notes what failed.
	DeleteMany(ctx context.Context, keys []store.Key, failed map[store.Key]error)
}

// DeleteAll is store.BatchDeleter's. Names that are not ours may be spelt in ways
// that a document is not, and are deleted one by one.
func DeleteAll(ctx context.Context, d Deleting, keys []store.Key) iter.Seq2[store.Key, error] {
	return func(yield func(store.Key, error) bool) {
		failed := map[store.Key]error{}
		var own []store.Key
		for _, k := range keys {
			if k.Valid() {
				own = append(own, k)
			} else if err := d.Delete(ctx, k); err != nil {
				failed[k] = err
			}
		}
		for some := range slices.Chunk(own, maxBatch) {
			d.DeleteMany(ctx, some, failed)
		}
		for _, k := range keys {
			if err := failed[k]; err != nil && !yield(k, err) {
				return
			}
		}
	}
}
