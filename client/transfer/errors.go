package transfer

import (
	"context"
	"errors"
	"io/fs"

	"github.com/osproxy/osproxy/protocol"
)

// localError gives an error of this machine's files its kind.
func localError(op string, err error) error {
	e := &protocol.Error{Kind: protocol.KindLocalIO, Op: op, Message: "this machine's file system refused", Err: err}
	switch {
	case diskFull(err):
		e.Kind, e.Message = protocol.KindLocalFull, "no space is left on this machine's disk"
		e.Hint = "Make room; what was received is kept."
	case errors.Is(err, fs.ErrNotExist):
		e.Kind, e.Message = protocol.KindLocalMissing, "there is no such file"
	}
	return e
}

// ended is the error of a run whose context ended. Its kind is that of the
// cause where that has one (the command line tells signals and time limits
// apart by it).
func ended(ctx context.Context) *protocol.Error {
	cause := context.Cause(ctx)
	e := &protocol.Error{Kind: protocol.KindInterrupted, Message: "stopped before it was done", Err: cause}
	if !errors.Is(cause, ctx.Err()) {
		e.Err = errors.Join(cause, ctx.Err())
	}
	if own, ok := errors.AsType[*protocol.Error](cause); ok {
		e.Kind = own.Kind
	} else if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.Kind = protocol.KindTimeout
	}
	return e
}

// isKind reports whether err is of one of the kinds.
func isKind(err error, kinds ...protocol.Kind) bool {
	of := protocol.KindOf(err)
	for _, k := range kinds {
		if of == k {
			return true
		}
	}
	return false
}
