// Package front is what looks to an SDK like a vendor's object storage and
// serves each call from a real S3 server behind it. What a vendor's own rules
// are is in the packages below; here is what they have in common: the request
// upstream, the checks by a vendor's tables, checksums over the real bytes,
// multipart uploads of parts that S3 would find too small, and counters.
package front

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Vendor is how one vendor speaks. Its methods are called by many requests at
// once. Errors are *Error.
type Vendor interface {
	// Prefix begins the names of the vendor's headers: "x-cos-".
	Prefix() string
	// Operations are the calls that are served; of several that fit a request
	// the first is meant.
	Operations() []Operation
	// Limits are what the vendor's documents say.
	Limits() Limits
	// Key is the name of the object a request is about, "" for the bucket's own.
	// A bucket that is not there is refused.
	Key(r *http.Request) (string, error)
	// Verify checks that the request is signed for this moment.
	Verify(r *http.Request, now time.Time) error
	// Source is the object of the bucket that a header of a copy's source names.
	Source(header string) (key string, err error)
	// Translate gives the vendor's error for S3's.
	Translate(e *Error) *Error
	// Failure is the document that says e.
	Failure(e *Error, r *http.Request, requestID string) []byte
}

// Limits are sizes in bytes, and numbers.
type Limits struct {
	Key      int   // of a name
	Put      int64 // of an object in one request
	MinPart  int64 // of every part but the last
	MaxPart  int64
	MaxParts int
	// MinRange is the least of an object that is copied to a part.
	MinRange int64
	// LateErrors says that a copy and a completion that fail while they run are
	// answered with 200 and the error as the body.
	LateErrors bool
}

// Error is a refusal.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// Refuse makes an Error.
func Refuse(status int, code, format string, args ...any) error {
	return &Error{status, code, fmt.Sprintf(format, args...)}
}

// Config is what a Front is made of.
type Config struct {
	Vendor   Vendor
	Upstream Upstream
	// Spool is a folder for bodies; "" is the system's.
	Spool string
	// Now is the vendor's clock; nil is this machine's.
	Now func() time.Time
}

// Front is the handler. Close removes what it spooled.
type Front struct {
	Config
	sums    checksums
	uploads uploads
	serial  atomic.Int64
	failing atomic.Int64

	versioning atomic.Pointer[Versioning]

	mu    sync.Mutex
	calls map[Name]int
}

// New makes a Front.
func New(c Config) *Front {
	f := &Front{Config: c, calls: map[Name]int{}}
	f.Upstream.transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	if f.Now == nil {
		f.Now = time.Now
	}
	f.sums.known = map[string]checksum{}
	f.uploads.open = map[string]*upload{}
	return f
}

// Calls is how many calls of a kind passed all checks.
func (f *Front) Calls(n Name) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[n]
}

// FailLate has the next n copies and completions fail while they run.
func (f *Front) FailLate(n int64) { f.failing.Store(n) }

// Close removes what was spooled for uploads that nobody finished, and ends the
// idle connections upstream.
func (f *Front) Close() error {
	f.Upstream.transport.CloseIdleConnections()
	return f.uploads.close()
}

// call is a request that passed all checks.
type call struct {
	*http.Request
	op     Operation
	key    string
	source string // of a copy
}

// ServeHTTP is http.Handler's.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := fmt.Sprintf("%024X", f.serial.Add(1))
	w.Header().Set(f.Vendor.Prefix()+"request-id", id)
	w.Header().Set("Date", f.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Server", "front")
	err := f.serve(w, r)
	if err == nil {
		return
	}
	// What is left of the body is read, so that the answer is and not a reset.
	_, _ = io.Copy(io.Discard, r.Body) // the answer is the same
	var refused *Error
	if !errors.As(err, &refused) {
		refused = &Error{http.StatusInternalServerError, "InternalError", err.Error()}
	}
	f.fail(w, r, refused, id)
}

func (f *Front) fail(w http.ResponseWriter, r *http.Request, e *Error, id string) {
	body := f.Vendor.Failure(e, r, id)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(cmp.Or(e.Status, http.StatusInternalServerError))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone hears nothing
	}
}

// serve checks a request and answers it; an error is not answered yet.
func (f *Front) serve(w http.ResponseWriter, r *http.Request) error {
	key, err := f.Vendor.Key(r)
	if err != nil {
		return err
	}
	if err := f.Vendor.Verify(r, f.Now()); err != nil {
		return err
	}
	c, err := f.checked(r, key)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.calls[c.op.Name]++
	f.mu.Unlock()
	if slices.Contains(carriedOut, c.op.Name) {
		c.Request = r.WithContext(context.WithoutCancel(r.Context()))
	}
	switch c.op.Name {
	case PutObject:
		return f.put(w, c)
	case GetObject, HeadObject:
		return f.read(w, c)
	case ListObjects:
		return f.list(w, c)
	case GetBucketVersioning:
		return f.getVersioning(w)
	case DeleteObjects:
		return f.deleteObjects(w, c)
	case CopyObject:
		return f.copyObject(w, c)
	case InitiateMultipartUpload:
		return f.initiate(w, c)
	case UploadPart:
		return f.uploadPart(w, c)
	case UploadPartCopy:
		return f.copyPart(w, c)
	case CompleteMultipartUpload:
		return f.complete(w, c)
	case AbortMultipartUpload:
		return f.abort(w, c)
	case ListMultipartUploads:
		return f.listUploads(w, c)
	}
	return f.pass(w, c)
}
