package cos_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
)

func TestCheck(t *testing.T) {
	at := func(skew time.Duration, next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
			next(w, r)
		}
	}
	empty := marked("", nil)
	for _, c := range []struct {
		what   string
		answer http.HandlerFunc
		want   error
		says   string
	}{
		{"all is well", empty, nil, ""},
		{"wrong secret", failing(403, "SignatureDoesNotMatch", "x"), store.ErrDenied, "look at secret_key"},
		{"unknown account", failing(403, "InvalidAccessKeyId", "x"), store.ErrDenied, "look at secret_id"},
		{"no permission", failing(403, "AccessDenied", "Access Denied."), store.ErrDenied, "what the account may do"},
		{"no bucket", failing(404, "NoSuchBucket", "x"), store.ErrNoBucket, "look at url"},
		{"another place", failing(301, "PermanentRedirect", "x"), store.ErrRegion, "look at url"},
		{"clock behind", at(2*time.Hour, failing(403, "AccessDenied", "Request has expired")), store.ErrClock, "behind the storage's"},
		{"clock ahead", at(-time.Hour, failing(403, "RequestTimeTooSkewed", "x")), store.ErrClock, "set this machine's clock"},
		{"clock not right", at(10*time.Minute, empty), store.ErrClock, "set this machine's clock"},
		{"not COS", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Del("X-Cos-Request-Id")
			empty(w, r)
		}, store.ErrUnsupported, "at url is not COS"},
	} {
		s := serve(t, c.answer)
		err := s.Check(t.Context())
		wantErr(t, c.what, err, c.want)
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %q", c.what, err, c.says)
		}
		asked := []string{"GET /?encoding-type=url&max-keys=1&prefix=p%2F"}
		if c.want == nil {
			asked = append(asked, "GET /?versioning", "GET /p/OSPD-STORE")
		}
		if !slices.Equal(s.requests(), asked) {
			t.Errorf("%s: asked %q", c.what, s.requests())
		}
	}
	b := backend(t, "http://127.0.0.1:1") // where nobody listens
	if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "look at url") {
		t.Errorf("unreachable: %v", err)
	}
	if _, err := b.Mark(t.Context()); err == nil || !strings.Contains(err.Error(), "look at url") {
		t.Errorf("unreachable, its mark: %v", err)
	}
}

// marked answers as a bucket with that mark, or none, which answers put where
// the mark is put again; its versioning is answered like that, with none of nil.
func marked(mark string, put http.HandlerFunc, versioning ...http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Has("versioning") && len(versioning) > 0:
			versioning[0](w, r)
		case r.URL.Query().Has("versioning"):
			_, _ = io.WriteString(w, "<VersioningConfiguration/>")
		case r.URL.Path == "/":
			_, _ = io.WriteString(w, "<ListBucketResult></ListBucketResult>")
		case r.Method == http.MethodPut:
			put(w, r)
		case mark == "":
			failing(404, "NoSuchKey", "x")(w, r)
		default:
			object(w, r, mark, sum(mark))
		}
	}
}

// TestCheckTriesTheMarkAgain: that what is there is kept is seen by the mark, and
// by the versioning of the bucket for who may know it.
func TestCheckTriesTheMarkAgain(t *testing.T) {
	versions := func(status string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<VersioningConfiguration><Status>"+status+"</Status></VersioningConfiguration>")
		}
	}
	none := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<VersioningConfiguration/>") }
	keeps := failing(409, "FileAlreadyExists", "x")
	replaces := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Cos-Hash-Crc64ecma", sum("one")) }
	for _, c := range []struct {
		what            string
		versioning, put http.HandlerFunc
		want            error
		says            string
		puts            int
	}{
		{"kept", none, keeps, nil, "", 1},
		{"kept, and versioning not to be seen", failing(403, "AccessDenied", "x"), keeps, nil, "", 1},
		{"kept, and versioning not known of", failing(501, "NotImplemented", "x"), keeps, nil, "", 1},
		{"replaced", none, replaces, store.ErrUnsupported, "replaces an object", 1},
		{"replaced, and versioning not to be seen", failing(403, "AccessDenied", "x"), replaces, store.ErrUnsupported, "has versioning", 1},
		{"may not be written", none, failing(403, "AccessDenied", "x"), store.ErrDenied, "what the account may do", 1},
		{"versioned", versions("Enabled"), keeps, store.ErrUnsupported, "versioning of the bucket is Enabled", 0},
		{"once versioned", versions("Suspended"), keeps, store.ErrUnsupported, "never had versioning", 0},
		{"versioning not told of", failing(500, "InternalError", "x"), keeps, nil, "InternalError", 0},
	} {
		s := serve(t, marked("one", c.put, c.versioning))
		err := s.Check(t.Context())
		if c.want != nil {
			wantErr(t, c.what, err, c.want)
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %q", c.what, err, c.says)
		}
		puts := 0
		for i, r := range s.seen {
			if r.Method == http.MethodPut {
				puts++
				if r.URL.Path != "/p/OSPD-STORE" || r.Header.Get("X-Cos-Forbid-Overwrite") != "true" || s.sent[i] != len("one") {
					t.Errorf("%s: %s with %v and %d bytes", c.what, r.URL.Path, r.Header, s.sent[i])
				}
			}
		}
		if puts != c.puts {
			t.Errorf("%s: %d puts", c.what, puts)
		}
	}
}

// TestMarkIsReadBack: a mark that reads otherwise, or is not kept, is none to
// begin a store with.
func TestMarkIsReadBack(t *testing.T) {
	for _, c := range []struct {
		what, reads string
		keeps       bool
		want        error
	}{
		{"right", "one", true, nil},
		{"reads back otherwise", "two", true, store.ErrUnsupported},
		{"replaced", "one", false, store.ErrUnsupported},
	} {
		there := ""
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			marked(there, func(w http.ResponseWriter, r *http.Request) {
				if there != "" && c.keeps {
					failing(409, "FileAlreadyExists", "x")(w, r)
					return
				}
				there = c.reads
				w.Header().Set("X-Cos-Hash-Crc64ecma", sum("one"))
			})(w, r)
		})
		wantErr(t, c.what, s.SetMark(t.Context(), "one"), c.want)
		if got := len(s.requests()); (got != 4) != (c.what == "reads back otherwise") {
			t.Errorf("%s: %q", c.what, s.requests())
		}
	}
}

// TestMarkGetsAName: a mark from before marks had the store's name is replaced,
// and no other is.
func TestMarkGetsAName(t *testing.T) {
	there := "one"
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		marked(there, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Cos-Forbid-Overwrite") != "" {
				failing(409, "FileAlreadyExists", "x")(w, r)
				return
			}
			there = "one store"
			w.Header().Set("X-Cos-Hash-Crc64ecma", sum(there))
		})(w, r)
	})
	wantErr(t, "another's", s.SetMark(t.Context(), "two store"), store.ErrExists)
	wantErr(t, "first name", s.SetMark(t.Context(), "one store"), nil)
	wantErr(t, "second name", s.SetMark(t.Context(), "one other"), store.ErrExists)
	if m, err := s.Mark(t.Context()); m != "one store" || err != nil {
		t.Errorf("the mark is %q, %v", m, err)
	}
}
