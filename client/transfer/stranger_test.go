package transfer

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// stranger answers requests that match with a 404 of its own, as an ingress
// without a backend does: not the first, but so many after that was served.
func (d *fakeDaemon) stranger(match string, times int64) {
	var seen atomic.Int64
	served := make(chan struct{})
	d.on(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if !strings.HasPrefix(r.Method+" "+r.URL.Path, match) {
			serve(w, r)
			return
		}
		n := seen.Add(1)
		if n == 1 {
			defer close(served)
		} else if n <= 1+times {
			<-served
			http.NotFound(w, r)
			return
		}
		serve(w, r)
	})
}

func TestStrangerDuringPut(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a", 6*testPart)
	r.d.stranger("PUT ", 1)
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.Outcome != Uploaded || res.Retries != 1 || r.d.count("POST /v1/uploads") != 2 { // begin and commit
		t.Fatalf("%+v %v %q", res, err, r.d.requests)
	}
	r.d.stored(t, res.UID, data)
}

func TestStrangerThatStaysKeepsThePut(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a", 6*testPart)
	r.d.stranger("PUT ", 1<<30)
	_, err := r.Put(t.Context(), PutRequest{Path: path})
	wantKind(t, err, protocol.KindUnavailable)
	kept := r.transfers(t, 1)[0]
	r.d.on(nil)
	res, err := r.Resume(t.Context(), kept)
	if err != nil || res.Outcome != Resumed || res.UID != kept.UID || res.ResumedBytes < testPart {
		t.Fatalf("%+v %v", res, err)
	}
	r.d.stored(t, res.UID, data)
}

func TestStrangerThatStaysKeepsTheGet(t *testing.T) {
	r := newRig(t)
	r.cfg.PartsPerFile = 2
	data := random(6*testPart, 4)
	f := r.d.add("a", data)
	r.d.stranger("GET /v1/files/"+f.UID.String()+"/content", 1<<30)
	target := filepath.Join(r.dir, "out")
	_, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: target})
	wantKind(t, err, protocol.KindUnavailable)
	kept := r.transfers(t, 1)[0]
	if _, err := os.Stat(kept.Target); err != nil {
		t.Fatal(err)
	}
	r.d.on(nil)
	if res, err := r.Resume(t.Context(), kept); err != nil {
		t.Fatal(res, err)
	}
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, data) {
		t.Error(len(got), err)
	}
}

func TestStrangerDoesNotConfirmADeletion(t *testing.T) {
	r := newRig(t)
	f := r.d.add("a", []byte("abc"))
	var calls atomic.Int64
	r.d.on(func(w http.ResponseWriter, q *http.Request, _ http.HandlerFunc) {
		if calls.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		http.NotFound(w, q)
	})
	res, err := r.Remove(t.Context(), f.UID)
	wantKind(t, err, protocol.KindUnavailable)
	if res.Outcome != Failed || r.d.files[f.UID] == nil {
		t.Errorf("%+v", res)
	}
}
