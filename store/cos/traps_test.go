package cos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/cos"
)

// TestAnEndIsTheCallers: the SDK's error has no Unwrap, and hides it.
func TestAnEndIsTheCallers(t *testing.T) {
	for name, call := range calls {
		ctx, cancel := context.WithCancel(t.Context())
		s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		wantErr(t, name, call(ctx, s.Backend), context.Canceled)
		if n := len(s.requests()); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

// TestEachRequestIsTriedOnce: whoever calls tries again.
func TestEachRequestIsTriedOnce(t *testing.T) {
	for name, call := range calls {
		for what, answer := range map[string]http.HandlerFunc{
			"500":       failing(http.StatusInternalServerError, "InternalError", "x"),
			"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		} {
			s := serve(t, answer)
			err := call(t.Context(), s.Backend)
			var busy *store.BusyError
			if err == nil || errors.As(err, &busy) || errors.Is(err, store.ErrNotFound) || strings.Contains(err.Error(), secret) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if n := len(s.requests()); n != 1 {
				t.Errorf("%s, %s: %d requests", name, what, n)
			}
		}
	}
}

func TestPatience(t *testing.T) {
	for name, call := range calls {
		for _, status := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "7")
				failing(status, "SlowDown", "x")(w, r)
			})
			var busy *store.BusyError
			if err := call(t.Context(), s.Backend); !errors.As(err, &busy) || busy.After != 7*time.Second || len(s.requests()) != 1 {
				t.Errorf("%s, %d: %v after %d requests", name, status, err, len(s.requests()))
			}
		}
	}
}

// TestABucketIsNoObject: that the bucket is not there must not look like an
// object that is not, though the answer to a HEAD says not which.
func TestABucketIsNoObject(t *testing.T) {
	for name, call := range calls {
		s := serve(t, failing(http.StatusNotFound, "NoSuchBucket", "x"))
		err := call(t.Context(), s.Backend)
		wantErr(t, name, err, store.ErrNoBucket)
		if errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: taken for an object: %v", name, err)
		}
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			failing(http.StatusNotFound, "NoSuchKey", "x")(w, r)
		}
	})
	for _, name := range []string{"get", "get range", "get none", "stat", "describe", "mark"} {
		wantErr(t, name, calls[name](t.Context(), s.Backend), store.ErrNotFound)
	}
	wantErr(t, "delete", calls["delete"](t.Context(), s.Backend), nil)
	s = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			failing(http.StatusForbidden, "AccessDenied", "x")(w, r)
			return
		}
		failing(http.StatusNotFound, "NoSuchKey", "x")(w, r)
	})
	wantErr(t, "stat where the bucket may not be looked at", calls["stat"](t.Context(), s.Backend), store.ErrNotFound)
}

// TestNamesOfTheBucket: the SDK would ask for the bucket, or delete it.
func TestNamesOfTheBucket(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, name := range []string{".", "..", "/", "a/.."} {
		k := store.ForeignKey(name)
		wantErr(t, "delete "+name, s.Delete(t.Context(), k), store.ErrKey)
		wantErr(t, "get "+name, closed(s.Get(t.Context(), k, 0, -1)), store.ErrKey)
		wantErr(t, "stat "+name, second(s.Stat(t.Context(), k)), store.ErrKey)
		wantErr(t, "describe "+name, second(s.Describe(t.Context(), name)), store.ErrKey)
	}
	if r := s.requests(); len(r) > 0 {
		t.Errorf("asked: %q", r)
	}
}

// TestPutSendsALength: never in chunks, never compressed, never over another.
func TestPutSendsALength(t *testing.T) {
	for _, data := range []string{"", "x", strings.Repeat("many bytes ", 30_000)} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Cos-Hash-Crc64ecma", sum(data)) })
		// A reader that can do more is not taken for its length, or sought.
		if err := s.Put(t.Context(), key, io.MultiReader(strings.NewReader(data)), int64(len(data))); err != nil {
			t.Errorf("%d bytes: %v", len(data), err)
		}
		r := s.seen[0]
		if r.ContentLength != int64(len(data)) || len(r.TransferEncoding) > 0 || s.arrived()[0] != len(data) || r.URL.Path != path {
			t.Errorf("%d bytes: sent %s, %d announced, in %v", len(data), r.URL.Path, r.ContentLength, r.TransferEncoding)
		}
		if h := r.Header; h.Get("Accept-Encoding") != "" || h.Get("X-Cos-Forbid-Overwrite") != "true" || h.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%d bytes: headers %v", len(data), h)
		}
	}
}

// TestPutOfAnotherLength: COS would cut what is too long, and take it for whole.
func TestPutOfAnotherLength(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Cos-Hash-Crc64ecma", sum("abc")) })
	for _, data := range []string{"abcd", "ab", ""} {
		wantErr(t, data, s.Put(t.Context(), key, strings.NewReader(data), 3), store.ErrShort)
	}
	gone := errors.New("the client went away")
	err := s.Put(t.Context(), key, io.MultiReader(strings.NewReader("ab"), failingReader{gone}), 3)
	wantErr(t, "a reader that fails", err, gone)
	for i, n := range s.arrived() {
		if n >= 3 {
			t.Errorf("%s: all %d bytes arrived", s.requests()[i], n)
		}
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// TestPutComparesChecksums: what arrived otherwise does not stay.
func TestPutComparesChecksums(t *testing.T) {
	for _, c := range []struct{ what, sum string }{{"another", sum("abd")}, {"none", ""}, {"none that is a number", "x"}} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && c.sum != "" {
				w.Header().Set("X-Cos-Hash-Crc64ecma", c.sum)
			}
		})
		wantErr(t, c.what, s.Put(t.Context(), key, strings.NewReader("abc"), 3), store.ErrDamaged)
		if got := s.requests(); !slices.Equal(got, []string{"PUT " + path, "DELETE " + path}) {
			t.Errorf("%s: asked %q", c.what, got)
		}
	}
	s := serve(t, failing(http.StatusConflict, "FileAlreadyExists", "x"))
	wantErr(t, "a key that is taken", s.Put(t.Context(), key, strings.NewReader("abc"), 3), store.ErrExists)
	if got := s.requests(); len(got) != 1 {
		t.Errorf("a key that is taken: asked %q", got)
	}
	wantErr(t, "too much at once", s.Put(t.Context(), key, strings.NewReader(""), 5<<30+1), store.ErrUnsupported)
}

// TestGetIsExact: the SDK looks at nothing but the status.
func TestGetIsExact(t *testing.T) {
	ranged := func(said, data string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", said)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, data)
		}
	}
	for _, c := range []struct {
		what   string
		off, n int64
		answer http.HandlerFunc
		want   error
	}{
		{"whole", 0, -1, func(w http.ResponseWriter, r *http.Request) { object(w, r, "abcdef", sum("abcdef")) }, nil},
		{"whole, of another checksum", 0, -1, func(w http.ResponseWriter, r *http.Request) { object(w, r, "abcdef", sum("abcdeg")) }, store.ErrDamaged},
		{"whole, of no checksum", 0, -1, func(w http.ResponseWriter, r *http.Request) { object(w, r, "abcdef", "") }, nil},
		{"whole, of no length", 0, -1, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Cos-Hash-Crc64ecma", sum("abc"))
			_ = http.NewResponseController(w).Flush()
		}, store.ErrUnsupported},
		{"whole, cut", 0, -1, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Cos-Hash-Crc64ecma", sum("abc"))
			w.Header().Set("Content-Length", "6")
			_, _ = io.WriteString(w, "abc")
		}, io.ErrUnexpectedEOF},
		{"range", 1, 3, ranged("bytes 1-3/6", "bcd"), nil},
		{"to the end", 1, -1, ranged("bytes 1-5/6", "bcdef"), nil},
		{"range, cut by the storage", 1, 9, ranged("bytes 1-5/6", "bcdef"), store.ErrRange},
		{"range, another", 1, 3, ranged("bytes 2-4/6", "cde"), store.ErrUnsupported},
		{"range, none", 1, 3, ranged("", "bcd"), store.ErrUnsupported},
		{"range, and all of it", 1, 3, func(w http.ResponseWriter, r *http.Request) { object(w, r, "abcdef", sum("abcdef")) }, store.ErrUnsupported},
		{"range, past the end", 9, 3, failing(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "x"), store.ErrRange},
	} {
		s := serve(t, c.answer)
		r, err := s.Get(t.Context(), key, c.off, c.n)
		if err == nil {
			_, err = io.ReadAll(r)
			err = errors.Join(err, r.Close())
		}
		wantErr(t, c.what, err, c.want)
		if s.seen[0].Header.Get("Accept-Encoding") != "" {
			t.Errorf("%s: compression was asked for", c.what)
		}
	}
}

// TestListing: by the last name, which comes encoded, and in order.
func TestListing(t *testing.T) {
	entry := func(name string) string {
		return "<Contents><Key>" + name + "</Key><Size>3</Size><LastModified>2019-05-24T10:56:40.123Z</LastModified></Contents>"
	}
	listing := func(more bool, entries ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "<ListBucketResult><IsTruncated>%v</IsTruncated><NextMarker>of+no+use</NextMarker>%s</ListBucketResult>", more, strings.Join(entries, ""))
		}
	}
	pages := []http.HandlerFunc{listing(true, entry("a+b%2Fc"), entry("a%2Bb")), listing(false, entry("x"))}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		pages[0](w, r)
		pages = pages[1:]
	})
	var names []string
	for f, err := range s.Browse(t.Context(), "", "a") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"a b/c", "a+b", "x"}) {
		t.Errorf("names %q", names)
	}
	want := []string{"GET /?encoding-type=url&marker=a&max-keys=1000", "GET /?encoding-type=url&marker=a%2Bb&max-keys=1000"}
	if got := s.requests(); !slices.Equal(got, want) {
		t.Errorf("asked %q", got)
	}
	for what, answer := range map[string]http.HandlerFunc{
		"goes on with nothing": listing(true), "out of order": listing(false, entry("b"), entry("a")), "the same again": listing(true, entry("a")),
		"not encoded": listing(false, entry("a%zz")), "no time": listing(false, "<Contents><Key>a</Key></Contents>"),
	} {
		if err := walked(serve(t, answer).Browse(t.Context(), "", "")); err == nil {
			t.Errorf("a listing that is wrong: %s", what)
		}
	}
}

func TestURLs(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://files-1250000000.cos.ap-nanjing.myqcloud.com": true, "http://127.0.0.1:9000": true, "https://files-1250000000.cos.ap-nanjing.myqcloud.com/": true,
		"": false, "files-1250000000.cos.ap-nanjing.myqcloud.com": false, "ftp://x": false, "https://": false, "https://x/folder": false,
		"https://user:pass@x": false, "https://x?a=b": false, "https://_.myqcloud.com": false,
	} {
		_, err := cos.New(cos.Config{URL: text})
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "pass@") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
