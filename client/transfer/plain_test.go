package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// However the bytes go up, or do not, the SHA-256 is that of the file.
func TestPutWithSHA256(t *testing.T) {
	for _, n := range []int{0, 1000, protocol.OneShotMax + 1, 3*testPart + 5} {
		r := newRig(t)
		path, data := r.write(t, "a.bin", n)
		res, err := r.Put(t.Context(), PutRequest{Path: path, SHA256: true})
		if err != nil || res.SHA256 != sha256Of(data) || res.Outcome != Uploaded {
			t.Errorf("%d bytes: %+v, %v", n, res, err)
		}
		res, err = r.PutStream(t.Context(), bytes.NewReader(data), PutRequest{SHA256: true})
		if err != nil || res.SHA256 != sha256Of(data) {
			t.Errorf("stream of %d bytes: %+v, %v", n, res, err)
		}
		if res, err := r.Put(t.Context(), PutRequest{Path: path}); err != nil || res.SHA256 != "" {
			t.Errorf("%d bytes, unasked: %+v, %v", n, res, err)
		}
	}
	r, path, data := instantRig(t, 2*testPart)
	res, err := r.Put(t.Context(), PutRequest{Path: path, SHA256: true})
	if err != nil || res.Outcome != Instant || res.SHA256 != sha256Of(data) {
		t.Errorf("claimed: %+v, %v", res, err)
	}
}

// A file that changes while it is hashed is not committed.
func TestPutWithSHA256OfAFileThatChanges(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 2*testPart)
	// Once: the last request may still be served when the put has given up.
	var change sync.Once
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if q.Method == http.MethodPut {
			change.Do(func() { os.WriteFile(path, append(data, 0), 0o644) })
		}
		serve(w, q)
	})
	_, err := r.Put(t.Context(), PutRequest{Path: path, SHA256: true})
	wantKind(t, err, protocol.KindLocalChanged)
	if r.d.count("POST /v1/uploads/") != 0 {
		t.Error("it was committed")
	}
}

func TestGetWithSHA256(t *testing.T) {
	data := random(2*protocol.BlockSize+1, 1)
	right, wrong := sha256Of(data), sha256Of(nil)
	r := newRig(t)
	f := r.d.add("a.bin", data)
	target := filepath.Join(r.dir, "a.bin")

	_, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: target, SHA256: wrong})
	e := wantKind(t, err, protocol.KindIntegrity)
	if !strings.Contains(e.Message, right+", not "+wrong+"; nothing was written") {
		t.Errorf("%v", e)
	}
	holds(t, r.dir, nil)
	r.transfers(t, 0)

	res, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: target, SHA256: right})
	if err != nil || res.SHA256 != right || res.Outcome != Downloaded || !res.Verified {
		t.Fatalf("%+v, %v", res, err)
	}
	// What is there already is held to it too, and left alone.
	res, err = r.Get(t.Context(), GetRequest{UID: f.UID, Path: target, SHA256: right})
	if err != nil || res.SHA256 != right || res.Outcome != AlreadyComplete {
		t.Fatalf("%+v, %v", res, err)
	}
	_, err = r.Get(t.Context(), GetRequest{UID: f.UID, Path: target, SHA256: wrong, IfExists: ExistsOverwrite})
	wantKind(t, err, protocol.KindIntegrity)
	holds(t, r.dir, map[string][]byte{"a.bin": data})

	// Where the daemon knows better, nothing is fetched.
	r.d.files[f.UID].file.SHA256 = &right
	before := r.d.count("GET /v1/files/" + f.UID.String() + "/content")
	_, err = r.Get(t.Context(), GetRequest{UID: f.UID, Path: filepath.Join(r.dir, "b"), SHA256: wrong})
	wantKind(t, err, protocol.KindIntegrity)
	if r.d.count("GET /v1/files/"+f.UID.String()+"/content") != before {
		t.Error("the content was asked for")
	}
}

// A get that is resumed from what is on disk still wants its SHA-256.
func TestResumedGetWantsItsSHA256(t *testing.T) {
	for want, kind := range map[string]protocol.Kind{sha256Of(random(6*protocol.BlockSize, 1)): "", sha256Of(nil): protocol.KindIntegrity} {
		r := newRig(t)
		f := r.d.add("a.bin", random(6*protocol.BlockSize, 1))
		ctx, stop := context.WithCancel(t.Context())
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			if strings.HasSuffix(q.URL.Path, "/content") {
				stop()
			}
			serve(w, q)
		})
		if _, err := r.Get(ctx, GetRequest{UID: f.UID, Path: r.dir, SHA256: want}); err == nil {
			t.Fatal("it was not stopped")
		}
		r.d.on(nil)
		res, err := r.Resume(t.Context(), r.transfers(t, 1)[0])
		if protocol.KindOf(err) != kind {
			t.Errorf("%+v, %v, want kind %q", res, err, kind)
		}
		r.transfers(t, 0)
	}
}

// The end of content with another SHA-256 is held back.
func TestCatWithSHA256(t *testing.T) {
	for _, n := range []int{0, 10, 2*protocol.BlockSize + 1} {
		r := newRig(t)
		data := random(n, 1)
		f := r.d.add("a.bin", data)
		var out bytes.Buffer
		res, err := r.Cat(t.Context(), CatRequest{UID: f.UID, SHA256: sha256Of(data)}, &out)
		if err != nil || res.SHA256 != sha256Of(data) || !res.Verified || !bytes.Equal(out.Bytes(), data) {
			t.Errorf("%d bytes: %+v, %v", n, res, err)
		}
		out.Reset()
		res, err = r.Cat(t.Context(), CatRequest{UID: f.UID, SHA256: sha256Of([]byte("x"))}, &out)
		e := wantKind(t, err, protocol.KindIntegrity)
		if out.Len() > max(n-1, 0) || res.Verified || !strings.Contains(e.Message, "its end was not written") {
			t.Errorf("%d bytes: %d were written, %+v, %v", n, out.Len(), res, err)
		}
	}
}
