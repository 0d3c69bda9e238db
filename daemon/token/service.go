package token

import (
	"context"
	"crypto/hmac"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Records is where tokens are kept; *meta.DB is one.
type Records interface {
	TokenPepper(ctx context.Context) ([32]byte, error)
	// HasTokens reports whether a token was ever made, whatever became of it.
	HasTokens(ctx context.Context) (bool, error)
	TokenByID(ctx context.Context, id string) (meta.Token, bool, error)
	TouchToken(ctx context.Context, id string) error
	CreateToken(ctx context.Context, t meta.Token) error
	CreateTokenBy(ctx context.Context, by string, t meta.Token) error
	Tokens(ctx context.Context, owner protocol.Owner) ([]meta.Token, error)
	RevokeToken(ctx context.Context, id string) error
}

// Config is what a Service needs.
type Config struct {
	Records Records
	// Clock is time.Now when nil.
	Clock func() time.Time
	// Logger is told what fails beside a request; nothing is logged when nil.
	Logger *slog.Logger
}

const (
	// maxAge is how long what was read of a token is believed: another process
	// may revoke it meanwhile.
	maxAge = 5 * time.Second
	// maxCached bounds how many tokens are remembered.
	maxCached = 4096
	// touchEvery is how exact the time of the last use is, and touchWait how
	// long a request waits for it to be recorded.
	touchEvery = 5 * time.Minute
	touchWait  = time.Second
)

// Service checks, makes and revokes tokens. Its methods are safe for
// concurrent use.
type Service struct {
	records Records
	now     func() time.Time
	log     *slog.Logger

	mu     sync.Mutex
	closed bool      // a token was made once; that never ends
	asked  time.Time // when closed was last found false
	pepper *[32]byte
	cache  map[string]cached
}

type cached struct {
	token meta.Token
	read  time.Time
	// used says that a use was recorded since then, or should have been.
	used bool
}

// NewService makes a Service.
func NewService(cfg Config) *Service {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{records: cfg.Records, now: cfg.Clock, log: cfg.Logger, cache: map[string]cached{}}
}

// Caller is whom a request comes from.
type Caller struct {
	Owner  protocol.Owner
	Scopes protocol.Scopes
	// TokenID is "" for a caller of an open daemon.
	TokenID string
}

// Require is nil where the token has the scope, else KindForbidden.
func (c Caller) Require(s protocol.Scope) error {
	if c.Scopes.Has(s) {
		return nil
	}
	return &protocol.Error{Kind: protocol.KindForbidden, Message: "the token does not have the scope " + string(s) + "; nothing was done",
		Hint: "Ask for a token with that scope: ospd token create --scopes …," + string(s)}
}

// Open reports whether no token was ever made, as of at most 5 s ago: then
// everybody who reaches the daemon is protocol.OwnerLocal and may do
// everything. Once it is false it stays false.
func (s *Service) Open(ctx context.Context) (bool, error) { return s.open(ctx, maxAge) }

// StillOpen is Open as of now.
func (s *Service) StillOpen(ctx context.Context) (bool, error) { return s.open(ctx, 0) }

// open is Open with another age, 0 to ask the database.
func (s *Service) open(ctx context.Context, age time.Duration) (bool, error) {
	now := s.now()
	s.mu.Lock()
	closed, fresh := s.closed, isFresh(s.asked, now, age)
	s.mu.Unlock()
	if closed || fresh {
		return !closed, nil
	}
	closed, err := s.records.HasTokens(ctx)
	if err != nil {
		return false, fmt.Errorf("look whether there are tokens: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.asked = s.closed || closed, now
	return !s.closed, nil
}

// isFresh reports whether what was read at read is good at now. A clock that
// went back makes nothing good for longer.
func isFresh(read, now time.Time, age time.Duration) bool {
	d := now.Sub(read)
	return d >= 0 && d < age
}

// Caller says whom a request with this Authorization field comes from, "" for
// none. Whatever is wrong with it is one KindUnauthenticated. A daemon without
// tokens does not look at the field, but makes sure that there are none yet:
// who sends a token may have been given the first one just now.
func (s *Service) Caller(ctx context.Context, authorization string) (Caller, error) {
	age := maxAge
	if authorization != "" {
		age = 0
	}
	open, err := s.open(ctx, age)
	if err != nil {
		return Caller{}, err
	}
	if open {
		return Caller{Owner: protocol.OwnerLocal, Scopes: protocol.AllScopes()}, nil
	}
	if authorization == "" {
		return Caller{}, &protocol.Error{Kind: protocol.KindUnauthenticated, Message: "this daemon answers only with a token, and the request has none; nothing was done",
			Hint: "Send Authorization: Bearer osp_…; osp takes it from OSP_TOKEN. `ospd token create` makes one."}
	}
	text, ok := bearer(authorization)
	if !ok {
		return Caller{}, refused()
	}
	t, err := Parse(text)
	if err != nil {
		return Caller{}, err
	}
	return s.check(ctx, t)
}

// bearer is the credentials of a field of that scheme (RFC 6750 section 2.1;
// the scheme's name in any case, RFC 9110 section 11.1).
func bearer(field string) (string, bool) {
	scheme, rest, ok := strings.Cut(field, " ")
	return strings.TrimLeft(rest, " "), ok && strings.EqualFold(scheme, "Bearer")
}

// check compares t with what is kept under its id.
func (s *Service) check(ctx context.Context, t Token) (Caller, error) {
	pepper, err := s.readPepper(ctx)
	if err != nil {
		return Caller{}, err
	}
	kept, found, err := s.lookUp(ctx, t.ID)
	if err != nil {
		return Caller{}, err
	}
	hash := t.Hash(pepper)
	same := hmac.Equal(hash[:], kept.Hash[:])
	if !found || !same || kept.RevokedAt != nil || isOver(kept.ExpiresAt, s.now()) {
		return Caller{}, refused()
	}
	s.touch(ctx, kept)
	scopes := make(protocol.Scopes, len(kept.Scopes))
	for i, sc := range kept.Scopes {
		scopes[i] = protocol.Scope(sc)
	}
	return Caller{Owner: kept.Owner, Scopes: scopes, TokenID: kept.ID}, nil
}

func isOver(end *time.Time, now time.Time) bool { return end != nil && !now.Before(*end) }

// lookUp gives what is kept of a token, as of at most maxAge ago. An id that
// does not exist is not remembered: made-up ids must not push out real ones.
func (s *Service) lookUp(ctx context.Context, id string) (meta.Token, bool, error) {
	now := s.now()
	s.mu.Lock()
	c, ok := s.cache[id]
	s.mu.Unlock()
	if ok && isFresh(c.read, now, maxAge) {
		return c.token, true, nil
	}
	t, found, err := s.records.TokenByID(ctx, id)
	if err != nil {
		return t, false, fmt.Errorf("look up a token: %w", err)
	}
	if !found {
		return meta.Token{}, false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cache) >= maxCached {
		clear(s.cache)
	}
	s.cache[id] = cached{token: t, read: now}
	return t, true, nil
}

// touch records that a token that passed is used. That it could not be
// recorded is no reason to refuse it.
func (s *Service) touch(ctx context.Context, t meta.Token) {
	if t.UsedAt != nil && isFresh(*t.UsedAt, s.now(), touchEvery) || !s.firstUse(t.ID) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, touchWait)
	defer cancel()
	if err := s.records.TouchToken(ctx, t.ID); err != nil {
		s.log.WarnContext(ctx, "the use of a token was not recorded", "token", t.ID, "err", err)
	}
}

// firstUse reports whether a token is used for the first time since it was
// read: where a use cannot be recorded, only that one waits for it.
func (s *Service) firstUse(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.cache[id]
	if !ok || c.used {
		return false
	}
	c.used = true
	s.cache[id] = c
	return true
}

func (s *Service) readPepper(ctx context.Context) ([32]byte, error) {
	s.mu.Lock()
	known := s.pepper
	s.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	pepper, err := s.records.TokenPepper(ctx)
	if err != nil {
		return pepper, fmt.Errorf("read what tokens are hashed with: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pepper = &pepper
	return pepper, nil
}
