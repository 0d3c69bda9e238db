package cos_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
)

// halves are two objects and what becomes of them.
var halves = map[string]string{
	"/p/" + string(other): strings.Repeat("a", 2<<20),
	"/p/" + string(third): strings.Repeat("b", 1<<20),
}

const third = store.Key("00000001/2123456789abcdef0123456789abcdef")

var whole = halves["/p/"+string(other)] + halves["/p/"+string(third)]

// joiner is a service in which one composition can be made.
type joiner struct {
	sum  string // of what is made; "" for the right one
	copy func(w http.ResponseWriter)
	done http.HandlerFunc
	made bool
}

func (j *joiner) answer(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && q.Has("uploadId"):
		fmt.Fprint(w, "<ListPartsResult></ListPartsResult>")
	case r.Method == http.MethodPut && j.copy != nil:
		j.copy(w)
	case r.Method == http.MethodPut:
		fmt.Fprint(w, `<CopyPartResult><ETag>"part"</ETag></CopyPartResult>`)
	case r.Method == http.MethodPost && j.done != nil:
		j.done(w, r)
	case r.Method == http.MethodPost:
		j.made = true
		fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"x-2"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodDelete:
		j.made = false
		w.WriteHeader(http.StatusNoContent)
	case halves[r.URL.Path] != "":
		object(w, r, halves[r.URL.Path], sum(halves[r.URL.Path]))
	case r.URL.Path == path && j.made:
		s := j.sum
		if s == "" {
			s = sum(whole)
		}
		object(w, r, whole, s)
	case r.URL.Path != "/":
		failing(http.StatusNotFound, "NoSuchKey", "x")(w, r)
	}
}

func (j *joiner) compose(t *testing.T) (*service, bool, error) {
	t.Helper()
	s := serve(t, j.answer)
	verified, err := s.Compose(t.Context(), key, "an id & more", []store.Piece{{Key: other, Length: 2 << 20}, {Key: third, Length: 1 << 20}})
	return s, verified, err
}

func TestComposeIsVerified(t *testing.T) {
	j := &joiner{}
	s, verified, err := j.compose(t)
	if err != nil || !verified {
		t.Errorf("verified %v, %v", verified, err)
	}
	for _, r := range s.seen {
		if r.Method == http.MethodPut {
			host := r.Host
			h := r.Header
			from := strings.TrimPrefix(h.Get("X-Cos-Copy-Source"), host)
			if halves[from] == "" || h.Get("X-Cos-Copy-Source-If-Match") != `"`+sum(halves[from])+`"` ||
				h.Get("X-Cos-Copy-Source-Range") != fmt.Sprintf("bytes=0-%d", len(halves[from])-1) {
				t.Errorf("a copy that is not pinned: %v", h)
			}
		}
		if r.Method == http.MethodPost && r.Header.Get("X-Cos-Forbid-Overwrite") != "true" {
			t.Errorf("may be made over another: %v", r.Header)
		}
		if q := r.URL.Query(); q.Has("uploadId") && q.Get("uploadId") != "an id & more" {
			t.Errorf("another upload: %s", r.URL.RawQuery)
		}
	}
	j = &joiner{sum: sum("other bytes")}
	if _, _, err := j.compose(t); !errors.Is(err, store.ErrDamaged) || j.made {
		t.Errorf("of another checksum: %v, and it stays: %v", err, j.made)
	}
	j = &joiner{sum: "no number"}
	if _, verified, err := j.compose(t); err != nil || verified || !j.made {
		t.Errorf("of no checksum: verified %v, %v", verified, err)
	}
}

// TestSuccessThatIsNone: what fails while it runs was answered with 200 before.
func TestSuccessThatIsNone(t *testing.T) {
	for what, body := range map[string]string{
		"an error": "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>",
		"nothing":  "", "no document": "oops", "no tag": "<CopyPartResult></CopyPartResult>", "spaces": "   ",
	} {
		j := &joiner{copy: func(w http.ResponseWriter) { _, _ = io.WriteString(w, body) }}
		if _, _, err := j.compose(t); err == nil || errors.Is(err, store.ErrNotFound) || j.made {
			t.Errorf("%s for a copy: %v", what, err)
		}
		j = &joiner{done: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }}
		if _, _, err := j.compose(t); err == nil || errors.Is(err, store.ErrNotFound) || strings.Contains(err.Error(), "[60") {
			t.Errorf("%s for a completion: %v", what, err)
		}
	}
}

// TestLostAnswer: what was made before is not made again, and is no error.
func TestLostAnswer(t *testing.T) {
	j := &joiner{}
	j.done = func(w http.ResponseWriter, r *http.Request) {
		j.made = true
		failing(http.StatusNotFound, "NoSuchUpload", "x")(w, r)
	}
	if _, verified, err := j.compose(t); err != nil || !verified {
		t.Errorf("verified %v, %v", verified, err)
	}
	j = &joiner{done: failing(http.StatusNotFound, "NoSuchUpload", "x")}
	if _, _, err := j.compose(t); !errors.Is(err, store.ErrNotBegun) {
		t.Errorf("of an upload that is gone: %v", err)
	}
	wantErr(t, "abandon what is gone", serve(t, failing(http.StatusNotFound, "NoSuchUpload", "x")).AbandonCompose(t.Context(), key, "id"), nil)
}

// TestBegin sends no header that is not documented, though the SDK makes one of
// what it was not given.
func TestBegin(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>")
	})
	id, err := s.BeginCompose(t.Context(), key)
	if err != nil || id != "one" {
		t.Errorf("%q, %v", id, err)
	}
	for h := range s.seen[0].Header {
		switch h {
		case "Authorization", "Content-Length", "Content-Type", "User-Agent":
		default:
			t.Errorf("header %s", h)
		}
	}
	if _, err := serve(t, func(http.ResponseWriter, *http.Request) {}).BeginCompose(t.Context(), key); err == nil {
		t.Error("began without an id")
	}
}

// TestUnfinishedInPages: keys come encoded, and only ospd's own are told.
func TestUnfinishedInPages(t *testing.T) {
	upload := func(name, id string) string {
		return fmt.Sprintf("<Upload><Key>%s</Key><UploadId>%s</UploadId><Initiated>2019-05-24T10:56:40.000Z</Initiated></Upload>", name, id)
	}
	page := func(more bool, key, id string, uploads ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "<ListMultipartUploadsResult><IsTruncated>%v</IsTruncated><NextKeyMarker>%s</NextKeyMarker><NextUploadIdMarker>%s</NextUploadIdMarker>%s</ListMultipartUploadsResult>",
				more, key, id, strings.Join(uploads, ""))
		}
	}
	encoded := func(k store.Key) string { return "p%2F" + strings.ReplaceAll(string(k), "/", "%2F") }
	pages := []http.HandlerFunc{page(true, encoded(key), "1", upload(encoded(key), "1")), page(false, "", "", upload(encoded(key), "2"), upload("p%2Fx", "3"), upload(encoded(other), "4"))}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		pages[0](w, r)
		pages = pages[1:]
	})
	var got []string
	for u, err := range s.Unfinished(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(u.Key)+" "+string(u.ID)+" "+u.Begun.Format(time.DateOnly))
	}
	want := []string{string(key) + " 1 2019-05-24", string(key) + " 2 2019-05-24", string(other) + " 4 2019-05-24"}
	if !slices.Equal(got, want) {
		t.Errorf("unfinished %q", got)
	}
	if q := s.seen[1].URL.Query(); q.Get("key-marker") != "p/"+string(key) || q.Get("upload-id-marker") != "1" || q.Get("prefix") != "p/" {
		t.Errorf("went on with %v", q)
	}
	for what, answer := range map[string]http.HandlerFunc{
		"goes on from nowhere": page(true, "", ""), "not encoded": page(false, "", "", upload("%zz", "1")),
		"no time": page(false, "", "", "<Upload><Key>"+encoded(key)+"</Key><UploadId>1</UploadId></Upload>"),
	} {
		if err := walked(serve(t, answer).Unfinished(t.Context())); err == nil {
			t.Errorf("a listing that is wrong: %s", what)
		}
	}
}

// TestComposeGoesOn: parts that are there are not made again, however many pages
// they are listed on.
func TestComposeGoesOn(t *testing.T) {
	j := &joiner{}
	part := func(n int, size int) string {
		return fmt.Sprintf(`<Part><PartNumber>%d</PartNumber><ETag>"part"</ETag><Size>%d</Size></Part>`, n, size)
	}
	copies := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case r.Method == http.MethodGet && q.Get("part-number-marker") == "0":
			fmt.Fprint(w, "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>"+part(1, 2<<20)+"</ListPartsResult>")
		case r.Method == http.MethodGet && q.Get("part-number-marker") == "1":
			fmt.Fprint(w, "<ListPartsResult>"+part(2, 77)+"</ListPartsResult>") // of another size
		default:
			if r.Method == http.MethodPut {
				copies++
			}
			j.answer(w, r)
		}
	})
	verified, err := s.Compose(t.Context(), key, "id", []store.Piece{{Key: other, Length: 2 << 20}, {Key: third, Length: 1 << 20}})
	if err != nil || !verified || copies != 1 {
		t.Errorf("verified %v, %v, after %d copies", verified, err, copies)
	}
	s = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker></ListPartsResult>")
	})
	if _, err := s.Compose(t.Context(), key, "id", []store.Piece{{Key: other, Length: 1}}); err == nil || len(s.requests()) != 1 {
		t.Errorf("parts that go on for ever: %v", err)
	}
}
