package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// finish makes the part file durable and then the target.
func (g *get) finish(ctx context.Context) error {
	if err := g.settlePart(ctx); err != nil {
		return err
	}
	if err := g.publish(); err != nil {
		return err
	}
	g.res.Outcome, g.res.Verified = Downloaded, g.fetch.verify
	if g.res.ResumedBytes > 0 {
		g.res.Outcome = Resumed
	}
	g.part = ""
	return g.drop()
}

// publish makes what was received the target.
func (g *get) publish() error {
	if g.loose != nil {
		named, err := g.e.folders.link(g.target, g.loose)
		if named || err != nil {
			return err
		}
		if err := g.copyLoose(); err != nil {
			return err
		}
	}
	if err := g.f.Close(); err != nil {
		return localError("write "+g.target.pathOf(g.part), err)
	}
	return g.e.folders.publish(g.target, g.part, g.req.IfExists == ExistsOverwrite)
}

// copyLoose makes a part file of a file without a name, which this file system
// has and cannot give one.
func (g *get) copyLoose() error {
	from := io.NewSectionReader(g.f, 0, g.fetch.file.Size)
	g.part = partPath(g.target.name, newID())
	if err := g.open(); err != nil {
		return err
	}
	_, err := io.Copy(g.f, from)
	if err = errors.Join(err, g.f.Sync()); err != nil {
		g.f.Close()
		return localError("write "+g.target.pathOf(g.part), err)
	}
	return nil
}

// drop removes the part file and the transfer.
func (g *get) drop() error {
	if err := g.dropPart(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return localError("remove what was received", err)
	}
	if g.lease == nil {
		return nil
	}
	return g.lease.forget()
}

// dropPart removes the part file of this run, or of an earlier one.
func (g *get) dropPart() error {
	switch {
	case g.part != "":
		return g.target.root.Remove(g.part)
	case g.record == nil:
		return nil
	case g.target.root != nil:
		return g.target.root.Remove(partPath(g.target.name, g.record.ID))
	}
	return os.Remove(g.record.Target)
}

// hopeless are the kinds that running again cannot mend: what was received
// is of no use then.
func hopeless(err error) bool {
	return isKind(err, protocol.KindIntegrity, protocol.KindContentCorrupt, protocol.KindNotFound,
		protocol.KindPreconditionFailed, protocol.KindDigestPending)
}

// conclude turns the run's end into its result.
func (g *get) conclude(ctx context.Context, err error) (Result, error) {
	defer g.target.close()
	g.fetch.item.end(err == nil)
	g.res.SentBytes = g.fetch.received.Load()
	g.res.Retries = g.fetch.tries.count()
	g.res.Elapsed = time.Since(g.begun)
	if err == nil {
		g.lease.release()
		return g.res, nil
	}
	g.res.Outcome, g.res.Verified = Failed, false
	if ctx.Err() == nil && hopeless(err) || g.lease == nil {
		if e := g.drop(); e != nil {
			g.e.cfg.Warn(fmt.Sprintf("what the get of %s left could not be removed: %s", g.req.UID, e))
		}
	}
	g.res.Transfer, err = failed(ctx, g.lease, g.record, g.broken(err))
	return g.res, err
}

// broken adds to an answer that broke off, each time it was asked for, what is
// here of the file.
func (g *get) broken(err error) error {
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || !errors.Is(err, client.ErrCut) {
		return err
	}
	c := *e
	switch here := g.res.ResumedBytes + g.fetch.whole.Load(); {
	case g.lease != nil && here > 0:
		c.Message += fmt.Sprintf("; %d of %d bytes of the file are here and kept", here, g.fetch.file.Size)
	default:
		c.Message += "; nothing of the file is here yet"
	}
	return &c
}
