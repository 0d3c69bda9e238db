package object

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/osproxy/osproxy/store"
)

// Failure is what a storage said of a request that it refused. It holds nothing
// of the request.
type Failure struct {
	Status  int
	Code    string // "" where it did not say: the answer to a HEAD has none
	Message string
	Request string // the storage's id of the request
	meaning error
}

// NewFailure makes the error for an answer, whose text tells what it means. It
// is a *store.BusyError where the storage asks for patience, for as long as
// after.
func NewFailure(status int, code, message, request string, after time.Duration) error {
	f := &Failure{Status: status, Code: code, Message: message, Request: request}
	if busy(status, code) {
		return &store.BusyError{After: after, Err: f}
	}
	f.meaning = Meaning(status, code)
	return f
}

func (f *Failure) Error() string {
	said := f.Code
	if said == "" {
		said = http.StatusText(f.Status)
	}
	text := fmt.Sprintf("the storage answered %d %s", f.Status, said)
	if f.Message != "" {
		text += ": " + f.Message
	}
	if f.Request != "" {
		text += " (request " + f.Request + ")"
	}
	if f.meaning != nil {
		return f.meaning.Error() + ": " + text
	}
	return text
}

// Unwrap gives the sentinel of package store, if the answer means one.
func (f *Failure) Unwrap() error { return f.meaning }

// Meaning is the error of package store for an answer, nil for a failure that
// may pass or means nothing special. S3, OSS and COS share most of their codes,
// and none gives a meaning of its own to another's.
func Meaning(status int, code string) error {
	switch code {
	case "NoSuchKey", "NoSuchVersion", "NoSuchObject":
		return store.ErrNotFound
	case "NoSuchUpload":
		return store.ErrNotBegun
	case "NoSuchBucket", "InvalidBucketName":
		return store.ErrNoBucket
	case "PreconditionFailed", "FileAlreadyExists", "ObjectAlreadyExists":
		return store.ErrExists
	case "RequestTimeTooSkewed", "RequestExpired", "RequestNotYetValid", "ExpiredRequest":
		return store.ErrClock
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException", "InvalidRegion", "IncorrectEndpoint":
		return store.ErrRegion
	case "AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSecurity",
		"ExpiredToken", "InvalidToken", "XAdminUserNotFound", "UserDisable", "UnauthorizedAccess", "AccessForbidden":
		return store.ErrDenied
	case "InvalidRange":
		return store.ErrRange
	case "BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "InvalidDigest", "CRCCheckError", "ChecksumMismatch":
		return store.ErrDamaged
	case "EntityTooSmall", "EntityTooLarge":
		return store.ErrPieces
	case "XMinioStorageFull", "QuotaExceeded", "QuotaExceededException", "InsufficientCapacity":
		return store.ErrFull
	case "NotImplemented":
		return store.ErrUnsupported
	}
	return meaningOfStatus(status, code)
}

// meaningOfStatus goes by the status alone, as the answer to a HEAD leaves no
// choice. A code that is not known says more than a client's error in general.
func meaningOfStatus(status int, code string) error {
	switch {
	case status == http.StatusInsufficientStorage:
		return store.ErrFull
	case code != "" && code != http.StatusText(status) && status != http.StatusForbidden:
		return nil
	}
	switch status {
	case http.StatusNotFound:
		return store.ErrNotFound
	case http.StatusPreconditionFailed:
		return store.ErrExists
	case http.StatusUnauthorized, http.StatusForbidden:
		return store.ErrDenied
	case http.StatusRequestedRangeNotSatisfiable:
		return store.ErrRange
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return store.ErrRegion
	case http.StatusNotImplemented:
		return store.ErrUnsupported
	}
	return nil
}

// busy reports whether an answer asks to come again later and slower.
func busy(status int, code string) bool {
	switch {
	case strings.HasPrefix(code, "SlowDown"), strings.HasPrefix(code, "Throttling"), code == "QpsLimitExceeded", code == "RequestLimitExceeded",
		code == "DownloadTrafficRateLimitExceeded", code == "UploadTrafficRateLimitExceeded":
		return true
	}
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// Unreached makes an error of one that came before there was an answer, or in
// its middle: the context's where that has ended, and without the address that
// net/http puts in front of all of its own.
func Unreached(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil && !errors.Is(err, ctxErr) {
		return fmt.Errorf("%w: %w", ctxErr, err)
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Settings are what the settings of a backend are called, for Explain.
type Settings struct{ Endpoint, Region, Bucket, KeyID, Secret string }

// Explain says of what a Check found what to look at.
func (s Settings) Explain(err error) error {
	var f *Failure
	look := ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
	case errors.Is(err, store.ErrDenied):
		look = fmt.Sprintf("look at %s and %s, and at what the account may do", s.KeyID, s.Secret)
		if errors.As(err, &f) && f.Code == "InvalidAccessKeyId" {
			look = "look at " + s.KeyID
		} else if f != nil && f.Code == "SignatureDoesNotMatch" {
			look = "look at " + s.Secret
		}
	case errors.Is(err, store.ErrNoBucket):
		look = fmt.Sprintf("look at %s and %s, or make the bucket: ospd does not", s.Bucket, s.Endpoint)
	case errors.Is(err, store.ErrRegion):
		look = fmt.Sprintf("look at %s and %s", s.Region, s.Endpoint)
	case errors.Is(err, store.ErrClock):
		look = "set this machine's clock, with NTP"
	case errors.Is(err, store.ErrUnsupported):
	case errors.As(err, &f):
		look = fmt.Sprintf("if it stays so, look at %s", s.Endpoint)
	default:
		look = fmt.Sprintf("the storage cannot be reached; look at %s and at the network", s.Endpoint)
	}
	if look == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, look)
}

// MaxSkew is how far the clocks may be apart before Check complains: signatures
// are refused from 15 minutes on, and some by less.
const MaxSkew = 5 * time.Minute

// CheckClock is store.ErrClock where the clocks of an answer are too far apart.
func CheckClock(a *Answer) error {
	if a.Skew.Abs() <= MaxSkew {
		return nil
	}
	ahead := "ahead of"
	if a.Skew < 0 {
		ahead = "behind"
	}
	return fmt.Errorf("this machine's clock is %s %s the storage's: %w", a.Skew.Abs().Round(time.Second), ahead, store.ErrClock)
}
