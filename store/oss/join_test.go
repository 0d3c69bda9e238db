package oss_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
)

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

// TestAPartOfNothing has a length, which the SDK would not tell of a reader.
func TestAPartOfNothing(t *testing.T) {
	s, j := joining(t, func(j *join) { j.result = "" })
	if verified, err := s.Compose(t.Context(), key, "id", []store.Piece{{Key: other, Offset: 7}}); err != nil || verified {
		t.Errorf("%t, %v", verified, err)
	}
	if _, made := j.objects[place]; !made {
		t.Error("no object was made")
	}
	for _, r := range s.seen {
		if r.Method == http.MethodPut && (r.ContentLength != 0 || len(r.TransferEncoding) > 0) {
			t.Errorf("sent %d bytes, %q", r.ContentLength, r.TransferEncoding)
		}
	}
}

// TestComposeGoesOn: parts that are there are not made again, however many pages
// they are listed on; those of another size, or that cannot be named, are.
func TestComposeGoesOn(t *testing.T) {
	_, j := joining(t, nil)
	part := func(n, size int, tag string) string {
		return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Size>%d</Size></Part>", n, tag, size)
	}
	const goesOn = "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>%s</ListPartsResult>"
	for _, c := range []struct {
		what   string
		second string
		copies int
	}{
		{"all there", part(2, 150_000, `"part"`), 0},
		{"another size", part(2, 77, `"part"`), 1},
		{"no tag", part(2, 150_000, ""), 1},
	} {
		delete(j.objects, place)
		j.over = false
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			switch {
			case r.Method == http.MethodGet && q.Get("part-number-marker") == "0":
				fmt.Fprintf(w, goesOn, part(1, 200_000, `"part"`))
			case r.Method == http.MethodGet && q.Get("part-number-marker") == "1":
				fmt.Fprint(w, "<ListPartsResult>"+c.second+"</ListPartsResult>")
			default:
				j.ServeHTTP(w, r)
			}
		})
		verified, err := s.Compose(t.Context(), key, "id", pieces)
		copies := 0
		for _, r := range s.requests() {
			if strings.HasPrefix(r, "PUT ") {
				copies++
			}
		}
		if err != nil || !verified || copies != c.copies {
			t.Errorf("%s: %t, %v, after %d copies, want %d", c.what, verified, err, copies, c.copies)
		}
	}
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, strings.Replace(goesOn, ">1<", ">0<", 1), "")
	})
	if _, err := s.Compose(t.Context(), key, "id", pieces); err == nil || len(s.requests()) != 1 {
		t.Errorf("parts that go on for ever: %v", err)
	}
}
