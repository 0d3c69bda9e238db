package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// fakeDaemon answers as a daemon does, from memory, and fails the test on any
// request no daemon should get. hook stands before it to make things go wrong.
type fakeDaemon struct {
	t   *testing.T
	srv *httptest.Server

	mu       sync.Mutex
	caps     protocol.Capabilities
	partSize int64
	nextUID  protocol.UID
	uploads  map[protocol.UID]*fakeUpload
	files    map[protocol.UID]*fakeFile
	answers  map[string]*fakeAnswer
	requests []string
	hook     func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc)
	// instant lets begin say maybe (claim_test.go).
	instant bool
}

type fakeUpload struct {
	up   protocol.Upload
	fp   *protocol.Fingerprint
	data map[protocol.PartNumber][]byte
	// claim is the challenge of the last first round.
	claim fakeClaim
}

// fakeAnswer is what is kept under an idempotency key.
type fakeAnswer struct {
	*httptest.ResponseRecorder
	request string
}

type fakeFile struct {
	file protocol.File
	data []byte
}

const testPart = protocol.BlockSize

func newFakeDaemon(t *testing.T) *fakeDaemon {
	d := &fakeDaemon{t: t, partSize: testPart, nextUID: 1_000_000_000_000_000,
		caps: protocol.Capabilities{ServerID: strings.Repeat("ab", 16), API: []string{"v1"}, BlockSize: protocol.BlockSize,
			OneShotMax: protocol.OneShotMax, MaxParts: protocol.MaxParts, MaxSize: protocol.MaxSize},
		uploads: map[protocol.UID]*fakeUpload{}, files: map[protocol.UID]*fakeFile{}, answers: map[string]*fakeAnswer{}}
	d.srv = httptest.NewServer(http.HandlerFunc(d.serveHTTP))
	t.Cleanup(d.srv.Close)
	return d
}

// on sets the hook.
func (d *fakeDaemon) on(hook func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hook = hook
}

func (d *fakeDaemon) serveHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.requests = append(d.requests, r.Method+" "+r.URL.Path)
	hook := d.hook
	d.mu.Unlock()
	if hook != nil {
		hook(w, r, d.serve)
		return
	}
	d.serve(w, r)
}

// count is the number of requests whose method and path begin with prefix.
func (d *fakeDaemon) count(prefix string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func (d *fakeDaemon) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	if r.ContentLength < 0 {
		d.t.Errorf("%s %s came without a Content-Length", r.Method, r.URL.Path)
	}
	if r.Header.Get("Accept-Encoding") != "" {
		d.t.Errorf("%s asks for an encoding", r.URL.Path)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/capabilities", func(w http.ResponseWriter, r *http.Request) { writeJSON(w, 200, d.caps) })
	mux.HandleFunc("POST /v1/uploads", d.once(body, func(w http.ResponseWriter, r *http.Request) { d.begin(w, body) }))
	mux.HandleFunc("POST /v1/files", d.once(body, func(w http.ResponseWriter, r *http.Request) { d.putFile(w, r, body) }))
	mux.HandleFunc("POST /v1/uploads/probe", func(w http.ResponseWriter, r *http.Request) { d.probe(w, body) })
	mux.HandleFunc("GET /v1/uploads/{uid}", d.getUpload)
	mux.HandleFunc("DELETE /v1/uploads/{uid}", d.abort)
	mux.HandleFunc("PUT /v1/uploads/{uid}/parts/{n}", func(w http.ResponseWriter, r *http.Request) { d.putPart(w, r, body) })
	mux.HandleFunc("POST /v1/uploads/{uid}/commit", func(w http.ResponseWriter, r *http.Request) { d.commit(w, r, body) })
	mux.HandleFunc("POST /v1/uploads/{uid}/claim", func(w http.ResponseWriter, r *http.Request) { d.claim(w, r, body) })
	mux.HandleFunc("GET /v1/files", d.list)
	mux.HandleFunc("GET /v1/files/{uid}", d.getFile)
	mux.HandleFunc("PATCH /v1/files/{uid}", func(w http.ResponseWriter, r *http.Request) { d.patch(w, r, body) })
	mux.HandleFunc("DELETE /v1/files/{uid}", d.deleteFile)
	mux.HandleFunc("GET /v1/files/{uid}/blocks", d.blocks)
	mux.HandleFunc("GET /v1/files/{uid}/content", d.content)
	mux.ServeHTTP(w, r)
}

// once gives a repeated POST its first answer. Errors are not kept.
func (d *fakeDaemon) once(body []byte, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get(protocol.HeaderIdempotencyKey)
		if protocol.CheckIdempotencyKey(key) != nil {
			d.t.Errorf("POST %s with idempotency key %q", r.URL.Path, key)
		}
		request := fmt.Sprintf("%s %s %x", r.URL, r.Header.Get("Content-Type"), protocol.SumXXH3(body))
		answer := d.answers[key]
		switch {
		case answer == nil:
			answer = &fakeAnswer{httptest.NewRecorder(), request}
			serve(answer, r)
			if answer.Code < 400 {
				d.answers[key] = answer
			}
		case answer.request != request:
			writeProblem(w, protocol.KindIdempotencyMismatch, nil)
			return
		}
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes())
	}
}

func (d *fakeDaemon) begin(w http.ResponseWriter, body []byte) {
	var b protocol.BeginUpload
	if err := protocol.DecodeRequest(body, &b); err != nil {
		d.t.Errorf("begin: %v", err)
	}
	if b.Resume {
		for _, u := range d.uploads {
			if u.up.State == protocol.UploadOpen && u.up.Name == b.Name && u.fp != nil && *u.fp == *b.Fingerprint {
				writeJSON(w, 200, d.show(u))
				return
			}
		}
	}
	d.nextUID++
	u := &fakeUpload{up: protocol.Upload{UID: d.nextUID, State: protocol.UploadOpen, Name: b.Name, Size: b.Size, PartSize: d.partSize,
		MediaType: b.MediaType, Meta: b.Meta, Maybe: d.maybe(b)}, fp: b.Fingerprint, data: map[protocol.PartNumber][]byte{}}
	d.uploads[u.up.UID] = u
	writeJSON(w, 201, d.show(u))
}

// show is the upload with its parts.
func (d *fakeDaemon) show(u *fakeUpload) protocol.Upload {
	up := u.up
	up.Parts = []protocol.Part{}
	for n, data := range u.data {
		up.Parts = append(up.Parts, u.part(n, data))
	}
	if f := d.files[up.UID]; f != nil {
		up.State, up.File, up.Parts = protocol.UploadCommitted, &f.file, nil
	}
	slices.SortFunc(up.Parts, func(a, b protocol.Part) int { return int(a.Number - b.Number) })
	return up
}

func (u *fakeUpload) part(n protocol.PartNumber, data []byte) protocol.Part {
	return protocol.Part{Number: n, Offset: int64(n-1) * u.up.PartSize, Length: int64(len(data)), XXH3: protocol.SumXXH3(data)}
}

func (d *fakeDaemon) find(w http.ResponseWriter, r *http.Request) *fakeUpload {
	uid, err := protocol.ParseUID(r.PathValue("uid"))
	u := d.uploads[uid]
	if err != nil || u == nil {
		writeProblem(w, protocol.KindNotFound, nil)
		return nil
	}
	return u
}

func (d *fakeDaemon) getUpload(w http.ResponseWriter, r *http.Request) {
	if u := d.find(w, r); u != nil {
		writeJSON(w, 200, d.show(u))
	}
}

func (d *fakeDaemon) abort(w http.ResponseWriter, r *http.Request) {
	u := d.find(w, r)
	if u == nil {
		return
	}
	if d.files[u.up.UID] != nil {
		writeProblem(w, protocol.KindCommitted, nil)
		return
	}
	delete(d.uploads, u.up.UID)
	w.WriteHeader(http.StatusNoContent)
}

func (d *fakeDaemon) putPart(w http.ResponseWriter, r *http.Request, body []byte) {
	u := d.find(w, r)
	if u == nil {
		return
	}
	n, err := protocol.ParsePartNumber(r.PathValue("n"))
	layout := protocol.Layout{Size: protocol.SizeUnknown, PartSize: u.up.PartSize}
	if u.up.Size != nil {
		layout.Size = *u.up.Size
	}
	if err == nil {
		err = layout.CheckLength(n, int64(len(body)))
	}
	if err != nil {
		d.t.Errorf("part %s: %v", r.PathValue("n"), err)
	}
	if d.files[u.up.UID] != nil {
		writeProblem(w, protocol.KindCommitted, nil)
		return
	}
	if r.Header.Get(protocol.HeaderXXH3) != protocol.SumXXH3(body).String() {
		writeProblem(w, protocol.KindChecksumMismatch, nil)
		return
	}
	u.data[n] = body
	writeJSON(w, 200, u.part(n, body))
}

func (d *fakeDaemon) commit(w http.ResponseWriter, r *http.Request, body []byte) {
	u := d.find(w, r)
	if u == nil {
		return
	}
	var c protocol.CommitUpload
	if err := protocol.DecodeRequest(body, &c); err != nil {
		d.t.Errorf("commit: %v", err)
	}
	if f := d.files[u.up.UID]; f != nil {
		w.Header().Set(protocol.HeaderRepeated, "true")
		writeJSON(w, 200, f.file)
		return
	}
	size := c.Size
	if u.up.Size != nil {
		size = u.up.Size
	}
	layout := protocol.Layout{Size: *size, PartSize: u.up.PartSize}
	var have []protocol.PartNumber
	for n := range u.data {
		have = append(have, n)
	}
	slices.Sort(have)
	if missing := protocol.MissingParts(have, layout.Count()); len(missing) > 0 {
		writeProblem(w, protocol.KindPartsMissing, func(p *protocol.Problem) { p.Missing = missing })
		return
	}
	var sums []protocol.XXH3
	var data []byte
	for _, n := range have {
		sums = append(sums, protocol.SumXXH3(u.data[n]))
		data = append(data, u.data[n]...)
	}
	if c.PartsXXH3 == nil || *c.PartsXXH3 != protocol.PartsXXH3(sums) {
		writeProblem(w, protocol.KindPartsDiffer, func(p *protocol.Problem) { p.Parts = d.show(u).Parts })
		return
	}
	d.store(u.up.UID, u.up.Name, data)
	f := &d.files[u.up.UID].file
	f.MediaType, f.Meta = u.up.MediaType, u.up.Meta
	if c.Digest != nil && *c.Digest != *f.Digest {
		d.t.Errorf("commit with digest %s of content with digest %s", c.Digest, f.Digest)
	}
	writeJSON(w, 200, f)
}

// store makes a File; d.mu is held.
func (d *fakeDaemon) store(uid protocol.UID, name string, data []byte) protocol.File {
	digest, _, _ := protocol.HashContent(bytes.NewReader(data))
	f := protocol.File{UID: uid, Owner: protocol.OwnerLocal, Name: name, Size: int64(len(data)), Digest: &digest,
		ETag: `"` + digest.String() + `"`, CreatedAt: protocol.TimeOf(time.Now()), CommittedAt: protocol.TimeOf(time.Now())}
	d.files[uid] = &fakeFile{f, data}
	return f
}

// add makes a File as if somebody had put it.
func (d *fakeDaemon) add(name string, data []byte) protocol.File {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nextUID++
	return d.store(d.nextUID, name, data)
}

func (d *fakeDaemon) putFile(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Header.Get(protocol.HeaderXXH3) != protocol.SumXXH3(body).String() {
		writeProblem(w, protocol.KindChecksumMismatch, nil)
		return
	}
	if int64(len(body)) > d.caps.OneShotMax {
		d.t.Errorf("one shot of %d bytes", len(body))
	}
	d.nextUID++
	writeJSON(w, 201, d.store(d.nextUID, r.URL.Query().Get("name"), body))
}

func (d *fakeDaemon) file(w http.ResponseWriter, r *http.Request) *fakeFile {
	uid, _ := protocol.ParseUID(r.PathValue("uid"))
	f := d.files[uid]
	if f == nil {
		writeProblem(w, protocol.KindNotFound, nil)
	}
	return f
}

func (d *fakeDaemon) getFile(w http.ResponseWriter, r *http.Request) {
	if f := d.file(w, r); f != nil {
		writeJSON(w, 200, f.file)
	}
}

func (d *fakeDaemon) patch(w http.ResponseWriter, r *http.Request, body []byte) {
	var p struct {
		MediaType *string        `json:"media_type"`
		ExpiresAt *protocol.Time `json:"expires_at"`
		Meta      map[string]any `json:"meta"`
	}
	if err := protocol.DecodeRequest(body, &p); err != nil {
		d.t.Errorf("patch: %v", err)
	}
	f := d.file(w, r)
	if f == nil {
		return
	}
	if p.MediaType != nil {
		f.file.MediaType = p.MediaType
	}
	if p.ExpiresAt != nil {
		f.file.ExpiresAt = p.ExpiresAt
	}
	for k, v := range p.Meta {
		if s, ok := v.(string); ok {
			f.file.Meta[k] = s
		} else {
			delete(f.file.Meta, k)
		}
	}
	writeJSON(w, 200, f.file)
}

func (d *fakeDaemon) deleteFile(w http.ResponseWriter, r *http.Request) {
	if f := d.file(w, r); f != nil {
		delete(d.files, f.file.UID)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (d *fakeDaemon) blocks(w http.ResponseWriter, r *http.Request) {
	if f := d.file(w, r); f != nil {
		h := protocol.NewPartHasher()
		h.Write(f.data)
		_, blocks := h.Sum()
		var sums []byte
		for _, b := range blocks {
			sums = append(sums, b.SHA256[:]...)
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(sums)
	}
}

func (d *fakeDaemon) content(w http.ResponseWriter, r *http.Request) {
	f := d.file(w, r)
	if f == nil {
		return
	}
	if r.Header.Get("If-Match") != f.file.ETag {
		writeProblem(w, protocol.KindPreconditionFailed, nil)
		return
	}
	var first, last int64
	if n, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); n != 2 || err != nil || last >= f.file.Size || first%protocol.BlockSize != 0 {
		d.t.Errorf("range %q of %d bytes", r.Header.Get("Range"), f.file.Size)
	}
	w.Header().Set("ETag", f.file.ETag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}

// held sets parts of an open upload, as another run would have sent them.
func (d *fakeDaemon) upload(uid protocol.UID) *fakeUpload {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.uploads[uid]
}

func (d *fakeDaemon) stored(t *testing.T, uid protocol.UID, want []byte) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[uid]
	if f == nil {
		t.Fatalf("there is no file %s", uid)
	}
	if !bytes.Equal(f.data, want) {
		t.Fatalf("file %s has %d bytes that are not the %d put", uid, len(f.data), len(want))
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func writeProblem(w http.ResponseWriter, kind protocol.Kind, add func(*protocol.Problem)) {
	p := protocol.Errorf(kind, "fake").Problem("req-1")
	if add != nil {
		add(&p)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// loseReply serves the request and cuts the connection instead of answering.
func loseReply(r *http.Request, serve http.HandlerFunc) {
	serve(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// rig is an engine on a fake daemon, with everything a test may look at.
type rig struct {
	*Engine
	d     *fakeDaemon
	state *State
	dir   string

	mu     sync.Mutex
	warned []string
	pauses []time.Duration
}

func newRig(t *testing.T) *rig {
	r := &rig{d: newFakeDaemon(t), dir: t.TempDir()}
	state, err := OpenState(filepath.Join(t.TempDir(), "transfers"))
	if err != nil {
		t.Fatal(err)
	}
	r.state = state
	r.Engine = r.engine(t)
	return r
}

// engine is another osp on the same machine.
func (r *rig) engine(t *testing.T) *Engine {
	transport := client.NewTransport()
	c, err := client.New(client.Config{Server: r.d.srv.URL, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	e := New(Config{Client: c, State: r.state, Retries: DefaultRetries, Progress: &Progress{},
		Warn: func(msg string) { r.mu.Lock(); r.warned = append(r.warned, msg); r.mu.Unlock() }})
	e.pause = func(ctx context.Context, d time.Duration) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pauses = append(r.pauses, d)
		return ctx.Err()
	}
	return e
}

// write makes a file of n random bytes.
func (r *rig) write(t *testing.T, name string, n int) (path string, data []byte) {
	t.Helper()
	data = random(n, uint64(n))
	path = filepath.Join(r.dir, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path, data
}

func random(n int, seed uint64) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	// A piece that is random, again and again with its place in it, is as good
	// here, and takes a fraction of the time.
	piece := make([]byte, min(n, 32<<10))
	rand.NewChaCha8(key).Read(piece)
	data := make([]byte, n)
	for off := 0; off < n; off += len(piece) {
		if copy(data[off:], piece) >= 8 {
			binary.LittleEndian.PutUint64(data[off:], binary.LittleEndian.Uint64(piece)^uint64(off))
		}
	}
	return data
}

// transfers fails unless exactly n are remembered.
func (r *rig) transfers(t *testing.T, n int) []Transfer {
	t.Helper()
	all, broken, err := r.state.List()
	if err != nil || len(broken) > 0 {
		t.Fatal(err, broken)
	}
	if len(all) != n {
		t.Fatalf("%d transfers are remembered, want %d: %+v", len(all), n, all)
	}
	return all
}

func wantKind(t *testing.T, err error, kind protocol.Kind) *protocol.Error {
	t.Helper()
	e, ok := err.(*protocol.Error)
	if !ok || e.Kind != kind {
		t.Fatalf("error is %#v (%v), want kind %s", err, err, kind)
	}
	return e
}
