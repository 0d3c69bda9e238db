package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// placeLease is for how long a place on a database that others reach too is
	// this process's without a sign of life, which it gives thrice as often.
	placeLease = 30 * time.Second
	// placePause is from one try to the next where the database does not answer.
	placePause = time.Second
	// placePatience is how long what is left of the holder before is waited for:
	// a transaction whose process does not move, which the server ends after 15 s
	// (idle_in_transaction_session_timeout).
	placePatience = 25 * time.Second
	// clockSlack is how far two clocks may be apart: less than any grace or time
	// by which something expires is worth.
	clockSlack = time.Minute
)

// ErrRunning is in the error of whoever may not use an installation since an
// ospd does.
var ErrRunning = errors.New("another ospd is running")

// errPlaceLost is why a process ends whose place another has taken.
var errPlaceLost = errors.New("another ospd has taken over the database, or this one's place on it: this one had not renewed its lease of " + placeLease.String() +
	", since it was stopped or could not reach the database; it can write nothing any more, and what it acknowledged is safe; " +
	"look which of the two is to run, and start that alone")

// place is the right of this process to work on a database which others can
// reach. Taken from it, all its writes fail (meta.DB.TakeNode).
type place struct {
	db    *meta.DB
	lease meta.NodeLease
	log   *slog.Logger
	// held ends when another has the place.
	held context.Context
	lose context.CancelCauseFunc
	stop func()
	// off is by how much this machine's clock is ahead of the database's, as far
	// as it matters.
	off atomic.Int64
	// report is what others are told, and news has word that it is to be asked.
	report atomic.Pointer[func() meta.NodeReport]
	news   chan struct{}
}

// takePlace takes the place and keeps it until it is left or lost.
func takePlace(ctx context.Context, db *meta.DB, n meta.NewNode, log *slog.Logger) (*place, error) {
	lease, err := waitForPlace(ctx, db, n, log)
	if err != nil {
		return nil, err
	}
	p := &place{db: db, lease: lease, log: log, news: make(chan struct{}, 1)}
	p.held, p.lose = context.WithCancelCause(context.Background())
	if err := p.renew(ctx); err != nil {
		return nil, errors.Join(err, db.LeaveNode(context.WithoutCancel(ctx), lease))
	}
	p.stop = started(p.keep)
	return p, nil
}

// placeGiver is meta.DB to who waits for a place.
type placeGiver interface {
	TakeNode(ctx context.Context, n meta.NewNode, lease time.Duration) (meta.NodeLease, error)
}

// waitForPlace waits for the lease of an earlier process of the same node to
// run out, of which nobody knows whether it lives. That of another node is
// refused at once, and so is one that is renewed.
func waitForPlace(ctx context.Context, db placeGiver, n meta.NewNode, log *slog.Logger) (meta.NodeLease, error) {
	var until time.Time
	for began := time.Now(); ; {
		lease, err := db.TakeNode(ctx, n, placeLease)
		if err == nil {
			return lease, nil
		}
		pause := placePause
		held, taken := errors.AsType[*meta.NodeHeld](err)
		switch {
		case taken && held.Node == n.ID && (until.IsZero() || held.Until.Equal(until)):
			if until.IsZero() {
				log.Info("waiting until the lease of this node's last run ends", "until", held.Until)
			}
			until, pause = held.Until, max(held.Left, time.Millisecond)
			began = time.Now().Add(pause) // this is waited for, not what may be left of it
		case taken:
			return lease, refused(held, n)
		case protocol.KindOf(err) != protocol.KindUnavailable || time.Since(began) > placePatience:
			return lease, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return lease, ctx.Err()
		}
	}
}

// refused says who has the place.
func refused(held *meta.NodeHeld, n meta.NewNode) error {
	who, next := "node "+string(held.Node), "one daemon works on a database at a time, but for the nodes of a cluster: stop that one first, or start this one then if that one is gone"
	switch {
	case held.Node == n.ID:
		who += ", of which this data folder is a copy, or which uses it from another machine,"
		next = "two with one id are one node, of which one runs at a time: stop that one, where it was to move here, and start this one then; a node beside it begins with a data folder of its own that is empty, and is never a copy of one"
	case held.Alone && !n.Alone:
		who += ", which has no cluster section and so is alone,"
	case !held.Alone && n.Alone:
		who += ", which is one of a cluster,"
		next = "this one would be alone on it: stop all nodes first (gc, fsck and imports from osproxy are always alone), or, of a daemon that is to be one of them, give it the cluster section"
	}
	return fmt.Errorf("%w on this database: %s holds it since %s, and until %s unless it renews that; %s", ErrRunning, who,
		held.Since.Format(time.RFC3339), held.Until.Format(time.RFC3339), next)
}

// keep renews the lease until ctx ends or another has the place.
func (p *place) keep(ctx context.Context) {
	failing := false
	for wait := placeLease / 3; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		case <-p.db.NodeDoubted():
		case <-p.news:
		}
		err := p.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, meta.ErrNodeLost):
			p.lose(errPlaceLost)
			return
		case err != nil:
			if !failing {
				p.log.Warn("the lease on the database cannot be renewed; it is tried again", "err", err)
			}
			failing, wait = true, placePause
		default:
			if failing {
				p.log.Info("the lease on the database is renewed again")
			}
			failing, wait = false, placeLease/3
		}
	}
}

// tell has report asked for what others are told, from now on.
func (p *place) tell(report func() meta.NodeReport) {
	p.report.Store(&report)
	select {
	case p.news <- struct{}{}:
	default: // it will be asked
	}
}

// renew has the lease last from now on, and compares the clocks.
func (p *place) renew(ctx context.Context) error {
	before := time.Now()
	var said meta.NodeReport
	if report := p.report.Load(); report != nil {
		said = (*report)()
	}
	now, err := p.db.KeepNode(ctx, p.lease, placeLease, said)
	if err != nil {
		return err
	}
	off := clockAhead(before, time.Now(), now)
	if was := p.off.Swap(int64(off)); (was == 0) != (off == 0) {
		if off != 0 {
			p.log.Warn(p.clockOff())
		} else {
			p.log.Info("the clock of this machine is that of the database again")
		}
	}
	return nil
}

// clockAhead is by how much a clock is ahead of another one that showed now
// between two times of the first; 0 where that is clockSlack or less.
func clockAhead(before, after, now time.Time) time.Duration {
	// By the clocks on the wall, which may have been set in between.
	ahead, behind := before.Round(0).Sub(now), after.Round(0).Sub(now)
	switch {
	case ahead > clockSlack:
		return ahead
	case behind < -clockSlack:
		return behind
	}
	return 0
}

// clockOff says by how much the clock is off, "" where it is right.
func (p *place) clockOff() string {
	off := time.Duration(p.off.Load()).Round(time.Second)
	how := "ahead of"
	switch {
	case off == 0:
		return ""
	case off < 0:
		off, how = -off, "behind"
	}
	return fmt.Sprintf("the clock of this machine is %s %s that of the database; this daemon removes nothing until they agree to the minute", off, how)
}

// leave gives the place back, as far as the database can be asked.
func (p *place) leave() {
	p.stop()
	if p.held.Err() != nil {
		return
	}
	if err := p.db.LeaveNode(context.Background(), p.lease); err != nil {
		p.log.Warn("the place on the database could not be given back; another data folder has to wait until its lease ends", "lease", placeLease, "err", err)
	}
	p.lose(nil)
}
