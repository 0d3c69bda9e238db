package upload

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// coming is what is being received of an upload without a size: the owner's
// quota is charged for it before a byte is taken, and gets back what did not
// come. Else the header of a request alone would keep it until the upload is
// abandoned.
//
// It is of this process alone. What is recorded is charged by its record, so that
// beyond a quota is at most what comes of one upload to other nodes at the same
// time, which is refused when it is there.
type coming struct {
	// mu is held while the quota is charged or given something back, so that
	// nothing is given back that another request was just charged for.
	mu sync.Mutex
	// bytes are those of the chunks, and ends says how many parts end where.
	// guarded by mu, as is all that follows.
	bytes int64
	ends  map[int64]int
	// most is what was charged at most since something was given back, which
	// eased says was ever done: what was read of the upload may be old then.
	most  int64
	eased bool
}

// chargeChunk has the owner's quota be charged for a chunk that is about to
// come, and for those that are coming. Once it has, chunkEnds is to be called.
func (se *session) chargeChunk(ctx context.Context, up meta.Upload, others, length int64) error {
	c := &se.coming
	c.mu.Lock()
	defer c.mu.Unlock()
	err := se.charge(ctx, up, others+c.still()+length)
	if err == nil {
		c.bytes += length
	}
	return err
}

// chunkEnds ends what chargeChunk began; sum is what all chunks have together
// with it, as far as it knows.
func (se *session) chunkEnds(ctx context.Context, up meta.Upload, sum, length int64, failed bool) {
	c := &se.coming
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= length
	// Of equal chunks at once, and of a shorter one in place of a longer, less
	// stays than was charged for.
	if failed || c.bytes == 0 && c.most > sum {
		se.ease(ctx, up.Owner)
	}
}

// chargePart is chargeChunk of a part that ends at end; then partEnds.
func (se *session) chargePart(ctx context.Context, up meta.Upload, end int64) error {
	c := &se.coming
	c.mu.Lock()
	defer c.mu.Unlock()
	err := se.charge(ctx, up, max(c.still(), c.bytes+end))
	if err == nil {
		if c.ends == nil {
			c.ends = map[int64]int{}
		}
		c.ends[end]++
	}
	return err
}

func (se *session) partEnds(ctx context.Context, up meta.Upload, end int64, failed bool) {
	c := &se.coming
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends[end]--; c.ends[end] == 0 {
		delete(c.ends, end)
	}
	if failed {
		se.ease(ctx, up.Owner)
	}
}

// still is how much is coming. Chunks and parts both are where the upload began
// anew meanwhile. The caller holds mu.
func (c *coming) still() int64 {
	return c.bytes + slices.Max(append(slices.Collect(maps.Keys(c.ends)), 0))
}

// charge has the quota be charged for so much. The caller holds coming.mu.
func (se *session) charge(ctx context.Context, up meta.Upload, wanted int64) error {
	c := &se.coming
	if up.Reserved < wanted || c.eased {
		if err := se.svc.db.ReserveUpload(ctx, up.Owner, up.UID, wanted); err != nil {
			return err
		}
	}
	c.most = max(c.most, up.Reserved, wanted)
	return nil
}

// ease gives back what is charged beyond what is recorded and still coming. The
// caller holds coming.mu.
func (se *session) ease(ctx context.Context, owner protocol.Owner) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	c := &se.coming
	c.most, c.eased = 0, true
	if err := se.svc.db.EaseUpload(ctx, owner, se.uid, c.still()); err != nil {
		se.svc.log.Warn("give back to a quota what did not come; the upload's end does", "uid", se.uid, "err", err)
	}
}
