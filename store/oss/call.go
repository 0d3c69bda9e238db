package oss

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/store/object"
)

// call is one request to the service, for its errors.
type call struct {
	b       *Backend
	op      string
	name    string // of the object, "" for none
	context oss.Option
	answer  *object.Answer
}

func (b *Backend) begin(ctx context.Context, op, name string) *call {
	watched, answer := object.Watch(ctx)
	return &call{b, op, name, oss.WithContext(watched), answer}
}

// options are what every request has, and more.
func (c *call) options(more ...oss.Option) []oss.Option {
	return append([]oss.Option{c.context}, more...)
}

// failed says what went wrong.
func (c *call) failed(ctx context.Context, err error) error {
	return c.b.failure(c, object.Unreached(ctx, err))
}

// strict is a way to the service on which redirects are errors: ours go where
// the configuration says, and the SDK loses the answer where it meets one.
type strict struct{ http.RoundTripper }

// RoundTrip is http.RoundTripper's.
func (s strict) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode < 300 || resp.StatusCode >= 400 {
		return resp, err
	}
	return nil, errors.Join(fmt.Errorf("the service answers %s and sends us elsewhere; check endpoint", resp.Status), resp.Body.Close())
}
