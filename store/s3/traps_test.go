package s3_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// TestPutIsOneRequest: of a known length, from where the reader is, without
// asking where the bucket is, never replacing, with its checksum behind it.
func TestPutIsOneRequest(t *testing.T) {
	b, s := serve(t, func(w http.ResponseWriter, _ request) { w.Header().Set("ETag", `"x"`) })
	r := strings.NewReader("before hello")
	if _, err := r.Seek(7, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), key, r, 5); err != nil {
		t.Fatal(err)
	}
	got := s.asked("")
	if len(got) != 1 || got[0].line != "PUT /files/"+string(key) {
		t.Fatalf("%+v", got)
	}
	h := got[0].header
	if got[0].length <= 0 || h.Get("If-None-Match") != "*" || h.Get("X-Amz-Content-Sha256") != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" ||
		h.Get("X-Amz-Decoded-Content-Length") != "5" || h.Get("Accept-Encoding") != "" {
		t.Errorf("%d bytes, %v", got[0].length, h)
	}
	if !strings.HasPrefix(got[0].body, "5\r\nhello\r\n0\r\nx-amz-checksum-crc64nvme:") {
		t.Errorf("body %q", got[0].body)
	}
}

// TestMarkThatReadsBackOtherwise: a service that keeps the framing of a body as
// a part of it is not used.
func TestMarkThatReadsBackOtherwise(t *testing.T) {
	var mark string
	b, _ := serve(t, func(w http.ResponseWriter, q request) {
		switch {
		case parts(w, q, true):
		case strings.HasPrefix(q.line, "PUT"):
			mark = q.body
			w.Header().Set("ETag", `"x"`)
		case mark == "":
			fails(w, 404, "NoSuchKey")
		default:
			describes(w, len(mark))
			io.WriteString(w, mark)
		}
	})
	if err := b.SetMark(t.Context(), "one"); !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

func TestPutAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter)
		want   error // nil: an error that may pass
		busy   bool
	}{
		{"it exists", func(w http.ResponseWriter) { fails(w, 412, "PreconditionFailed") }, store.ErrExists, false},
		{"another put of the same is under way", func(w http.ResponseWriter) { fails(w, 409, "ConditionalRequestConflict") }, nil, false},
		{"busy", func(w http.ResponseWriter) { w.Header().Set("Retry-After", "3"); fails(w, 503, "SlowDown") }, nil, true},
		{"failing", func(w http.ResponseWriter) { fails(w, 500, "InternalError") }, nil, false},
		{"damaged on the way", func(w http.ResponseWriter) { fails(w, 400, "BadDigest") }, store.ErrDamaged, false},
		{"no account", func(w http.ResponseWriter) { fails(w, 403, "InvalidAccessKeyId") }, store.ErrDenied, false},
		{"no bucket", func(w http.ResponseWriter) { fails(w, 404, "NoSuchBucket") }, store.ErrNoBucket, false},
		{"full", func(w http.ResponseWriter) { fails(w, 507, "XMinioStorageFull") }, store.ErrFull, false},
		{"clocks apart", func(w http.ResponseWriter) { fails(w, 403, "RequestTimeTooSkewed") }, store.ErrClock, false},
	} {
		b, s := serve(t, func(w http.ResponseWriter, _ request) { c.answer(w) })
		err := put(t, b, "hello")
		var busy *store.BusyError
		switch {
		case err == nil || c.want != nil && !errors.Is(err, c.want):
			t.Errorf("%s: %v", c.name, err)
		case c.want == nil && (errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrUnsupported)):
			t.Errorf("%s: it would not be tried again: %v", c.name, err)
		case errors.As(err, &busy) != c.busy || c.busy && busy.After != 3*time.Second:
			t.Errorf("%s: %v", c.name, err)
		case strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "request 17"):
			t.Errorf("%s: %v", c.name, err)
		}
		if n := len(s.asked("")); n != 1 {
			t.Errorf("%s: %d requests: retries are the wrapper's", c.name, n)
		}
	}
}

// TestPutThatArrivedOtherwise: what the service has another checksum of is
// removed.
func TestPutThatArrivedOtherwise(t *testing.T) {
	b, s := serve(t, func(w http.ResponseWriter, q request) {
		if strings.HasPrefix(q.line, "DELETE") {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("X-Amz-Checksum-Crc64nvme", "AAAAAAAAAAA=")
	})
	if err := put(t, b, "hello"); !errors.Is(err, store.ErrDamaged) || len(s.asked("DELETE /files/"+string(key))) != 1 {
		t.Errorf("%v, %v", err, s.asked(""))
	}
}

func TestCancelledWhileTheAnswerIsAwaited(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	let := make(chan bool)
	b, _ := serve(t, func(http.ResponseWriter, request) { cancel(); <-let })
	t.Cleanup(func() { close(let) })
	if err := b.Put(ctx, key, strings.NewReader("hello"), 5); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
}

func TestGetAnswers(t *testing.T) {
	ranged := func(w http.ResponseWriter, text, body string, n int) {
		describes(w, n)
		w.Header().Set("Content-Range", text)
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, body)
	}
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter)
		want   error
	}{
		{"right", func(w http.ResponseWriter) { ranged(w, "bytes 2-6/20", "hello", 5) }, nil},
		{"shorter than asked for", func(w http.ResponseWriter) { ranged(w, "bytes 2-4/5", "hel", 3) }, store.ErrRange},
		{"another range", func(w http.ResponseWriter) { ranged(w, "bytes 0-4/20", "hello", 5) }, store.ErrUnsupported},
		{"a range of nothing", func(w http.ResponseWriter) { ranged(w, "", "hello", 5) }, store.ErrUnsupported},
		{"the whole", func(w http.ResponseWriter) { describes(w, 5); io.WriteString(w, "hello") }, store.ErrUnsupported},
		{"cut", func(w http.ResponseWriter) { ranged(w, "bytes 2-6/20", "hel", 5) }, io.ErrUnexpectedEOF},
		{"beyond", func(w http.ResponseWriter) { fails(w, 416, "InvalidRange") }, store.ErrRange},
		{"absent", func(w http.ResponseWriter) { fails(w, 404, "NoSuchKey") }, store.ErrNotFound},
		{"no bucket", func(w http.ResponseWriter) { fails(w, 404, "NoSuchBucket") }, store.ErrNoBucket},
	} {
		b, _ := serve(t, func(w http.ResponseWriter, _ request) { c.answer(w) })
		var got []byte
		r, err := b.Get(t.Context(), key, 2, 5)
		if err == nil {
			got, err = io.ReadAll(r)
			r.Close()
		}
		if !errors.Is(err, c.want) || (c.want == nil && string(got) != "hello") {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

// TestHeadsThatFail: their answers have no body that could say why.
func TestHeadsThatFail(t *testing.T) {
	for _, c := range []struct {
		object, bucket int
		want           error
	}{{404, 200, store.ErrNotFound}, {404, 404, store.ErrNoBucket}, {404, 403, store.ErrDenied}, {403, 200, store.ErrDenied}, {301, 200, store.ErrRegion}} {
		b, _ := serve(t, func(w http.ResponseWriter, q request) {
			if strings.Contains(q.line, string(key)) {
				w.WriteHeader(c.object)
			} else {
				w.WriteHeader(c.bucket)
			}
		})
		if _, err := b.Stat(t.Context(), key); !errors.Is(err, c.want) || errors.Is(err, store.ErrNotFound) != (c.want == store.ErrNotFound) { //nolint:errorlint // a sentinel of the table
			t.Errorf("%d, bucket %d: %v", c.object, c.bucket, err)
		}
	}
}

const emptyListing = `<ListBucketResult><Name>files</Name><IsTruncated>false</IsTruncated></ListBucketResult>`

func TestCheckAnswers(t *testing.T) {
	const marked = `{"installation":"one"}`
	for _, c := range []struct {
		name string
		put  func(http.ResponseWriter)
		date time.Time
		want error
	}{
		{"right", func(w http.ResponseWriter) { fails(w, 412, "PreconditionFailed") }, time.Now(), nil},
		{"it replaces", func(w http.ResponseWriter) { w.Header().Set("ETag", `"x"`) }, time.Now(), store.ErrUnsupported},
		{"it lets us read alone", func(w http.ResponseWriter) { fails(w, 403, "AccessDenied") }, time.Now(), store.ErrDenied},
		{"its clock is another", nil, time.Now().Add(-time.Hour), store.ErrClock},
	} {
		b, s := serve(t, func(w http.ResponseWriter, q request) {
			w.Header().Set("Date", c.date.UTC().Format(http.TimeFormat))
			switch {
			case parts(w, q, true):
			case strings.HasPrefix(q.line, "PUT"):
				c.put(w)
			case strings.Contains(q.line, "list-type"):
				io.WriteString(w, emptyListing)
			default:
				describes(w, len(marked))
				io.WriteString(w, marked)
			}
		})
		if err := b.Check(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, q := range s.asked("PUT /files/OSPD-STORE") {
			if !strings.Contains(q.body, marked) || q.header.Get("If-None-Match") != "*" {
				t.Errorf("%s: another mark was put: %q", c.name, q.body)
			}
		}
	}
}

// TestComposeTraps: each copy is pinned to what was looked at, and an error that
// comes with 200 is one.
func TestComposeTraps(t *testing.T) {
	const ok = `<CopyPartResult><ETag>"part"</ETag></CopyPartResult>`
	for _, c := range []struct {
		name, copied, completed string
		want                    string
	}{
		{"right", ok, `<CompleteMultipartUploadResult><Bucket>files</Bucket><ETag>"done-1"</ETag></CompleteMultipartUploadResult>`, ""},
		{"a copy that failed late", `<Error><Code>InternalError</Code></Error>`, "", "made no part"},
		{"a join that failed late", ok, `<Error><Code>InternalError</Code><Message>Try again</Message></Error>`, "InternalError"},
		{"a join whose answer was lost before", ok, `<Error><Code>NoSuchUpload</Code></Error>`, ""},
	} {
		b, s := serve(t, func(w http.ResponseWriter, q request) {
			switch {
			case strings.HasPrefix(q.line, "PUT"):
				io.WriteString(w, c.copied)
			case strings.HasPrefix(q.line, "POST"):
				io.WriteString(w, c.completed)
			case strings.HasPrefix(q.line, "GET"):
				io.WriteString(w, `<ListPartsResult></ListPartsResult>`)
			default:
				describes(w, 6<<20)
			}
		})
		_, err := b.Compose(t.Context(), key, "id", []store.Piece{{Key: "00000002/0123456789abcdef0123456789abcdef", Length: 6 << 20}})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, q := range s.asked("PUT") {
			if q.header.Get("X-Amz-Copy-Source-If-Match") != `"0123456789abcdef0123456789abcdef"` || q.header.Get("X-Amz-Copy-Source-Range") != fmt.Sprintf("bytes=0-%d", 6<<20-1) {
				t.Errorf("%s: %v", c.name, q.header)
			}
		}
		posts := s.asked("POST")
		if len(s.asked("PUT")) != 1 || len(posts) > 1 || len(posts) == 1 && posts[0].header.Get("If-None-Match") != "*" {
			t.Errorf("%s: %+v", c.name, posts)
		}
	}
}

// TestNoShortCopies: AWS copies ranges of objects of more than 5 MiB only.
func TestNoShortCopies(t *testing.T) {
	const size = 5 << 20
	data := strings.Repeat("x", size)
	b, s := serve(t, func(w http.ResponseWriter, q request) {
		switch {
		case strings.HasPrefix(q.line, "PUT") && q.header.Get("X-Amz-Copy-Source") != "":
			fails(w, 400, "InvalidRequest")
		case strings.HasPrefix(q.line, "PUT"):
			w.Header().Set("ETag", `"part"`)
		case strings.HasPrefix(q.line, "POST"):
			io.WriteString(w, `<CompleteMultipartUploadResult><Bucket>files</Bucket><ETag>"done-1"</ETag></CompleteMultipartUploadResult>`)
		case strings.Contains(q.line, "uploadId"):
			io.WriteString(w, `<ListPartsResult></ListPartsResult>`)
		default:
			describes(w, size)
			if strings.HasPrefix(q.line, "GET") {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", size-1, size))
				w.WriteHeader(http.StatusPartialContent)
				io.WriteString(w, data)
			}
		}
	})
	if _, err := b.Compose(t.Context(), key, "id", []store.Piece{{Key: "00000002/0123456789abcdef0123456789abcdef", Length: size}}); err != nil {
		t.Error(err)
	}
	if puts := s.asked("PUT"); len(puts) != 1 || !strings.Contains(puts[0].body, data) {
		t.Errorf("%d requests", len(puts))
	}
}

// TestSumsOfCopiesAreAskedForAsAWSAllows: the mark is too short for a range of
// it to be copied.
func TestSumsOfCopiesAreAskedForAsAWSAllows(t *testing.T) {
	const text = `{"installation":"one"}`
	sum := object.NVME.New()
	io.WriteString(sum, text)
	whole := base64.StdEncoding.EncodeToString(sum.Sum(nil))
	b, s := serve(t, func(w http.ResponseWriter, q request) {
		switch {
		case strings.HasPrefix(q.line, "POST"):
			io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)
		case strings.HasPrefix(q.line, "DELETE"):
			w.WriteHeader(http.StatusNoContent)
		case strings.HasPrefix(q.line, "PUT") && q.header.Get("X-Amz-Copy-Source-Range") != "":
			fails(w, 400, "InvalidRequest")
		case strings.HasPrefix(q.line, "PUT"):
			fmt.Fprintf(w, `<CopyPartResult><ETag>"part"</ETag><ChecksumCRC64NVME>%s</ChecksumCRC64NVME></CopyPartResult>`, whole)
		default:
			describes(w, len(text))
			io.WriteString(w, text)
		}
	})
	if _, err := b.BeginCompose(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	begun := s.asked("POST /files/" + string(key))
	if len(begun) != 1 || begun[0].header.Get("X-Amz-Checksum-Algorithm") != "CRC64NVME" {
		t.Errorf("%+v", begun)
	}
}

// TestComposingGoesWithoutSumsThatAreRefused: and who waits for the answer
// leaves when he wants to.
func TestComposingGoesWithoutSumsThatAreRefused(t *testing.T) {
	const text = `{"installation":"one"}`
	asked, let := make(chan bool, 1), make(chan bool)
	b, s := serve(t, func(w http.ResponseWriter, q request) {
		switch {
		case strings.HasPrefix(q.line, "POST") && q.header.Get("X-Amz-Checksum-Algorithm") != "":
			asked <- true
			<-let
			fails(w, 403, "AccessDenied")
		case strings.HasPrefix(q.line, "POST"):
			io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)
		default:
			describes(w, len(text))
			io.WriteString(w, text)
		}
	})
	first := make(chan error)
	go func() { first <- errOf(b.BeginCompose(t.Context(), key)) }()
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.BeginCompose(ctx, key); !errors.Is(err, context.Canceled) {
		t.Errorf("one who left: %v", err)
	}
	close(let)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if _, err := b.BeginCompose(t.Context(), key); err != nil || len(s.asked("POST")) != 3 {
		t.Errorf("%v, asked %d times", err, len(s.asked("POST")))
	}
}

// TestStrangersTurnNoChecksumsOff: what stands before the storage does not know
// what that takes.
func TestStrangersTurnNoChecksumsOff(t *testing.T) {
	for _, status := range []int{400, 411, 501} {
		strange := true
		b, s := serve(t, func(w http.ResponseWriter, _ request) {
			if strange {
				w.WriteHeader(status)
				io.WriteString(w, "<html></html>")
				return
			}
			w.Header().Set("ETag", `"x"`)
		})
		if err := put(t, b, "hello"); !store.MayPass(err) {
			t.Errorf("%d: %v", status, err)
		}
		strange = false
		if err := put(t, b, "hello"); err != nil || s.asked("PUT")[1].header.Get("X-Amz-Trailer") == "" {
			t.Errorf("%d: %v, without its checksum: %v", status, err, s.asked("PUT")[1].header)
		}
	}
}

// TestDeletingManyTellsOfEach: also of what the SDK passes over, and of what the
// answer says nothing about.
func TestDeletingManyTellsOfEach(t *testing.T) {
	keys := []store.Key{
		"00000001/00000000000000000000000000000001", "00000001/00000000000000000000000000000002",
		"00000001/00000000000000000000000000000003", "00000001/00000000000000000000000000000004",
	}
	b, s := serve(t, func(w http.ResponseWriter, _ request) {
		fmt.Fprintf(w, `<DeleteResult><Deleted><Key>%s</Key></Deleted><Error><Key>%s</Key><Code>AccessDenied</Code></Error><Error><Key>%s</Key><Code>InvalidArgument</Code></Error></DeleteResult>`,
			keys[0], keys[1], keys[2])
	})
	told := map[store.Key]error{}
	for k, err := range b.DeleteAll(t.Context(), keys) {
		told[k] = err
	}
	if len(told) != 3 || !errors.Is(told[keys[1]], store.ErrDenied) || told[keys[2]] == nil || told[keys[3]] == nil {
		t.Errorf("%v", told)
	}
	if len(s.asked("")) != 1 {
		t.Errorf("%v", s.asked(""))
	}
	broken, _ := serve(t, func(w http.ResponseWriter, _ request) {
		fmt.Fprintf(w, `<DeleteResult><Deleted><Key>%s</Key></Del`, keys[0])
	})
	busy, _ := serve(t, func(w http.ResponseWriter, _ request) { fails(w, 503, "SlowDown") })
	for what, b := range map[string]store.BatchDeleter{"an answer that breaks off": broken, "a busy service": busy} {
		n := 0
		for range b.DeleteAll(t.Context(), keys) {
			n++
		}
		if n != len(keys) {
			t.Errorf("%s: told of %d", what, n)
		}
	}
}
