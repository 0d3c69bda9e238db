package compose

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/osproxy/osproxy/protocol"
)

const (
	// readBlocks is how many blocks are read by one request to the storage.
	readBlocks = 16
	// bufferSize is how much of them is in memory.
	bufferSize = 256 << 10
)

// mismatch says what of the joined object is not the content's.
type mismatch struct{ what string }

func (m *mismatch) Error() string { return m.what }

// compare reads the joined object and compares each block with the content's
// record. One that is not the content is a *mismatch.
func (t *target) compare(ctx context.Context) error {
	size := t.content.Size
	info, err := t.st.Stat(ctx, t.key)
	if err != nil {
		return fmt.Errorf("look at what was joined: %w", err)
	}
	if info.Size != size {
		return &mismatch{fmt.Sprintf("what was joined has %d bytes, not %d", info.Size, size)}
	}
	count := protocol.BlockCount(size)
	buf := make([]byte, bufferSize)
	for first := int64(0); first < count; first += readBlocks {
		n := min(readBlocks, count-first)
		records, err := t.cfg.Meta.Blocks(ctx, t.content.ID, first, n)
		if err != nil {
			return err
		}
		if int64(len(records)) != n {
			return fmt.Errorf("of %d blocks from %d on %d are on record", n, first, len(records))
		}
		if err := t.compareRun(ctx, first, records, buf); err != nil {
			return err
		}
		t.run.Progress(protocol.JobProgress{Done: min((first+n)*protocol.BlockSize, size), Total: &size, Unit: "bytes", Note: "comparing what was joined"})
	}
	return nil
}

// compareRun is compare of the blocks from first on, in one request.
func (t *target) compareRun(ctx context.Context, first int64, records []protocol.Block, buf []byte) (err error) {
	off := first * protocol.BlockSize
	end := min(off+int64(len(records))*protocol.BlockSize, t.content.Size)
	r, err := t.st.Get(ctx, t.key, off, end-off)
	if err != nil {
		return fmt.Errorf("read what was joined: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for i, rec := range records {
		length := min(protocol.BlockSize, end-off)
		if err := t.cfg.Pace.Wait(ctx, length); err != nil {
			return err
		}
		var h protocol.XXH3Hasher
		// The hasher takes what it is given and cannot fail.
		n, err := io.CopyBuffer(writerOnly{&h}, io.LimitReader(r, length), buf)
		if err == nil && n != length {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("read what was joined, %d of %d bytes of block %d: %w", n, length, first+int64(i), err)
		}
		if got := h.Sum(); got != rec.XXH3 {
			return &mismatch{fmt.Sprintf("block %d of what was joined reads with XXH3 %s, recorded is %s", first+int64(i), got, rec.XXH3)}
		}
		off += length
	}
	return nil
}

// writerOnly hides a ReadFrom, which would take a buffer of its own.
type writerOnly struct{ io.Writer }
