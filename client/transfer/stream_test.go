package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/osproxy/osproxy/protocol"
)

func TestPutStreamSizes(t *testing.T) {
	const one = protocol.OneShotMax
	for _, n := range []int{0, 1, one, one + 1, testPart - 1, testPart, testPart + 1, 9 * testPart, 9*testPart + 5} {
		r := newRig(t)
		data := random(n, 4)
		res, err := r.PutStream(t.Context(), bytes.NewReader(data), PutRequest{Path: "-", Name: "s"})
		if err != nil || res.Outcome != Uploaded || res.SentBytes != int64(n) || res.Size != int64(n) || !res.Verified || res.Name != "s" {
			t.Fatal(n, res, err)
		}
		r.d.stored(t, res.UID, data)
		if s := r.cfg.Progress.Snapshot(); s.Bytes != int64(n) || s.Moved != int64(n) || s.ItemsDone != 1 {
			t.Errorf("%d bytes: progress %+v", n, s)
		}
		r.transfers(t, 0)
	}
}

func TestPutStreamLostReplies(t *testing.T) {
	r := newRig(t)
	data := random(3*testPart+1, 4)
	var mu sync.Mutex
	lost := map[string]bool{}
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		mu.Lock()
		again := lost[q.Method+q.URL.Path]
		lost[q.Method+q.URL.Path] = true
		mu.Unlock()
		if !again {
			loseReply(q, serve)
		}
		serve(w, q)
	})
	res, err := r.PutStream(t.Context(), iotest.HalfReader(bytes.NewReader(data)), PutRequest{})
	if err != nil || len(r.d.files) != 1 || res.Name != "stdin" {
		t.Fatal(res, err)
	}
	r.d.stored(t, res.UID, data)
}

func TestPutStreamThatBreaks(t *testing.T) {
	for _, n := range []int64{100, 3*testPart + 5} {
		r := newRig(t)
		broken := errors.New("broken")
		_, err := r.PutStream(t.Context(), io.MultiReader(bytes.NewReader(random(int(n), 4)), iotest.ErrReader(broken)), PutRequest{})
		wantKind(t, err, protocol.KindLocalIO)
		if !errors.Is(err, broken) || len(r.d.files) != 0 || len(r.d.uploads) != 0 {
			t.Errorf("%d bytes: %v, %d files, %d uploads", n, err, len(r.d.files), len(r.d.uploads))
		}
	}
}

func TestPutStreamInterrupted(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	pr, pw := io.Pipe()
	go func() {
		pw.Write(random(2*testPart, 4)) // returns once the second part was taken
		cancel()
	}()
	_, err := r.PutStream(ctx, pr, PutRequest{})
	pr.Close() // ends the read that was left behind
	wantKind(t, err, protocol.KindInterrupted)
	if len(r.d.files) != 0 || len(r.d.uploads) != 0 {
		t.Errorf("%d files, %d uploads", len(r.d.files), len(r.d.uploads))
	}
}

func TestPutStreamThatCannotBeSent(t *testing.T) {
	r := newRig(t)
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.Contains(q.URL.Path, "/parts/3") {
			writeProblem(w, protocol.KindStoreFull, nil)
			return
		}
		serve(w, q)
	})
	_, err := r.PutStream(t.Context(), bytes.NewReader(random(12*testPart, 4)), PutRequest{})
	wantKind(t, err, protocol.KindStoreFull)
	if len(r.d.files) != 0 || len(r.d.uploads) != 0 {
		t.Errorf("%d files, %d uploads", len(r.d.files), len(r.d.uploads))
	}
}

// commitsUnanswered serves commits without answering them, and stays so.
func (d *fakeDaemon) commitsUnanswered(first func()) {
	var once sync.Once
	d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, "/commit") {
			serve(httptest.NewRecorder(), q)
			once.Do(first)
			panic(http.ErrAbortHandler)
		}
		serve(w, q)
	})
}

// TestPutStreamWhoseCommitIsNeverAnswered: the abort that follows learns that
// the File exists, and its digest says whether it is the stream.
func TestPutStreamWhoseCommitIsNeverAnswered(t *testing.T) {
	data := random(3*testPart+1, 4)
	for name, c := range map[string]struct {
		change func(f *protocol.File)
		kind   protocol.Kind
	}{
		"its own":          {func(*protocol.File) {}, ""},
		"another writer's": {func(f *protocol.File) { f.Digest = &protocol.Digest{} }, protocol.KindConflict},
		"of another size":  {func(f *protocol.File) { f.Size++ }, protocol.KindConflict},
		"not yet known":    {func(f *protocol.File) { f.Digest = nil }, protocol.KindDigestPending},
	} {
		r := newRig(t)
		r.d.commitsUnanswered(func() {
			r.d.mu.Lock()
			defer r.d.mu.Unlock()
			for _, f := range r.d.files {
				c.change(&f.file)
			}
		})
		res, err := r.PutStream(t.Context(), bytes.NewReader(data), PutRequest{})
		if protocol.KindOf(err) != c.kind || r.d.files[res.UID] == nil || len(r.d.files) != 1 {
			t.Fatalf("%s: %+v %v", name, res, err)
		}
		if c.kind != "" && (res.Outcome != Failed || !strings.Contains(err.Error(), res.UID.String())) {
			t.Errorf("%s: %+v %v", name, res, err)
		}
		if c.kind == "" && (res.Outcome != Uploaded || !res.Verified || res.Size != int64(len(data))) {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

// An interrupt in the middle of a commit does not hide the File.
func TestPutStreamInterruptedDuringItsCommit(t *testing.T) {
	r := newRig(t)
	data := random(3*testPart+1, 4)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.d.commitsUnanswered(func() { cancel() })
	res, err := r.PutStream(ctx, bytes.NewReader(data), PutRequest{})
	if err != nil || res.Outcome != Uploaded {
		t.Fatal(res, err)
	}
	r.d.stored(t, res.UID, data)
}

// Where nothing can be asked any more, the uid is what is left to look with.
func TestPutStreamWhoseCommitLeavesNoDaemon(t *testing.T) {
	r := newRig(t)
	gone := false
	var mu sync.Mutex
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		mu.Lock()
		defer mu.Unlock()
		if gone = gone || strings.HasSuffix(q.URL.Path, "/commit"); gone {
			loseReply(q, serve)
		}
		serve(w, q)
	})
	res, err := r.PutStream(t.Context(), bytes.NewReader(random(3*testPart+1, 4)), PutRequest{})
	wantKind(t, err, protocol.KindNetwork)
	if r.d.files[res.UID] == nil || !strings.Contains(err.Error(), res.UID.String()) {
		t.Errorf("%+v %v", res, err)
	}
}

func TestPutStreamCommittedByOthersOrUnseen(t *testing.T) {
	for name, c := range map[string]struct {
		request string
		kind    protocol.Kind
	}{
		"by another writer, during the parts": {"PUT", protocol.KindConflict},
		"and cannot be asked for":             {"GET", protocol.KindNetwork},
	} {
		r := newRig(t)
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			parts := strings.Split(q.URL.Path, "/")
			switch {
			case c.request == "PUT" && strings.HasSuffix(q.URL.Path, "/parts/3"):
				uid, _ := protocol.ParseUID(parts[3])
				r.d.mu.Lock()
				r.d.store(uid, "theirs", []byte("theirs"))
				r.d.mu.Unlock()
			case c.request == "GET" && strings.HasSuffix(q.URL.Path, "/commit"):
				loseReply(q, serve)
			case c.request == "GET" && q.Method == "GET" && strings.HasPrefix(q.URL.Path, "/v1/uploads/"):
				panic(http.ErrAbortHandler)
			}
			serve(w, q)
		})
		res, err := r.PutStream(t.Context(), bytes.NewReader(random(3*testPart+1, 4)), PutRequest{})
		wantKind(t, err, c.kind)
		if r.d.files[res.UID] == nil || res.Outcome != Failed || !strings.Contains(err.Error(), res.UID.String()+" ") {
			t.Errorf("%s: %+v %v", name, res, err)
		}
	}
}
