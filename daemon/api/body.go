package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// What can be wrong with a body that stops coming.
var (
	errBodyEnded = fmt.Errorf("the body ended before its length: %w", io.ErrUnexpectedEOF)
	errBodySlow  = errors.New("the body comes too slowly")
)

const (
	// drainBytes is the most that is read of a body nobody wanted, and
	// drainTime how long that may take; else the connection is closed.
	drainBytes = 256 << 10
	drainTime  = time.Second
	// rollEvery saves setting the deadline at each read.
	rollEvery = time.Second
)

// body is the body of a request. It gives exactly the declared number of
// bytes, or an error: fasthttp's stream ends cleanly when the client goes
// away. Each read may take Stall, and the whole must keep MinRate.
type body struct {
	src  io.Reader // nil without a body
	conn net.Conn
	want int64
	got  int64
	// most is how much there may be of a body in chunks, whose length nobody said;
	// 0 for any other. One that is cut off between two chunks seems to be whole:
	// who reads it looks for the end of what is in it.
	most   int64
	limits Limits
	// cancel ends the request's context: the work is for nothing.
	cancel context.CancelCauseFunc

	err      error // final, of reading
	ended    bool  // nobody reads the rest
	began    time.Time
	deadline time.Time
	// until is when all of it has to be there, the zero time for no such end.
	until time.Time
}

// Read is io.Reader.
func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.most == 0 && b.got == b.want:
		return 0, io.EOF
	case b.ended:
		return 0, errBodyEnded
	case len(p) == 0:
		return 0, nil
	}
	if err := b.roll(time.Now()); err != nil {
		return 0, b.fail(err)
	}
	left := b.want - b.got
	if b.most > 0 {
		left = b.most + 1 - b.got
	}
	n, err := b.src.Read(p[:min(int64(len(p)), left)])
	b.got += int64(n)
	switch {
	case b.most > 0 && b.got > b.most:
		return 0, b.fail(tooLongUnsized(b.most))
	case b.most > 0 && err == io.EOF:
		return n, io.EOF
	case b.most == 0 && b.got == b.want:
		return n, nil
	case err == io.EOF:
		return n, b.fail(errBodyEnded)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, b.fail(fmt.Errorf("%w: %w", errBodySlow, err))
	case err != nil && b.most > 0:
		return n, b.fail(&protocol.Error{Kind: protocol.KindBadRequest, Message: "the chunks of the body cannot be read; nothing was recorded", Err: err})
	case err != nil:
		return n, b.fail(fmt.Errorf("%w: %w", errBodyEnded, err))
	}
	return n, nil
}

func tooLongUnsized(most int64) error {
	return &protocol.Error{Kind: protocol.KindLengthRequired, Message: fmt.Sprintf("a body of more than %d bytes is taken only with its length; nothing was recorded", most),
		Hint: "Send Content-Length instead of Transfer-Encoding: chunked."}
}

func (b *body) fail(err error) error {
	b.err = err
	b.cancel(err)
	return err
}

// roll moves the deadline and checks the rate.
func (b *body) roll(now time.Time) error {
	if b.began.IsZero() {
		b.began = now
	}
	if took := now.Sub(b.began); took > b.limits.Stall && float64(b.got) < took.Seconds()*float64(b.limits.MinRate) {
		return errBodySlow
	}
	if !b.until.IsZero() && !now.Before(b.until) {
		return errBodySlow
	}
	d := now.Add(b.limits.Stall)
	if !b.until.IsZero() && b.until.Before(d) {
		d = b.until
	}
	if d.Sub(b.deadline) >= min(rollEvery, b.limits.Stall/2) {
		b.deadline = d
		if err := b.conn.SetReadDeadline(d); err != nil {
			return fmt.Errorf("%w: set its deadline: %w", errBodyEnded, err)
		}
	}
	return nil
}

// leave reads what the handler left, if that is little and already on its way,
// and reports whether the connection is at the beginning of the next request.
// Where it is not, the rest of this body would be taken for one.
func (b *body) leave() bool {
	if b.err != nil || b.ended || b.most > 0 || b.want-b.got > drainBytes {
		return false
	}
	if b.got == b.want {
		return true
	}
	if b.conn.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return false
	}
	n, err := io.CopyN(io.Discard, b.src, b.want-b.got)
	b.got += n
	return err == nil
}
