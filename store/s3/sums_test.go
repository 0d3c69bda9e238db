package s3_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
)

// parts answers the requests for a part that is abandoned, by which a backend
// finds out whether the service sums up bodies; of others it is false.
func parts(w http.ResponseWriter, q request, sums bool) bool {
	switch {
	case strings.HasPrefix(q.line, "POST"):
		io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)
	case !strings.Contains(q.line, "uploadId="):
		return false
	case strings.HasPrefix(q.line, "DELETE"):
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("ETag", `"x"`)
		if _, sum, ok := strings.Cut(q.body, "x-amz-checksum-crc64nvme:"); ok && sums {
			w.Header().Set("X-Amz-Checksum-Crc64nvme", strings.TrimSpace(sum))
		}
	}
	return true
}

// keeping is a service that keeps one object, and takes a checksum behind it
// only where sums says so, and behind parts where partSums does.
type keeping struct {
	object         string
	sums, partSums bool
	status         int // of the refusal
	code           string
}

func (k *keeping) answer(w http.ResponseWriter, q request) {
	behind := q.header.Get("X-Amz-Trailer") != ""
	switch {
	case behind && strings.Contains(q.line, "uploadId=") && !k.partSums, behind && !strings.Contains(q.line, "uploadId=") && !k.sums:
		fails(w, k.status, k.code)
	case parts(w, q, k.partSums):
	case strings.Contains(q.line, "list-type"):
		io.WriteString(w, emptyListing)
	case strings.HasPrefix(q.line, "GET") && k.object == "":
		fails(w, 404, "NoSuchKey")
	case strings.HasPrefix(q.line, "GET"):
		describes(w, len(k.object))
		io.WriteString(w, k.object)
	case strings.Contains(q.line, "OSPD-STORE") && k.object != "":
		fails(w, 412, "PreconditionFailed")
	default:
		if k.object = q.body; behind {
			_, k.object, _ = strings.Cut(k.object, "\r\n")
			k.object, _, _ = strings.Cut(k.object, "\r\n")
		}
		w.Header().Set("ETag", `"x"`)
	}
}

// TestWhetherBodiesAreSummedIsAskedAtTheStart: of a store in use and of a new
// one, and of a service that takes sums behind parts alone, too.
func TestWhetherBodiesAreSummedIsAskedAtTheStart(t *testing.T) {
	for _, status := range []int{400, 411, 501} {
		code := map[int]string{400: "InvalidArgument", 411: "MissingContentLength", 501: "NotImplemented"}[status]
		for _, k := range []keeping{
			{sums: true, partSums: true}, {sums: false, partSums: true}, {sums: false, partSums: false},
		} {
			for _, mark := range []string{"", `{"installation":"one"}`} {
				k.object, k.status, k.code = mark, status, code
				what := fmt.Sprintf("%+v", k)
				b, s := serve(t, k.answer)
				if b.Note() != "" {
					t.Errorf("%s: noted before it was asked: %s", what, b.Note())
				}
				if err := b.Check(t.Context()); err != nil {
					t.Errorf("%s: check: %v", what, err)
				}
				if mark == "" {
					if err := b.SetMark(t.Context(), "one"); err != nil {
						t.Errorf("%s: set mark: %v", what, err)
					}
				}
				if noted := b.Note() != ""; noted != !k.sums {
					t.Errorf("%s: noted %q", what, b.Note())
				}
				if err := put(t, b, "hello"); err != nil || k.object != "hello" {
					t.Errorf("%s: put: %v, kept %q", what, err, k.object)
				}
				last := s.asked("PUT")[len(s.asked("PUT"))-1]
				if behind := last.header.Get("X-Amz-Trailer") != ""; behind != k.sums || !behind && last.length != 5 {
					t.Errorf("%s: %d bytes, %v", what, last.length, last.header)
				}
				before := len(s.asked("POST"))
				if err := b.Check(t.Context()); err != nil || before != 1 || len(s.asked("POST")) != 1 {
					t.Errorf("%s: %v, asked %d times", what, err, len(s.asked("POST")))
				}
			}
		}
	}
}

// TestAnUploadThatMayNotBeAbandonedIsTold: what was begun to ask stays there, and
// each start would leave another one.
func TestAnUploadThatMayNotBeAbandonedIsTold(t *testing.T) {
	k := keeping{sums: true, partSums: true, object: `{"installation":"one"}`}
	b, _ := serve(t, func(w http.ResponseWriter, q request) {
		if strings.HasPrefix(q.line, "DELETE") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code></Error>`)
			return
		}
		k.answer(w, q)
	})
	if err := b.Check(t.Context()); !errors.Is(err, store.ErrDenied) || !strings.Contains(err.Error(), "abandon") {
		t.Errorf("check: %v", err)
	}
}

// TestARefusalInTheMiddleTurnsNoChecksumsOff: it fails as something that may
// pass, and what follows has its checksum.
func TestARefusalInTheMiddleTurnsNoChecksumsOff(t *testing.T) {
	for _, checked := range []bool{true, false} {
		for status, code := range map[int]string{400: "InvalidRequest", 411: "MissingContentLength", 501: "NotImplemented"} {
			k := keeping{sums: true, partSums: true, status: status, code: code, object: `{"installation":"one"}`}
			b, s := serve(t, k.answer)
			if checked {
				if err := b.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			k.sums = false
			if err := put(t, b, "hello"); !store.MayPass(err) || !strings.Contains(err.Error(), "refuses a checksum") {
				t.Errorf("%d, checked %t: %v", status, checked, err)
			}
			k.sums = true
			if err := put(t, b, "hello"); err != nil || s.asked("PUT")[len(s.asked("PUT"))-1].header.Get("X-Amz-Trailer") == "" || b.Note() != "" {
				t.Errorf("%d, checked %t: %v, without its checksum, %q", status, checked, err, b.Note())
			}
		}
	}
}
