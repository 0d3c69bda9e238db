package token

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// List gives what is known of the tokens of an owner, of all for "": revoked
// and expired ones too, by owner and id.
func (s *Service) List(ctx context.Context, owner protocol.Owner) (protocol.TokenList, error) {
	rows, err := s.records.Tokens(ctx, owner)
	if err != nil {
		return protocol.TokenList{}, err
	}
	list := protocol.TokenList{Tokens: make([]protocol.Token, len(rows))}
	for i, row := range rows {
		list.Tokens[i] = wire(row)
	}
	slices.SortStableFunc(list.Tokens, func(a, b protocol.Token) int {
		return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Revoke ends a token for ever, within 5 s wherever it is used. An id that does not exist is KindNotFound; revoking twice is no error.
func (s *Service) Revoke(ctx context.Context, id string) error {
	if !IsID(id) {
		return &protocol.Error{Kind: protocol.KindNotFound, Message: "there is no such token; nothing was done",
			Hint: "The id is what stands between osp_ and the next underscore; `ospd token list` shows it."}
	}
	if err := s.records.RevokeToken(ctx, id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cache, id)
	return nil
}

// forget has what is believed of a token, and of there being none, read anew.
func (s *Service) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cache, id)
	s.asked = time.Time{}
}

func wire(t meta.Token) protocol.Token {
	out := protocol.Token{ID: t.ID, Owner: t.Owner, CreatedAt: protocol.TimeOf(t.CreatedAt),
		UsedAt: wireTime(t.UsedAt), ExpiresAt: wireTime(t.ExpiresAt), RevokedAt: wireTime(t.RevokedAt)}
	for _, sc := range t.Scopes {
		out.Scopes = append(out.Scopes, protocol.Scope(sc))
	}
	if t.Note != "" {
		out.Note = &t.Note
	}
	return out
}

func wireTime(t *time.Time) *protocol.Time {
	if t == nil {
		return nil
	}
	at := protocol.TimeOf(*t)
	return &at
}
