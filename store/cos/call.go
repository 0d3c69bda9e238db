package cos

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// call is one request to the service, for its errors.
type call struct {
	ctx    context.Context // of the request, and watched
	what   string
	answer *object.Answer
}

func begin(ctx context.Context, op, name string) *call {
	if name != "" {
		op += " " + strconv.Quote(name)
	}
	watched, answer := object.Watch(ctx)
	return &call{watched, op, answer}
}

// failed says of an error of the SDK what it means.
func (c *call) failed(err error) error {
	return fmt.Errorf("%s: %w", c.what, c.meaning(bare(err)))
}

func (c *call) meaning(err error) error {
	var e *cos.ErrorResponse
	if !errors.As(err, &e) {
		return object.Unreached(c.ctx, err)
	}
	request := e.RequestID
	if request == "" {
		request = c.answer.Header.Get(requestHeader)
	}
	err = object.NewFailure(e.Response.StatusCode, e.Code, e.Message, request, c.answer.RetryAfter())
	if errors.Is(err, store.ErrDenied) {
		// An expired signature is a denied access by its code.
		if clock := object.CheckClock(c.answer); clock != nil {
			return clock
		}
	}
	return err
}

// bare takes errors out of the one in which the SDK hides them: it has no
// Unwrap, so that the end of a context would not be found in it.
func bare(err error) error {
	var e *cos.RetryError
	if !errors.As(err, &e) {
		return err
	}
	if len(e.Errs) == 1 {
		return e.Errs[0]
	}
	return errors.Join(e.Errs...)
}
