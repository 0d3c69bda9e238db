package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
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
