package oss

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// failure says of an error of the SDK what it means, and what was being done to
// which object.
func (b *Backend) failure(c *call, err error) error {
	what := c.op
	if c.name != "" {
		what += " " + strconv.Quote(c.name)
	}
	if damaged(err) {
		return fmt.Errorf("%s: %w (%w)", what, store.ErrDamaged, err)
	}
	var answer oss.ServiceError
	if !errors.As(err, &answer) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if busy(answer) {
		return &store.BusyError{After: delay(c.answer), Err: fmt.Errorf("%s: %w", what, err)}
	}
	sentinel := meaning(answer)
	if sentinel == nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if advice := b.advice(sentinel, answer, c.answer); advice != "" {
		return fmt.Errorf("%s: %w: %s (%w)", what, sentinel, advice, err)
	}
	return fmt.Errorf("%s: %w (%w)", what, sentinel, err)
}

// busy reports whether the service asks for patience: 503 and 429, and every
// "…LimitExceeded" that comes under another status.
func busy(e oss.ServiceError) bool {
	return e.StatusCode == http.StatusServiceUnavailable || e.StatusCode == http.StatusTooManyRequests ||
		strings.HasSuffix(e.Code, "LimitExceeded")
}

// delay is how long the service wants us to wait: OSS counts milliseconds in a
// header of its own, others between it and us seconds in Retry-After.
func delay(a *object.Answer) time.Duration {
	if ms, err := strconv.ParseInt(oss.GetQosDelayTime(a.Header), 10, 32); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return a.RetryAfter()
}

// meaning is what the answer means in the words of store, nil where it is only
// a failure. What was to be unchanged here is a source that was looked at.
func meaning(e oss.ServiceError) error {
	switch {
	case wrongRegion(e):
		return store.ErrRegion
	case e.Code == "PreconditionFailed":
		return nil
	}
	return object.Meaning(e.StatusCode, e.Code)
}

// wrongRegion reports whether the service says that it is not the one that has
// the bucket: it names the endpoint that has, or refuses the region in the
// signature.
func wrongRegion(e oss.ServiceError) bool {
	return e.Code == "AccessDenied" && e.Endpoint != "" || e.Code == "InvalidArgument" && regional(e)
}

// regional reports whether the region in the signature is what is refused.
func regional(e oss.ServiceError) bool {
	return e.Ec == "0002-00000226" || e.Ec == "0002-00000228" || strings.Contains(e.Message, "signing region")
}

// advice names the setting to look at.
func (b *Backend) advice(sentinel error, e oss.ServiceError, a *object.Answer) string {
	switch {
	case errors.Is(sentinel, store.ErrNoBucket):
		return fmt.Sprintf("there is no bucket %q at this endpoint; check bucket and endpoint", b.bucket.BucketName)
	case errors.Is(sentinel, store.ErrRegion) && e.Endpoint != "":
		return fmt.Sprintf("the bucket is reached at %s; check endpoint and region", e.Endpoint)
	case errors.Is(sentinel, store.ErrRegion):
		return fmt.Sprintf("requests are signed for region %q; check region", b.region)
	case errors.Is(sentinel, store.ErrClock):
		return fmt.Sprintf("this machine's clock is %v ahead of the service's; set it right", a.Skew.Round(time.Second))
	case e.Code == "InvalidAccessKeyId":
		return "the service does not know this key; check access_key_id"
	case e.Code == "SignatureDoesNotMatch":
		return "the signature is not the key's; check access_key_secret"
	case errors.Is(sentinel, store.ErrDenied):
		return "the key may not do this in the bucket; check the permissions of access_key_id"
	}
	return ""
}
