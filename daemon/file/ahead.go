package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

const (
	// aheadBlocks is how many blocks of one request are read before their turn.
	aheadBlocks = 3
	// aheadBudget is how many bytes are held by that for all requests together.
	// Where it is used up a block is streamed in its turn.
	aheadBudget = 32 << 20
	// smallBlock is up to which length a block is not read into a buffer of a
	// whole one.
	smallBlock = 256 << 10
)

// budget is what all requests together may hold of blocks read ahead.
type budget struct {
	free *semaphore.Weighted
	// blocks are *[]byte of the capacity of a block.
	blocks *sync.Pool
}

// take is room for n bytes, or nil where there is none now. give gives it back.
func (b *budget) take(n int64) (data []byte, give func()) {
	weight := n
	if n > smallBlock {
		weight = protocol.BlockSize
	}
	if !b.free.TryAcquire(weight) {
		return nil, nil
	}
	if n <= smallBlock {
		return make([]byte, n), func() { b.free.Release(weight) }
	}
	buf := b.blocks.Get().(*[]byte)
	return (*buf)[:n], func() {
		b.blocks.Put(buf)
		b.free.Release(weight)
	}
}

// ahead are the blocks of one request that are read before their turn, each
// whole, and compared, in memory. One that could not be read, or did not match,
// is given up: in its turn it is read anew, and what is wrong is said then.
type ahead struct {
	// queue is in the order of the content, without gaps.
	queue  []*early
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// early is a block, or the wanted part of one that is known to be good.
type early struct {
	block int64
	// off and end are what is wanted of it, from is where data begins.
	off, end, from int64
	pieces         []layout.Piece
	// sum is what the bytes must have, nil where they are not checked.
	sum  *protocol.XXH3
	at   time.Time
	data []byte
	give func()
	done chan struct{}
	err  error // set when done is closed
}

// lookAhead begins to read what comes next of the bytes from off to end, as far
// as there is room, and leaves out blocks that lie in files.
func (c *Content) lookAhead(ctx context.Context, off, end int64) {
	a := &c.ahead
	if len(a.queue) > 0 && a.queue[0].off != off {
		a.drop()
	}
	for len(a.queue) < aheadBlocks {
		if n := len(a.queue); n > 0 {
			off = a.queue[n-1].end
		}
		if off >= end || c.inFiles(off/protocol.BlockSize) {
			return
		}
		e, err := c.early(ctx, off, end)
		if e == nil || err != nil {
			return // it is streamed in its turn
		}
		a.begin(ctx, c.s, e)
	}
}

// early says how to read the block at off, and takes the room for it; nil where
// there is none.
func (c *Content) early(ctx context.Context, off, end int64) (*early, error) {
	block := off / protocol.BlockSize
	from, to := block*protocol.BlockSize, blockEnd(block, c.Size())
	e := &early{block: block, off: off, end: min(end, to), from: from, at: c.s.cfg.Clock(), done: make(chan struct{})}
	known, err := c.known(ctx, block)
	if err != nil {
		return nil, err
	}
	if partial := off > from || e.end < to; c.s.cfg.Verify == VerifyOff || known && partial {
		from, to = off, e.end
		e.from = off
	} else {
		rec, err := c.record(ctx, block)
		if err != nil {
			return nil, err
		}
		e.sum = &rec.XXH3
	}
	if e.data, e.give = c.s.budget.take(to - from); e.data == nil {
		return nil, nil
	}
	e.pieces = c.where.Pieces(from, to-from)
	return e, nil
}

func (a *ahead) begin(ctx context.Context, s *Service, e *early) {
	if a.cancel == nil {
		a.ctx, a.cancel = context.WithCancel(ctx)
	}
	a.queue = append(a.queue, e)
	ctx = a.ctx
	a.wg.Go(func() {
		defer close(e.done)
		e.err = s.readEarly(ctx, e)
	})
}

// readEarly reads and compares a block. It is not the place to say what an
// error means.
func (s *Service) readEarly(ctx context.Context, e *early) error {
	data := e.data
	for _, p := range e.pieces {
		st, err := holder.Find(s.cfg.Stores, p.Blob.Store)
		if err != nil {
			return err
		}
		r, err := st.Get(ctx, store.Key(p.Blob.Key), p.Offset, p.Length)
		if err != nil {
			return err
		}
		_, err = io.ReadFull(r, data[:p.Length])
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		data = data[p.Length:]
	}
	if e.sum == nil {
		return nil
	}
	if got := protocol.SumXXH3(e.data); got != *e.sum {
		return mismatch(e.block, got, *e.sum)
	}
	if s.cfg.Verify == VerifyFirst {
		s.seen.add(placeOf(e.pieces, *e.sum), e.at)
	}
	return nil
}

// front waits for the block that begins at off where it is read ahead, and
// reports whether its bytes are there.
func (a *ahead) front(off int64) (*early, bool) {
	if len(a.queue) == 0 || a.queue[0].off != off {
		return nil, false
	}
	e := a.queue[0]
	<-e.done // its reading ends with the request's context
	return e, e.err == nil
}

// next takes the front out of the queue. The caller gives its room back.
func (a *ahead) next() { a.queue = a.queue[1:] }

// drop ends all reading ahead and waits for it.
func (a *ahead) drop() {
	if a.cancel == nil {
		return
	}
	a.cancel()
	a.wg.Wait()
	for _, e := range a.queue {
		e.give()
	}
	a.queue, a.cancel, a.ctx = nil, nil, nil
}

// writeAhead writes what is wanted of the block at off, if it was read ahead
// and is good.
func (c *Content) writeAhead(ctx context.Context, w io.Writer, off, end int64) (n int64, done bool, err error) {
	c.lookAhead(ctx, off, end)
	e, ok := c.ahead.front(off)
	if e == nil {
		return 0, false, nil
	}
	if e.end > end {
		c.ahead.drop() // it was begun for a longer range
		return 0, false, nil
	}
	c.ahead.next()
	defer e.give()
	if !ok {
		if _, damaged := errors.AsType[*damage](e.err); damaged {
			err = c.pass(ctx, e.block) // before anything of it leaves
		}
		return 0, err != nil, err
	}
	if e.end < end {
		c.lookAhead(ctx, e.end, end) // goes on while these are written
	}
	sent, err := w.Write(e.data[e.off-e.from : e.end-e.from])
	if err != nil {
		err = fmt.Errorf("send content: %w", err)
	}
	return int64(sent), true, err
}
