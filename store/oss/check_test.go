package oss_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/oss"
)

// marked answers as a bucket with that mark and that versioning, which answers
// put where the mark is put again.
func marked(mark, versioning string, put http.HandlerFunc) http.HandlerFunc {
	objects := map[string]string{}
	if mark != "" {
		objects["/files/OSPD-STORE"] = mark
	}
	return func(w http.ResponseWriter, r *http.Request) {
		switch q := r.URL.Query(); {
		case q.Has("versioning") && versioning == "hidden":
			failing(http.StatusForbidden, "AccessDenied", "")(w, r)
		case q.Has("versioning"):
			fmt.Fprintf(w, "<VersioningConfiguration>%s</VersioningConfiguration>", versioning)
		case q.Has("list-type"):
			fmt.Fprint(w, "<ListBucketResult></ListBucketResult>")
		case r.Method == http.MethodPut:
			put(w, r)
		default:
			holding(objects)(w, r)
		}
	}
}

// TestCheckTriesTheMarkAgain: that what is there is kept is seen by the mark, and
// by the versioning of the bucket for who may know it.
func TestCheckTriesTheMarkAgain(t *testing.T) {
	keeps := failing(http.StatusConflict, "FileAlreadyExists", "")
	replaces := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Oss-Hash-Crc64ecma", sum("one")) }
	for _, c := range []struct {
		what, versioning string
		put              http.HandlerFunc
		want             error
		says             string
		puts             int
	}{
		{"kept", "", keeps, nil, "", 1},
		{"kept, and versioning not to be seen", "hidden", keeps, nil, "", 1},
		{"replaced", "", replaces, store.ErrUnsupported, "replaces an object", 1},
		{"replaced, and versioning not to be seen", "hidden", replaces, store.ErrUnsupported, "has versioning", 1},
		{"may not be written", "", failing(http.StatusForbidden, "AccessDenied", ""), store.ErrDenied, "check the permissions", 1},
		{"versioned", "<Status>Enabled</Status>", keeps, store.ErrUnsupported, "versioning of the bucket is Enabled", 0},
		{"once versioned", "<Status>Suspended</Status>", keeps, store.ErrUnsupported, "never had versioning", 0},
	} {
		s := serve(t, marked("one", c.versioning, c.put))
		err := s.Check(t.Context())
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
		puts := 0
		for _, r := range s.seen {
			if r.Method == http.MethodPut {
				puts++
				if r.URL.Path != "/files/OSPD-STORE" || r.Header.Get("X-Oss-Forbid-Overwrite") != "true" || string(r.body) != "one" {
					t.Errorf("%s: %s with %v and %q", c.what, r.URL.Path, r.Header, r.body)
				}
			}
		}
		if puts != c.puts {
			t.Errorf("%s: %d puts", c.what, puts)
		}
	}
}

func TestCheck(t *testing.T) {
	s := serve(t, marked("", "", nil))
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for _, line := range s.requests() {
		if !strings.HasPrefix(line, "GET ") {
			t.Errorf("check of a store without a mark changes something: %s", line)
		}
	}
	s = serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		failing(http.StatusForbidden, "RequestTimeTooSkewed", "")(w, r)
	})
	if err := s.Check(t.Context()); !errors.Is(err, store.ErrClock) || !strings.Contains(err.Error(), "1h0m") {
		t.Errorf("check with a clock that is an hour ahead: %v", err)
	}
	s = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat))
		fmt.Fprint(w, "<ListBucketResult></ListBucketResult>")
	})
	if err := s.Check(t.Context()); !errors.Is(err, store.ErrClock) {
		t.Errorf("check with a clock that is soon refused: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b := backend(t, oss.Config{Endpoint: "http://" + l.Addr().String()})
	if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "check endpoint") {
		t.Errorf("check of a service that is not there: %v", err)
	}
	if _, err := b.Mark(t.Context()); err == nil || !strings.Contains(err.Error(), "check endpoint") {
		t.Errorf("the mark of a service that is not there: %v", err)
	}
}
