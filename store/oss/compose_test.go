package oss_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/store"
)

// join is a service in which one composition can be made.
type join struct {
	mu      sync.Mutex
	objects map[string]string
	parts   map[string]string // answers to parts by number
	done    http.HandlerFunc  // answers a completion
	result  string
	over    bool // the composition was completed
}

func (j *join) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodDelete && !q.Has("uploadId"):
		delete(j.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && q.Has("uploadId") && j.over:
		failing(http.StatusNotFound, "NoSuchUpload", "")(w, r)
	case r.Method == http.MethodGet && q.Has("uploadId"):
		fmt.Fprint(w, "<ListPartsResult></ListPartsResult>")
	case r.Method == http.MethodPut && q.Has("partNumber"):
		w.Header().Set("Etag", `"part"`)
		if r.Header.Get("X-Oss-Copy-Source") != "" {
			fmt.Fprint(w, j.part(q.Get("partNumber")))
		}
	case r.Method == http.MethodPost && q.Has("uploadId"):
		if j.done != nil {
			j.done(w, r)
			return
		}
		j.objects[r.URL.Path], j.over = j.result, true
		fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"x-2"</ETag></CompleteMultipartUploadResult>`)
	default:
		holding(j.objects)(w, r)
	}
}

func (j *join) part(n string) string {
	if a, ok := j.parts[n]; ok {
		return a
	}
	return `<CopyPartResult><ETag>"part"</ETag></CopyPartResult>`
}

var (
	first  = strings.Repeat("a", 200_000)
	second = strings.Repeat("b", 150_000)
	third  = store.Key("00000002/2123456789abcdef0123456789abcdef")
	pieces = []store.Piece{{Key: other, Length: 200_000}, {Key: third, Length: 150_000}}
)

// joining is a service with the sources of pieces.
func joining(t *testing.T, change func(*join)) (*service, *join) {
	j := &join{objects: map[string]string{"/files/" + string(other): first, "/files/" + string(third): second}, result: first + second}
	if change != nil {
		change(j)
	}
	return serve(t, j.ServeHTTP), j
}

func TestComposeIsVerifiedByFoldedSums(t *testing.T) {
	for _, c := range []struct {
		name     string
		pieces   []store.Piece
		result   string
		verified bool
		want     error
	}{
		{"whole objects", pieces, first + second, true, nil},
		{"in another order", []store.Piece{pieces[1], pieces[0]}, second + first, true, nil},
		{"other bytes", pieces, first + second[1:] + "c", false, store.ErrDamaged},
		{"swapped", pieces, second + first, false, store.ErrDamaged},
		{"a range, of which there is no sum", []store.Piece{{Key: other, Offset: 1, Length: 199_999}, pieces[1]}, first[1:] + second, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, j := joining(t, func(j *join) { j.result = c.result })
			verified, err := s.Compose(t.Context(), key, "id", c.pieces)
			if verified != c.verified || !errors.Is(err, c.want) {
				t.Errorf("%t, %v, want %t, %v", verified, err, c.verified, c.want)
			}
			if _, visible := j.objects[place]; visible != (c.want == nil) {
				t.Errorf("visible: %t", visible)
			}
			if c.want != nil {
				return
			}
			// Again, as after a lost answer, and then without the sources.
			n := len(s.requests())
			if verified, err := s.Compose(t.Context(), key, "id", c.pieces); verified != c.verified || err != nil {
				t.Errorf("again: %t, %v", verified, err)
			}
			maps.DeleteFunc(j.objects, func(name, _ string) bool { return name != place })
			if verified, err := s.Compose(t.Context(), key, "id", c.pieces); verified || err != nil {
				t.Errorf("without sources: %t, %v", verified, err)
			}
			wantReads(t, s.requests()[n:])
		})
	}
}

// wantReads makes sure that requests only asked.
func wantReads(t *testing.T, requests []string) {
	t.Helper()
	for _, r := range requests {
		if !strings.HasPrefix(r, "HEAD ") && !(strings.HasPrefix(r, "GET ") && strings.Contains(r, "uploadId=")) {
			t.Errorf("something was done: %s", r)
		}
	}
}

func TestSuccessWithAnErrorInsideIsNone(t *testing.T) {
	const bad = "<Error><Code>InternalError</Code><Message>sorry</Message></Error>"
	for name, change := range map[string]func(*join){
		"error in a copy":        func(j *join) { j.parts = map[string]string{"2": bad} },
		"no ETag of a copy":      func(j *join) { j.parts = map[string]string{"2": "<CopyPartResult></CopyPartResult>"} },
		"empty answer to a copy": func(j *join) { j.parts = map[string]string{"2": ""} },
		"error in a completion":  func(j *join) { j.done = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, bad) } },
		"a completion without an object": func(j *join) {
			j.done = func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"x-2"</ETag></CompleteMultipartUploadResult>`)
			}
		},
		"no answer to a completion": func(j *join) { j.done = func(http.ResponseWriter, *http.Request) {} },
	} {
		s, j := joining(t, change)
		if _, err := s.Compose(t.Context(), key, "id", pieces); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		// What failed can be gone on with.
		j.mu.Lock()
		j.parts, j.done = nil, nil
		j.mu.Unlock()
		if verified, err := s.Compose(t.Context(), key, "id", pieces); !verified || err != nil {
			t.Errorf("%s: then %t, %v", name, verified, err)
		}
	}
}

func TestALostCompletionIsFound(t *testing.T) {
	for _, code := range []string{"NoSuchUpload", "FileAlreadyExists"} {
		s, j := joining(t, nil)
		j.done = func(w http.ResponseWriter, r *http.Request) {
			j.objects[r.URL.Path] = j.result
			failing(http.StatusNotFound, code, "")(w, r)
		}
		if verified, err := s.Compose(t.Context(), key, "id", pieces); !verified || err != nil {
			t.Errorf("%s: %t, %v", code, verified, err)
		}
	}
	s, _ := joining(t, func(j *join) { j.done = failing(http.StatusNotFound, "NoSuchUpload", "") })
	if _, err := s.Compose(t.Context(), key, "id", pieces); !errors.Is(err, store.ErrNotBegun) {
		t.Errorf("an upload that is gone: %v", err)
	}
}

func TestPiecesThatCannotBeJoined(t *testing.T) {
	s, _ := joining(t, nil)
	many := slices.Repeat([]store.Piece{{Key: other, Length: 5 << 30}}, 10_001)
	if _, err := s.Compose(t.Context(), key, "id", many); !errors.Is(err, store.ErrPieces) {
		t.Errorf("too many parts: %v", err)
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	if _, err := s.Compose(t.Context(), key, "id", []store.Piece{{Key: other, Offset: 1, Length: 200_000}}); !errors.Is(err, store.ErrRange) {
		t.Errorf("a source that is too short: %v", err)
	}
	if _, err := s.Compose(t.Context(), key, "id", []store.Piece{{Key: key, Length: 1}}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a source that is not there: %v", err)
	}
	wantReads(t, s.requests())
}
