package upload

import (
	"context"
	"crypto/md5"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/protocol"
)

// Twin is a file that is to be put, unless its owner has its bytes already.
type Twin struct {
	Name string
	MD5  [md5.Size]byte
}

const (
	// MaxTwins is how many are looked for at once.
	MaxTwins = 50
	// defaultTwinsWait is how long PutTwins waits for digest jobs.
	defaultTwinsWait = 5 * time.Second
)

// PutTwins makes a file for each of the list of whose MD5 the owner has a
// content, and gives the uids in the list's order, 0 where it has none. The MD5
// proves nothing, and so no other owner's content is looked for; with claims
// off, none is. Where one is not found it waits for the digest jobs of what the
// owner put a moment ago, as AwaitDigests does, for Config.TwinsWait at most. What
// lies on a node alone that does not answer is none, as for claims: the caller has
// the bytes, and sends them. All files are made in one transaction: KindQuotaExceeded means that none was.
func (s *Service) PutTwins(ctx context.Context, owner protocol.Owner, list []Twin) ([]protocol.UID, error) {
	if len(list) > MaxTwins {
		return nil, &protocol.Error{Kind: protocol.KindTooLarge,
			Message: fmt.Sprintf("%d files are asked for, at most %d can be at once; nothing was recorded", len(list), MaxTwins), Hint: "Ask in several requests."}
	}
	for i, t := range list {
		if err := names.Check(t.Name); err != nil {
			return nil, protocol.Errorf(protocol.KindOf(err), "file %d: %s", i+1, err)
		}
	}
	uids := make([]protocol.UID, len(list))
	if s.cfg.Instant == meta.ScopeOff || len(list) == 0 {
		return uids, nil
	}
	held, err := s.awaitHeld(ctx, owner, list)
	if err == nil {
		err = s.leaveOutDown(ctx, held)
	}
	if err != nil {
		return nil, err
	}
	return uids, s.adopt(ctx, owner, list, held, uids)
}

// adopt makes a file for each of the list that is held, and puts its uid in its
// place.
func (s *Service) adopt(ctx context.Context, owner protocol.Owner, list []Twin, held []*meta.Held, uids []protocol.UID) error {
	var making []meta.Adoption
	var places []int
	for i, h := range held {
		if h == nil {
			continue
		}
		uid, err := s.cfg.Minter.Next(ctx)
		if err != nil {
			return err
		}
		making = append(making, meta.Adoption{UID: uid, Name: list[i].Name, Content: h.Content, MD5: list[i].MD5, ETag: etagOf(h.Digest), CommittedAt: s.now()})
		places = append(places, i)
	}
	if len(making) == 0 {
		return nil
	}
	ctx, cancel := finishing(ctx)
	defer cancel()
	files, err := s.db.Adopt(ctx, owner, making)
	if err != nil {
		return err
	}
	for i, f := range files {
		if f == nil {
			continue // deleted or damaged since it was looked up
		}
		uids[places[i]] = f.UID
		s.cfg.Observe("instant")
		s.cfg.Saved(f.Size)
	}
	return nil
}

// awaitHeld looks the contents up, and waits where some are not there.
func (s *Service) awaitHeld(ctx context.Context, owner protocol.Owner, list []Twin) ([]*meta.Held, error) {
	sums := make([][md5.Size]byte, len(list))
	for i, t := range list {
		sums[i] = t.MD5
	}
	var held []*meta.Held
	err := s.AwaitDigests(ctx, owner, s.cfg.TwinsWait, func() (all bool, err error) {
		held, err = s.db.HeldByMD5(ctx, owner, sums)
		return allHeld(held), err
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

// leaveOutDown makes nil of what lies on nodes that are known not to answer.
func (s *Service) leaveOutDown(ctx context.Context, held []*meta.Held) error {
	if s.cfg.Down == nil {
		return nil
	}
	for i, h := range held {
		if h == nil {
			continue
		}
		extents, _, err := s.db.Extents(ctx, h.Content)
		if protocol.KindOf(err) == protocol.KindNotFound || s.isDown(holder.All(s.cfg.Stores, extents)) {
			held[i] = nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

func allHeld(held []*meta.Held) bool {
	for _, h := range held {
		if h == nil {
			return false
		}
	}
	return true
}
