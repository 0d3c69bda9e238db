package digest

import (
	"context"
	"encoding"
	"errors"
	"time"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
)

const (
	// keepEvery is after how many blocks it is recorded how far the reading of a
	// content is: a large one takes longer than a daemon may live.
	keepEvery = 256
	// keepTimeout bounds that at the end of a job.
	keepTimeout = 5 * time.Second
)

// kept is how far the reading of a content is, with what was computed until
// there.
type kept struct {
	Content meta.ContentID `json:"content"`
	// Block is the next one.
	Block int64 `json:"block"`
	// SHA256 and MD5 are the states of the hashes.
	SHA256    []byte `json:"sha256"`
	MD5       []byte `json:"md5"`
	MediaType string `json:"media_type"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
}

// keeper records that with the job, for its next attempt.
type keeper struct {
	run *job.Run
	at  kept
}

// newKeeper reads what an earlier attempt kept. What cannot be read is as good
// as nothing.
func newKeeper(r *job.Run) *keeper {
	k := &keeper{run: r}
	if found, err := r.Saved(&k.at); err != nil || !found {
		k.at = kept{}
	}
	return k
}

// resume gives the block with which the reading of a content goes on, and puts c
// into the state of then.
func (k *keeper) resume(id meta.ContentID, c *computing) (block int64) {
	if k.at.Content != id || k.at.Block == 0 {
		return 0
	}
	for _, h := range []struct {
		hash  any
		state []byte
	}{{c.sha, k.at.SHA256}, {c.md, k.at.MD5}} {
		u, ok := h.hash.(encoding.BinaryUnmarshaler)
		if !ok || u.UnmarshalBinary(h.state) != nil {
			c.sha.Reset()
			c.md.Reset()
			return 0
		}
	}
	c.told = &meta.Findings{MediaType: k.at.MediaType, Width: k.at.Width, Height: k.at.Height}
	return k.at.Block
}

// keep records that the reading of a content is before the block.
func (k *keeper) keep(ctx context.Context, id meta.ContentID, block int64, c *computing) error {
	f := c.tell()
	at := kept{Content: id, Block: block, MediaType: f.MediaType, Width: f.Width, Height: f.Height}
	for _, h := range []struct {
		hash  any
		state *[]byte
	}{{c.sha, &at.SHA256}, {c.md, &at.MD5}} {
		m, ok := h.hash.(encoding.BinaryMarshaler)
		if !ok {
			return nil // then it is read again
		}
		var err error
		if *h.state, err = m.MarshalBinary(); err != nil {
			return err
		}
	}
	k.at = at
	return k.run.Save(ctx, at)
}

// atEnd is keep where the context of the job has ended.
func (k *keeper) atEnd(ctx context.Context, id meta.ContentID, block int64, c *computing) error {
	if ctx.Err() == nil || block == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	if err := k.keep(ctx, id, block, c); !errors.Is(err, meta.ErrLeaseLost) {
		return err
	}
	return nil
}
