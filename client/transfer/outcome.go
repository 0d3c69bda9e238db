package transfer

import (
	"context"
	"errors"

	"github.com/osproxy/osproxy/protocol"
)

// failed words the end of a run that did not get through, notes it in the
// transfer on disk where there is one, and lets go of that. The id is "" when
// nothing is kept.
func failed(ctx context.Context, l *lease, t *Transfer, err error) (ID, error) {
	e := own(ctx, err)
	if l == nil {
		return "", e
	}
	defer l.release()
	if _, gone := l.s.Load(l.id); isKind(gone, protocol.KindNotFound) {
		return "", e
	}
	if e.Kind.Row().Retryable || e.Hint == "" || isKind(e, protocol.KindLocalFull, protocol.KindStoreFull, protocol.KindLocalChanged) {
		e.Hint = t.Command()
	}
	t.LastError = &LastError{Code: e.Kind, At: protocol.TimeOf(l.s.now())}
	if saving := l.save(t); saving != nil {
		// What the file says of the upload still holds; only the reason of
		// this failure is missing in it.
		e.Err = errors.Join(e.Err, saving)
	}
	return l.id, e
}

// own makes err an Error that may be changed.
func own(ctx context.Context, err error) *protocol.Error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		c := *e
		return &c
	}
	return &protocol.Error{Kind: protocol.KindInternal, Message: "this cannot go on", Err: err}
}
