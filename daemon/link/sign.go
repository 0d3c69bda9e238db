package link

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/protocol"
)

// Signed is a link that was made.
type Signed struct {
	Token string
	Grant Grant
}

// Sign signs the owner's links, all or none. What a link asks for that it cannot
// have is KindBadRequest, a File to get that the owner does not have
// KindNotFound; the message says which of them it is.
func (s *Service) Sign(ctx context.Context, owner protocol.Owner, links []protocol.NewLink) ([]Signed, error) {
	if len(links) == 0 || len(links) > protocol.MaxLinks {
		return nil, protocol.Errorf(protocol.KindBadRequest, "one request signs 1 to %d links, not %d; none was signed", protocol.MaxLinks, len(links))
	}
	// Before anything is looked at: what is revoked from now on is of these too.
	revocations, err := s.cfg.Records.LinkRevocations(ctx)
	if err != nil {
		return nil, fmt.Errorf("sign links: %w", err)
	}
	grants := make([]Grant, len(links))
	for i, l := range links {
		if grants[i], err = s.grant(ctx, owner, l); err != nil {
			return nil, numbered(i, len(links), err)
		}
		grants[i].Revocations = revocations
	}
	for i := range grants {
		if grants[i].UID == 0 {
			if grants[i].UID, err = s.cfg.Minter.Next(ctx); err != nil {
				return nil, err
			}
		}
	}
	key, err := s.keys.signing(ctx)
	if err != nil {
		return nil, err
	}
	signed := make([]Signed, len(grants))
	for i, g := range grants {
		signed[i] = Signed{Token: g.encode(key.ID, key.Secret), Grant: g}
	}
	return signed, nil
}

// Once is Sign for a request that may bring a key (WIRE 10): the answer that
// render makes of the links is given again to the same request.
func (s *Service) Once(ctx context.Context, owner protocol.Owner, req *once.Request, links []protocol.NewLink, render func([]Signed) (once.Reply, error)) (once.Reply, error) {
	return s.cfg.Once.Do(ctx, owner, req, func() (once.Reply, error) {
		signed, err := s.Sign(ctx, owner, links)
		if err != nil {
			return once.Reply{}, err
		}
		reply, err := render(signed)
		if err == nil && req != nil {
			err = s.cfg.Records.SaveAnswer(ctx, owner, *req.Record(reply))
		}
		return reply, err
	})
}

// numbered says which of several links is wrong.
func numbered(i, n int, err error) error {
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || n == 1 {
		return err
	}
	which := *e
	which.Message = fmt.Sprintf("links[%d]: %s; none was signed", i, e.Message)
	return &which
}

// grant checks what is asked for. A put has no uid yet.
func (s *Service) grant(ctx context.Context, owner protocol.Owner, l protocol.NewLink) (g Grant, err error) {
	g = Grant{Action: l.Action, Owner: owner, MaxSize: -1}
	if g.NotBefore, g.Expires, err = s.times(l); err != nil {
		return g, err
	}
	if l.MediaType != nil {
		if err := protocol.CheckMediaType(*l.MediaType); err != nil {
			return g, err
		}
		g.MediaType = *l.MediaType
	}
	switch l.Action {
	case protocol.LinkGet:
		return s.toGet(ctx, g, l)
	case protocol.LinkPut:
		return s.toPut(g, l)
	}
	return g, &protocol.Error{Kind: protocol.KindBadRequest, Message: fmt.Sprintf("a link has no action %.40q", string(l.Action)), Hint: "Actions are get and put."}
}

func (s *Service) toGet(ctx context.Context, g Grant, l protocol.NewLink) (Grant, error) {
	switch {
	case l.UID == nil:
		return g, protocol.Errorf(protocol.KindBadRequest, "a link to get needs a uid")
	case l.MaxSize != nil:
		return g, protocol.Errorf(protocol.KindBadRequest, "max_size is for links to put")
	}
	g.UID = *l.UID
	if l.Disposition != nil {
		switch *l.Disposition {
		case protocol.DispositionAttachment:
		case protocol.DispositionInline:
			g.Inline = true
		default:
			return g, protocol.Errorf(protocol.KindBadRequest, "the disposition is attachment or inline, not %.40q", *l.Disposition)
		}
	}
	if l.Name != nil {
		if err := names.Check(*l.Name); err != nil {
			return g, err
		}
		if strings.Contains(*l.Name, "/") {
			return g, &protocol.Error{Kind: protocol.KindBadName, Message: "what a file is saved as is a name without folders"}
		}
		g.Name = *l.Name
	}
	_, err := s.cfg.Records.File(ctx, g.Owner, g.UID)
	return g, err
}

func (s *Service) toPut(g Grant, l protocol.NewLink) (Grant, error) {
	switch {
	case l.UID != nil:
		return g, &protocol.Error{Kind: protocol.KindBadRequest, Message: "a link to put has a uid of its own, which the answer says", Hint: "Leave uid out."}
	case l.Disposition != nil:
		return g, protocol.Errorf(protocol.KindBadRequest, "disposition is for links to get")
	case l.Name == nil:
		return g, protocol.Errorf(protocol.KindBadName, "a link to put needs the name of the file")
	}
	if err := names.Check(*l.Name); err != nil {
		return g, err
	}
	g.Name = *l.Name
	if l.MaxSize != nil {
		if err := protocol.CheckSize(*l.MaxSize); err != nil {
			return g, err
		}
		if *l.MaxSize > s.cfg.MaxSize {
			return g, protocol.Errorf(protocol.KindTooLarge, "max_size %d is more than the %d this daemon takes", *l.MaxSize, s.cfg.MaxSize)
		}
		g.MaxSize = *l.MaxSize
	}
	return g, nil
}

// times are from when and until when the link is good, to the second: a time to
// begin is never sooner than asked for, and an end never later.
func (s *Service) times(l protocol.NewLink) (from, until time.Time, err error) {
	now := s.cfg.Clock()
	switch {
	case l.ExpiresAt != nil && l.ExpiresIn != nil:
		return from, until, protocol.Errorf(protocol.KindBadRequest, "a link has expires_at or expires_in, not both")
	case l.ExpiresAt != nil:
		until = l.ExpiresAt.Time
	case l.ExpiresIn != nil:
		if *l.ExpiresIn < 1 || *l.ExpiresIn > int64(LastExpiry/time.Second) {
			return from, until, s.tooLong(fmt.Sprintf("expires_in is %d seconds", *l.ExpiresIn))
		}
		until = now.Add(time.Duration(*l.ExpiresIn) * time.Second)
	default:
		until = now.Add(min(DefaultExpiry, s.cfg.MaxExpiry))
	}
	until = until.Truncate(time.Second)
	if !until.After(now) {
		return from, until, protocol.Errorf(protocol.KindBadRequest, "the link would have ended when it is signed: %s", protocol.TimeOf(until))
	}
	if until.Sub(now) > s.cfg.MaxExpiry {
		return from, until, s.tooLong("the link would end at " + protocol.TimeOf(until).String())
	}
	if l.NotBefore == nil {
		return time.Time{}, until, nil
	}
	from = l.NotBefore.Add(time.Second - 1).Truncate(time.Second)
	if !from.Before(until) {
		return from, until, protocol.Errorf(protocol.KindBadRequest, "the link would begin at %s and end at %s", protocol.TimeOf(from), protocol.TimeOf(until))
	}
	return from, until, nil
}

func (s *Service) tooLong(what string) error {
	return &protocol.Error{Kind: protocol.KindBadRequest, Message: fmt.Sprintf("%s; a link is good for at most %s", what, s.cfg.MaxExpiry),
		Hint: "Sign a new one when it is needed; links.max_expiry of the daemon's configuration changes the limit."}
}
