package link

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

const (
	// keysAge is how long keys are believed that were read: another process may
	// rotate them meanwhile.
	keysAge = 5 * time.Second
	// askEvery is how often tokens that name an unknown key have them read anew, so
	// that made-up names cost next to nothing.
	askEvery = 200 * time.Millisecond
	// askTime bounds that.
	askTime = 5 * time.Second
)

// keys are those of the database, as of a moment ago.
type keys struct {
	records Records
	now     func() time.Time

	mu   sync.Mutex
	list []meta.LinkKey // the one that signs last
	read time.Time

	// asking is held by who reads them for an unknown key, asked is when that began
	// last, and answer what came of it.
	asking sync.Mutex
	asked  time.Time
	answer struct {
		list []meta.LinkKey
		err  error
	}
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
// One that is unknown may have been made a moment ago, by another process.
func (k *keys) byID(ctx context.Context, id int64) (key meta.LinkKey, ok bool, err error) {
	list, err := k.fresh(ctx, keysAge)
	if err != nil {
		return key, false, err
	}
	key, known := keyOf(list, id)
	if !known {
		if list, err = k.askAnew(ctx); err != nil {
			return key, false, err
		}
		key, known = keyOf(list, id)
	}
	return key, known && (key.RetiredAt == nil || k.now().Before(*key.RetiredAt)), nil
}

func keyOf(list []meta.LinkKey, id int64) (key meta.LinkKey, known bool) {
	at := slices.IndexFunc(list, func(key meta.LinkKey) bool { return key.ID == id })
	if at < 0 {
		return key, false
	}
	return list[at], true
}

// askAnew gives the keys as of now or later. All who ask for them meanwhile are
// given the same.
func (k *keys) askAnew(ctx context.Context) ([]meta.LinkKey, error) {
	began := time.Now()
	k.asking.Lock()
	defer k.asking.Unlock()
	if k.asked.After(began) {
		return k.answer.list, k.answer.err
	}
	select {
	case <-time.After(time.Until(k.asked.Add(askEvery))):
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the keys of links: %w", context.Cause(ctx))
	}
	k.asked = time.Now()
	// Whose request began it may be gone before the others have their answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	k.answer.list, k.answer.err = k.fresh(ctx, 0)
	return k.answer.list, k.answer.err
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
