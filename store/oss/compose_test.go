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
}

func (j *join) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodDelete && !q.Has("uploadId"):
		delete(j.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
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
		j.objects[r.URL.Path] = j.result
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
		{"fewer bytes", pieces, first, false, store.ErrDamaged},
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
			for _, r := range s.requests()[n:] {
				if !strings.HasPrefix(r, "HEAD ") {
					t.Errorf("a finished composition was worked on: %s", r)
				}
			}
		})
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

func TestCopiesAreOfWhatWasLookedAt(t *testing.T) {
	name := "photos/a b+c é.bin"
	s, j := joining(t, func(j *join) { j.objects["/files/"+name] = first })
	j.result = first + "xy" + second
	j.objects["/files/"+string(store.Key("00000003/3123456789abcdef0123456789abcdef"))] = "xyz"
	p := []store.Piece{
		{Key: store.ForeignKey(name), Length: 200_000},
		{Key: "00000003/3123456789abcdef0123456789abcdef", Length: 2},
		{Key: third, Length: 150_000},
	}
	if _, err := s.Compose(t.Context(), key, "id", p); err != nil {
		t.Fatal(err)
	}
	var copied, sent []string
	for _, r := range s.seen {
		if r.Method != http.MethodPut {
			continue
		}
		if src := r.Header.Get("X-Oss-Copy-Source"); src != "" {
			copied = append(copied, src+" "+r.Header.Get("X-Oss-Copy-Source-Range")+" "+r.Header.Get("X-Oss-Copy-Source-If-Match"))
		} else {
			sent = append(sent, fmt.Sprint(r.ContentLength, " ", r.TransferEncoding))
		}
	}
	slices.Sort(copied)
	want := []string{`/files/photos%2Fa%20b+c%20%C3%A9.bin bytes=0-199999 "` + sum(first) + `"`}
	if len(copied) == 0 || copied[len(copied)-1] != want[0] {
		t.Errorf("copied %q, want %q", copied, want)
	}
	// What is too short to be copied is sent with what follows it.
	if len(sent) != 1 || !strings.HasSuffix(sent[0], " []") {
		t.Errorf("sent %q", sent)
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
	for _, r := range s.requests() {
		if !strings.HasPrefix(r, "HEAD ") {
			t.Errorf("something was done: %s", r)
		}
	}
}

func TestAPartThatWasDamaged(t *testing.T) {
	j := &join{objects: map[string]string{"/files/" + string(other): "ab", "/files/" + string(third): "cd"}}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.Header().Set("X-Oss-Hash-Crc64ecma", sum("wrong"))
		}
		j.ServeHTTP(w, r)
	})
	_, err := s.Compose(t.Context(), key, "id", []store.Piece{{Key: other, Length: 2}, {Key: third, Length: 2}})
	if !errors.Is(err, store.ErrDamaged) {
		t.Errorf("%v", err)
	}
}
