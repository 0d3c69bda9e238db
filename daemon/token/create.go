package token

import (
	"context"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Create makes a token. A bad owner, scope or note, and an expiry that has
// passed, are KindBadRequest. From then on every request needs a token.
func (s *Service) Create(ctx context.Context, c protocol.CreateToken) (protocol.CreatedToken, error) {
	return s.create(ctx, c, s.records.CreateToken)
}

// CreateBy is Create for a caller who was let in, perhaps by what was known 5 s
// ago: KindUnauthenticated where its token is good no more, or where there are
// tokens and it has none. A token outlives the one that made it, so who may not
// make any now makes none.
func (s *Service) CreateBy(ctx context.Context, by Caller, c protocol.CreateToken) (protocol.CreatedToken, error) {
	made, err := s.create(ctx, c, func(ctx context.Context, row meta.Token) error { return s.records.CreateTokenBy(ctx, by.TokenID, row) })
	if protocol.KindOf(err) == protocol.KindUnauthenticated {
		s.forget(by.TokenID)
	}
	return made, err
}

// CreateFirst is Create where there is no token yet, else it makes none and says
// so: of several that set an installation up at once, one makes it.
func (s *Service) CreateFirst(ctx context.Context, c protocol.CreateToken) (made protocol.CreatedToken, first bool, err error) {
	made, err = s.CreateBy(ctx, Caller{}, c)
	if protocol.KindOf(err) == protocol.KindUnauthenticated {
		return protocol.CreatedToken{}, false, nil
	}
	return made, err == nil, err
}

func (s *Service) create(ctx context.Context, c protocol.CreateToken, record func(context.Context, meta.Token) error) (protocol.CreatedToken, error) {
	now := s.now()
	if err := s.checkNew(c, now); err != nil {
		return protocol.CreatedToken{}, err
	}
	pepper, err := s.readPepper(ctx)
	if err != nil {
		return protocol.CreatedToken{}, err
	}
	t := New()
	row := meta.Token{ID: t.ID, Owner: c.Owner, CreatedAt: now, Hash: t.Hash(pepper)}
	for _, sc := range protocol.AllScopes() {
		if c.Scopes.Has(sc) {
			row.Scopes = append(row.Scopes, string(sc))
		}
	}
	if c.Note != nil {
		row.Note = *c.Note
	}
	if c.ExpiresAt != nil {
		row.ExpiresAt = &c.ExpiresAt.Time
	}
	if err := record(ctx, row); err != nil {
		return protocol.CreatedToken{}, err
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return protocol.CreatedToken{Secret: t.Text(), Token: wire(row)}, nil
}

func (s *Service) checkNew(c protocol.CreateToken, now time.Time) error {
	if err := protocol.CheckOwner(c.Owner); err != nil {
		return err
	}
	if err := protocol.CheckScopes(c.Scopes); err != nil {
		return err
	}
	if c.Note != nil {
		if err := protocol.CheckTokenNote(*c.Note); err != nil {
			return err
		}
	}
	if c.ExpiresAt != nil && isOver(&c.ExpiresAt.Time, now) {
		return protocol.Errorf(protocol.KindBadRequest, "the token would expire at %s, which has passed; no token was made", c.ExpiresAt)
	}
	return nil
}
