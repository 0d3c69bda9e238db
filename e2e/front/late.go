package front

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// running is what becomes of a copy or a completion while it runs, if a test
// has it fail.
func (f *Front) running() error {
	for n := f.failing.Load(); n > 0; n = f.failing.Load() {
		if f.failing.CompareAndSwap(n, n-1) {
			return Refuse(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
		}
	}
	return nil
}

// late answers 200 with the error as the body, where the vendor does so of what
// fails while it runs.
func (f *Front) late(w http.ResponseWriter, c *call, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Status < 500 || !f.Vendor.Limits().LateErrors {
		return err
	}
	return write(w, f.Vendor.Failure(e, c.Request, w.Header().Get(f.Vendor.Prefix()+"request-id")))
}

func write(w http.ResponseWriter, body []byte) error {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write(body); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// copySource is what S3 takes for a source.
func (f *Front) copySource(key string) string {
	return strings.ReplaceAll(url.PathEscape("/"+f.Upstream.Bucket+"/"+key), "%2F", "/")
}
