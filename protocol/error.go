package protocol

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kind is what went wrong, as a word of the wire. Each is one row of kinds.
type Kind string

// The kinds a daemon answers with.
const (
	KindBadRequest           Kind = "bad_request"
	KindBadUID               Kind = "bad_uid"
	KindBadName              Kind = "bad_name"
	KindBadPart              Kind = "bad_part"
	KindSizeRequired         Kind = "size_required"
	KindUnknownField         Kind = "unknown_field"
	KindUnauthenticated      Kind = "unauthenticated"
	KindForbidden            Kind = "forbidden"
	KindBadHost              Kind = "bad_host"
	KindBadOrigin            Kind = "bad_origin"
	KindNotFound             Kind = "not_found"
	KindMethodNotAllowed     Kind = "method_not_allowed"
	KindPartsMissing         Kind = "parts_missing"
	KindPartsDiffer          Kind = "parts_differ"
	KindDigestDiffers        Kind = "digest_differs"
	KindCommitted            Kind = "committed"
	KindDigestPending        Kind = "digest_pending"
	KindConflict             Kind = "conflict"
	KindClaimRefused         Kind = "claim_refused"
	KindLengthRequired       Kind = "length_required"
	KindPreconditionFailed   Kind = "precondition_failed"
	KindTooLarge             Kind = "too_large"
	KindTooManyParts         Kind = "too_many_parts"
	KindQuotaExceeded        Kind = "quota_exceeded"
	KindUnsupportedMediaType Kind = "unsupported_media_type"
	KindRange                Kind = "range"
	KindChecksumMismatch     Kind = "checksum_mismatch"
	KindBadLength            Kind = "bad_length"
	KindIdempotencyMismatch  Kind = "idempotency_mismatch"
	KindRateLimited          Kind = "rate_limited"
	KindHeadersTooLarge      Kind = "headers_too_large"
	KindInternal             Kind = "internal"
	KindContentCorrupt       Kind = "content_corrupt"
	KindUnavailable          Kind = "unavailable"
	KindDraining             Kind = "draining"
	KindOwnerDown            Kind = "owner_down"
	KindStoreUnavailable     Kind = "store_unavailable"
	KindStoreFull            Kind = "store_full"
)

// The kinds that arise in a client and never cross the wire.
const (
	KindUsage        Kind = "usage"
	KindPartial      Kind = "partial"
	KindNetwork      Kind = "network"
	KindIntegrity    Kind = "integrity"
	KindLocalChanged Kind = "local_changed"
	KindLocalExists  Kind = "local_exists"
	KindLocalIO      Kind = "local_io"
	KindLocalMissing Kind = "local_missing"
	KindLocalFull    Kind = "local_full"
	KindBusy         Kind = "transfer_busy"
	KindTimeout      Kind = "timeout"
	KindInterrupted  Kind = "interrupted"
	KindTerminated   Kind = "terminated"
)

// Row is what follows from a kind: the HTTP status it is answered with (0 for
// a kind that never crosses the wire), osp's exit code (0 for a kind that osp
// handles and never ends with), and whether the same request may succeed later.
type Row struct {
	Kind      Kind
	Status    int
	Exit      int
	Retryable bool
	Title     string
}

var kinds = [...]Row{
	{KindBadRequest, http.StatusBadRequest, 2, false, "Bad request"},
	{KindBadUID, http.StatusBadRequest, 2, false, "Bad uid"},
	{KindBadName, http.StatusBadRequest, 2, false, "Bad name"},
	{KindBadPart, http.StatusBadRequest, 2, false, "Bad part number"},
	{KindSizeRequired, http.StatusBadRequest, 2, false, "Size required"},
	{KindUnknownField, http.StatusBadRequest, 2, false, "Unknown field"},
	{KindUnauthenticated, http.StatusUnauthorized, 6, false, "Not authenticated"},
	{KindForbidden, http.StatusForbidden, 6, false, "Forbidden"},
	{KindBadHost, http.StatusForbidden, 6, false, "Host not allowed"},
	{KindBadOrigin, http.StatusForbidden, 6, false, "Origin not allowed"},
	{KindNotFound, http.StatusNotFound, 4, false, "Not found"},
	{KindMethodNotAllowed, http.StatusMethodNotAllowed, 1, false, "Method not allowed"},
	{KindPartsMissing, http.StatusConflict, 9, false, "Parts missing"},
	{KindPartsDiffer, http.StatusConflict, 9, false, "Parts differ"},
	{KindDigestDiffers, http.StatusConflict, 9, false, "Digest differs"},
	{KindCommitted, http.StatusConflict, 9, false, "Already committed"},
	{KindDigestPending, http.StatusConflict, 9, false, "Digest pending"},
	{KindConflict, http.StatusConflict, 9, false, "Conflict"},
	{KindClaimRefused, http.StatusConflict, 0, false, "Claim refused"},
	{KindLengthRequired, http.StatusLengthRequired, 1, false, "Length required"},
	{KindPreconditionFailed, http.StatusPreconditionFailed, 9, false, "Precondition failed"},
	{KindTooLarge, http.StatusRequestEntityTooLarge, 11, false, "Too large"},
	{KindTooManyParts, http.StatusRequestEntityTooLarge, 11, false, "Too many parts"},
	{KindQuotaExceeded, http.StatusRequestEntityTooLarge, 11, false, "Quota exceeded"},
	{KindUnsupportedMediaType, http.StatusUnsupportedMediaType, 1, false, "Unsupported media type"},
	{KindRange, http.StatusRequestedRangeNotSatisfiable, 1, false, "Range not satisfiable"},
	{KindChecksumMismatch, http.StatusUnprocessableEntity, 7, true, "Checksum mismatch"},
	{KindBadLength, http.StatusUnprocessableEntity, 7, true, "Wrong length"},
	{KindIdempotencyMismatch, http.StatusUnprocessableEntity, 1, false, "Idempotency key reused"},
	{KindRateLimited, http.StatusTooManyRequests, 5, true, "Rate limited"},
	{KindHeadersTooLarge, http.StatusRequestHeaderFieldsTooLarge, 1, false, "Headers too large"},
	{KindInternal, http.StatusInternalServerError, 1, false, "Internal error"},
	{KindContentCorrupt, http.StatusInternalServerError, 7, false, "Content corrupt"},
	{KindUnavailable, http.StatusServiceUnavailable, 5, true, "Unavailable"},
	{KindDraining, http.StatusServiceUnavailable, 5, true, "Draining"},
	{KindOwnerDown, http.StatusServiceUnavailable, 5, true, "Owning node down"},
	{KindStoreUnavailable, http.StatusServiceUnavailable, 5, true, "Store unavailable"},
	{KindStoreFull, http.StatusInsufficientStorage, 11, false, "Store full"},

	{KindUsage, 0, 2, false, "Wrong usage"},
	{KindPartial, 0, 3, false, "Some items failed"},
	{KindNetwork, 0, 5, true, "Network failure"},
	{KindIntegrity, 0, 7, false, "Integrity failure"},
	{KindLocalChanged, 0, 8, false, "Local file changed"},
	{KindLocalExists, 0, 9, false, "Local file exists"},
	{KindLocalIO, 0, 1, false, "Local file error"},
	{KindLocalMissing, 0, 4, false, "Local file not found"},
	{KindLocalFull, 0, 11, false, "Local disk full"},
	{KindBusy, 0, 9, false, "Transfer in use"},
	{KindTimeout, 0, 124, true, "Timed out"},
	{KindInterrupted, 0, 130, true, "Interrupted"},
	{KindTerminated, 0, 143, true, "Terminated"},
}

// Kinds returns the table, in order. The caller must not change it.
func Kinds() []Row { return kinds[:] }

// Row returns the kind's row; an unknown kind is treated as KindInternal, so
// that an older client understands a newer daemon's errors as failures.
func (k Kind) Row() Row {
	for _, r := range kinds {
		if r.Kind == k {
			return r
		}
	}
	r := KindInternal.Row()
	r.Kind = k
	return r
}

// Error is every error that crosses the wire or ends a command. Message says
// what happened and what it means for the data, Hint what to do next; both are
// written for the reader. Err is the internal cause: it goes to the log and
// never to the wire.
type Error struct {
	Kind    Kind
	Op      string
	UID     UID
	Message string
	Hint    string
	// RequestID is the daemon's, where one was involved.
	RequestID string
	// RetryAfter is the daemon's advice, 0 without one.
	RetryAfter time.Duration
	// Missing and Parts are members of KindPartsMissing and KindPartsDiffer.
	Missing [][2]PartNumber
	Parts   []Part
	Err     error
}

// Error prints op, message and cause, in that order, for logs and terminals.
func (e *Error) Error() string {
	s := e.Message
	if s == "" {
		s = e.Kind.Row().Title
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same kind, so that
// errors.Is(err, &Error{Kind: k}) asks for a kind.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind
}

// KindOf finds the kind of err: that of the outermost *Error in its chain,
// KindInternal where there is none, "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// Errorf makes an Error of a kind with a message for the reader.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}
