package oss

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Manners has a front do what of all vendors only OSS does: a range that is not
// in the object counts for nothing, texts are compressed on their way, and an
// error of a HEAD is told in a header.
func Manners(front http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		doc := &failed{}
		r = r.WithContext(context.WithValue(r.Context(), failedKey{}, doc))
		if spec := r.Header.Get("Range"); spec != "" && r.Method == http.MethodGet && r.Header.Get("X-Oss-Range-Behavior") != "standard" {
			look := &looked{header: http.Header{}}
			front.ServeHTTP(look, r)
			if look.beyond(spec) {
				r.Header.Del("Range")
			}
		}
		switch {
		case r.Method == http.MethodHead:
			w = &telling{ResponseWriter: w, doc: doc}
		case r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
			c := &compressing{ResponseWriter: w}
			defer c.end()
			w = c
		}
		front.ServeHTTP(w, r)
	})
}

type failedKey struct{}

// failed is the document that says an error.
type failed struct{ body []byte }

// remember keeps the document of the error that answers r.
func remember(r *http.Request, body []byte) {
	if doc, ok := r.Context().Value(failedKey{}).(*failed); ok {
		doc.body = body
	}
}

// telling tells an error in a header, where there is no body to tell it in.
type telling struct {
	http.ResponseWriter
	doc *failed
}

func (w *telling) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		w.Header().Set("X-Oss-Err", base64.StdEncoding.EncodeToString(w.doc.body))
	}
	w.ResponseWriter.WriteHeader(status)
}

// looked is an answer that nobody gets.
type looked struct {
	header http.Header
	status int
}

func (w *looked) Header() http.Header         { return w.header }
func (w *looked) WriteHeader(status int)      { w.status = status }
func (w *looked) Write(p []byte) (int, error) { return len(p), nil }

// beyond reports whether the range asked for is not wholly in the object.
func (w *looked) beyond(spec string) bool {
	var from, to, size, last int64
	if w.status == http.StatusRequestedRangeNotSatisfiable {
		return true
	}
	if _, err := fmt.Sscanf(w.header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &size); err != nil {
		return false
	}
	_, end, _ := strings.Cut(spec, "-")
	last, err := strconv.ParseInt(end, 10, 64)
	return err == nil && last > to
}

// texts are the media types that OSS compresses, of 1 KB and more.
var texts = []string{
	"text/plain", "text/html", "text/css", "text/xml", "application/json", "application/xml", "application/javascript", "application/x-javascript",
}

// compressing compresses texts. Their length and ETag are not told then.
type compressing struct {
	http.ResponseWriter
	gz *gzip.Writer
}

func (w *compressing) WriteHeader(status int) {
	h := w.Header()
	size, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if status == http.StatusOK && err == nil && size >= 1<<10 && slices.Contains(texts, h.Get("Content-Type")) && h.Get("Content-Encoding") == "" {
		for _, name := range []string{"Content-Length", "Etag", "Accept-Ranges"} {
			h.Del(name)
		}
		h.Set("Content-Encoding", "gzip")
		w.gz = gzip.NewWriter(w.ResponseWriter)
	}
	w.ResponseWriter.WriteHeader(status)
	if w.gz != nil {
		_ = http.NewResponseController(w.ResponseWriter).Flush() // or a length would be told of what is short
	}
}

func (w *compressing) Write(p []byte) (int, error) {
	if w.gz != nil {
		return w.gz.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// end writes what is left; a client that is gone hears nothing.
func (w *compressing) end() {
	if w.gz != nil {
		_ = w.gz.Close()
	}
}
