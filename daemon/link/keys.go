package link

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

const (
	// keysAge is how long keys are believed that were read: another process may
	// rotate them meanwhile.
	keysAge = 5 * time.Second
	// askEvery is how often a token that names an unknown key has them read anew,
	// so that made-up names cost nothing.
	askEvery = time.Second
)

// keys are those of the database, as of a moment ago.
type keys struct {
	records Records
	now     func() time.Time

	mu   sync.Mutex
	list []meta.LinkKey // the one that signs last
	read time.Time
}

// signing is the key that signs, as of now: one that was retired a moment ago
// would make links that end in a moment.
func (k *keys) signing(ctx context.Context) (meta.LinkKey, error) {
	list, err := k.fresh(ctx, 0)
	if err != nil {
		return meta.LinkKey{}, err
	}
	return list[len(list)-1], nil
}

// byID is the key of that number. ok is false where there is none that is good.
func (k *keys) byID(ctx context.Context, id int64) (key meta.LinkKey, ok bool, err error) {
	for _, age := range [...]time.Duration{keysAge, askEvery} {
		list, err := k.fresh(ctx, age)
		if err != nil {
			return key, false, err
		}
		for _, key := range list {
			if key.ID == id {
				return key, key.RetiredAt == nil || k.now().Before(*key.RetiredAt), nil
			}
		}
	}
	return key, false, nil
}

// fresh gives the keys as of at most age ago. A clock that went back makes
// nothing good for longer.
func (k *keys) fresh(ctx context.Context, age time.Duration) ([]meta.LinkKey, error) {
	now := k.now()
	k.mu.Lock()
	list, d := k.list, now.Sub(k.read)
	k.mu.Unlock()
	if list != nil && d >= 0 && d < age {
		return list, nil
	}
	list, err := k.records.LinkKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the keys of links: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list, k.read = list, now
	return list, nil
}
