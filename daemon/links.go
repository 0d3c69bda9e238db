package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/meta"
)

// LinksConfig is how long links are good.
type LinksConfig struct {
	// MaxExpiry is the longest that a link may be asked for.
	MaxExpiry time.Duration `koanf:"max_expiry"`
}

func (c LinksConfig) check() error {
	if c.MaxExpiry < time.Second || c.MaxExpiry > link.LastExpiry {
		return fmt.Errorf("links.max_expiry: %s is not 1s to %s", c.MaxExpiry, link.LastExpiry)
	}
	return nil
}

// LinkKey is what is told of a key that signs links, or did.
type LinkKey struct {
	ID        int64
	CreatedAt time.Time
	// RetiredAt is until when the links that it signed are good, nil for the one
	// that signs.
	RetiredAt *time.Time
}

// LinkKeys are the keys of links, the one that signs last. Like all of Tokens it
// needs no daemon, and does not mind one.
func (t *Tokens) LinkKeys(ctx context.Context) ([]LinkKey, error) {
	return told(t.db.LinkKeys(ctx))
}

// RotateLinkKey makes a new key for links. What older ones signed is good until
// the time at most. A daemon that runs signs with the new one within 5 s.
func (t *Tokens) RotateLinkKey(ctx context.Context, until time.Time) ([]LinkKey, error) {
	return told(t.db.RotateLinkKey(ctx, until))
}

func told(keys []meta.LinkKey, err error) (list []LinkKey, _ error) {
	for _, k := range keys {
		list = append(list, LinkKey{ID: k.ID, CreatedAt: k.CreatedAt, RetiredAt: k.RetiredAt})
	}
	return list, err
}
