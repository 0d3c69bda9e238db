// Package link signs links and says what they allow. A link is a capability for
// one action on one uid: a token that holds everything its handler uses
// (Grant, grant.go) under a MAC, with keys that rotate (keys.go); sign.go checks
// what is asked for. Who has one needs no other right, so it ends: at its time,
// with its key, or when its owner revokes it.
package link

import (
	"context"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// DefaultExpiry is how long a link is good that does not say.
	DefaultExpiry = 15 * time.Minute
	// DefaultMaxExpiry is how long one may be good.
	DefaultMaxExpiry = 7 * 24 * time.Hour
	// LastExpiry bounds what an operator can allow: what is known of a revocation
	// is forgotten after it.
	LastExpiry = 366 * 24 * time.Hour
)

// Records is where keys and revocations are kept, and files; *meta.DB is one.
type Records interface {
	LinkKeys(ctx context.Context) ([]meta.LinkKey, error)
	RotateLinkKey(ctx context.Context, until time.Time) ([]meta.LinkKey, error)
	LinkRevocations(ctx context.Context) (int64, error)
	LinkRevoked(ctx context.Context, owner protocol.Owner, uid protocol.UID) (number, count int64, err error)
	RevokeLinks(ctx context.Context, owner protocol.Owner, uid protocol.UID) error
	File(ctx context.Context, owner protocol.Owner, uid protocol.UID) (protocol.File, error)
	SaveAnswer(ctx context.Context, owner protocol.Owner, a meta.Idempotency) error
	once.Answers
}

// Minter gives the uids of Files to be put; meta.Minter is one.
type Minter interface {
	Next(ctx context.Context) (protocol.UID, error)
}

// Config is what a Service needs.
type Config struct {
	Records Records
	Minter  Minter
	// Once are the keys that requests bring, the service's own when nil.
	Once *once.Keys
	// MaxExpiry is how long a link may be good, DefaultMaxExpiry when 0.
	MaxExpiry time.Duration
	// MaxSize is the largest file, protocol.MaxSize when 0.
	MaxSize int64
	// Clock is time.Now when nil.
	Clock func() time.Time
}

// Service signs and opens links. Its methods are safe for concurrent use.
type Service struct {
	cfg  Config
	keys keys
}

// New makes a Service.
func New(cfg Config) *Service {
	if cfg.MaxExpiry <= 0 {
		cfg.MaxExpiry = DefaultMaxExpiry
	}
	if cfg.MaxSize <= 0 {
		cfg.MaxSize = protocol.MaxSize
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Once == nil {
		cfg.Once = once.NewKeys(cfg.Records)
	}
	return &Service{cfg: cfg, keys: keys{records: cfg.Records, now: cfg.Clock}}
}

// MaxExpiry is how long a link may be good.
func (s *Service) MaxExpiry() time.Duration { return s.cfg.MaxExpiry }

// Open says what a token allows that is to be used for the action now. Whatever
// is wrong with it is KindForbidden. A token that nobody here signed is refused
// before anything is looked up for it.
func (s *Service) Open(ctx context.Context, token string, action protocol.LinkAction) (Grant, error) {
	g, err := s.signed(ctx, token)
	now := s.cfg.Clock()
	switch {
	case err != nil:
		return Grant{}, err
	case g.Action != action:
		return Grant{}, refused("it is for another action: " + string(g.Action))
	case !now.Before(g.Expires):
		return Grant{}, refused("it ended at " + protocol.TimeOf(g.Expires).String())
	case now.Before(g.NotBefore):
		return Grant{}, refused("it begins at " + protocol.TimeOf(g.NotBefore).String())
	}
	if err := s.live(ctx, g); err != nil {
		return Grant{}, err
	}
	return g, nil
}

// Still says whether what a token allows, which was opened, is not taken back
// meanwhile: its key has not retired, and it was not revoked. That its time has
// come does not end what is under way.
func (s *Service) Still(ctx context.Context, token string) error {
	g, err := s.signed(ctx, token)
	if err != nil {
		return err
	}
	return s.live(ctx, g)
}

// signed is what a token allows by its signature alone.
func (s *Service) signed(ctx context.Context, token string) (Grant, error) {
	t, ok := split(token)
	if !ok {
		return Grant{}, refused("it is not whole, or was changed")
	}
	key, ok, err := s.keys.byID(ctx, t.key)
	if err != nil {
		return Grant{}, err
	}
	// A key that is unknown costs as much as one that is not.
	verified := t.verify(key.Secret)
	if !ok || !verified {
		return Grant{}, refused("it is not whole, was changed, or its key was retired")
	}
	g, ok := t.grant()
	if !ok {
		return Grant{}, refused("another version of ospd signed it")
	}
	return g, nil
}

// live is nil where the link was not revoked.
func (s *Service) live(ctx context.Context, g Grant) error {
	revoked, count, err := s.cfg.Records.LinkRevoked(ctx, g.Owner, g.UID)
	switch {
	case err != nil:
		return fmt.Errorf("look whether a link was revoked: %w", err)
	case revoked > g.Revocations:
		return refused("it was revoked")
	case g.Revocations > count:
		return refused("it was signed by a state of the database that is lost")
	}
	return nil
}

func refused(why string) error {
	return &protocol.Error{Kind: protocol.KindForbidden, Message: "this link is not good: " + why + "; nothing was done", Hint: "Ask who gave it to you for a new one."}
}

// Revoke ends the owner's links that are signed by now: those of one file, or
// all where uid is 0.
func (s *Service) Revoke(ctx context.Context, owner protocol.Owner, uid protocol.UID) error {
	return s.cfg.Records.RevokeLinks(ctx, owner, uid)
}
