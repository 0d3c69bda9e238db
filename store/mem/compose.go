package mem

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/store"
)

// maxPieces is how many pieces are joined at most, as S3, OSS and COS have it.
const maxPieces = 10_000

// composition is one that was begun.
type composition struct {
	key store.Key
	id  store.ComposeID
}

var _ store.Composer = (*Backend)(nil)

// BeginCompose is store.Composer's.
func (b *Backend) BeginCompose(ctx context.Context, key store.Key) (store.ComposeID, error) {
	if err := check(ctx, "begin compose", key); err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastID++
	id := store.ComposeID(strconv.Itoa(b.lastID))
	b.begun[composition{key, id}] = time.Now()
	return id, nil
}

// Compose is store.Composer's. Nothing can be damaged here, so that the result
// is always verified.
func (b *Backend) Compose(ctx context.Context, key store.Key, id store.ComposeID, pieces []store.Piece) (bool, error) {
	if err := check(ctx, "compose", key); err != nil {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.objects[key]; ok {
		return true, nil
	}
	if _, ok := b.begun[composition{key, id}]; !ok {
		return false, fmt.Errorf("compose %s: %q: %w", key, id, store.ErrNotBegun)
	}
	if len(pieces) == 0 || len(pieces) > maxPieces {
		return false, fmt.Errorf("compose %s: of %d pieces: %w", key, len(pieces), store.ErrPieces)
	}
	var data []byte
	for _, p := range pieces {
		part, err := b.piece(p)
		if err != nil {
			return false, fmt.Errorf("compose %s: %w", key, err)
		}
		data = append(data, part...)
	}
	b.objects[key] = object{data: data, time: time.Now()}
	delete(b.begun, composition{key, id})
	return true, nil
}

// piece gives p's bytes. b.mu is held.
func (b *Backend) piece(p store.Piece) ([]byte, error) {
	if err := p.Key.CheckAny(); err != nil {
		return nil, err
	}
	o, ok := b.objects[p.Key]
	if !ok {
		return nil, fmt.Errorf("%s: %w", p.Key, store.ErrNotFound)
	}
	size := int64(len(o.data))
	if p.Offset < 0 || p.Length < 0 || p.Offset > size || p.Length > size-p.Offset {
		return nil, fmt.Errorf("%s: %d bytes from %d of %d: %w", p.Key, p.Length, p.Offset, size, store.ErrRange)
	}
	return o.data[p.Offset : p.Offset+p.Length], nil
}

// AbandonCompose is store.Composer's.
func (b *Backend) AbandonCompose(ctx context.Context, key store.Key, id store.ComposeID) error {
	if err := check(ctx, "abandon compose", key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.begun, composition{key, id})
	return nil
}

// Unfinished is store.Composer's, over what there was when the loop began.
func (b *Backend) Unfinished(ctx context.Context) iter.Seq2[store.Unfinished, error] {
	return func(yield func(store.Unfinished, error) bool) {
		b.mu.RLock()
		begun := maps.Clone(b.begun)
		b.mu.RUnlock()
		order := func(x, y composition) int { return cmp.Or(cmp.Compare(x.key, y.key), cmp.Compare(x.id, y.id)) }
		for _, c := range slices.SortedFunc(maps.Keys(begun), order) {
			if ctx.Err() != nil {
				break
			}
			if !yield(store.Unfinished{Key: c.key, ID: c.id, Begun: begun[c]}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(store.Unfinished{}, fmt.Errorf("list unfinished: %w", err))
		}
	}
}
