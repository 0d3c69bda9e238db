package transfer

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/protocol"
)

// memory is what a caller of Put keeps of it from one try to the next.
type memory struct {
	key string
	uid protocol.UID
}

func (m *memory) request(path string) PutRequest {
	return PutRequest{Path: path, Once: &Once{Key: m.key, UID: m.uid, Begun: func(uid protocol.UID) error {
		m.uid = uid
		return nil
	}}}
}

// only is the one File of the daemon.
func (d *fakeDaemon) only(t interface{ Fatalf(string, ...any) }) *fakeFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.files) != 1 {
		t.Fatalf("%d files were made", len(d.files))
	}
	for _, f := range d.files {
		return f
	}
	return nil
}

// TestAllTriesTogetherMakeOneFile: wherever tries are cut off, before a request
// or after it was carried out, and whether or not this machine still knows the
// transfer, the put ends as one File, and further tries find it.
func TestAllTriesTogetherMakeOneFile(t *testing.T) {
	sizes := []int{0, 100, protocol.OneShotMax, protocol.OneShotMax + 1, testPart + 1}
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t)
		r.d.instant = rapid.Bool().Draw(rt, "instant")
		n := rapid.SampledFrom(sizes).Draw(rt, "size")
		path, data := r.write(t, "a.bin", n)
		m := &memory{key: "k"}
		for range rapid.IntRange(0, 3).Draw(rt, "cuts") {
			cutOff(rt, t, r, m, path)
		}
		for range 2 {
			res, err := r.Put(t.Context(), m.request(path))
			if err != nil {
				rt.Fatal(err)
			}
			if f := r.d.only(rt); f.file.UID != res.UID || string(f.data) != string(data) {
				rt.Fatalf("file %s of %d bytes, and the result is %+v", f.file.UID, len(f.data), res)
			}
		}
		r.transfers(t, 0)
	})
}

// cutOff runs a try that is stopped at some request, before or after it was
// carried out, or that gets through without anybody seeing its result.
func cutOff(rt *rapid.T, t *testing.T, r *rig, m *memory, path string) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	last := rapid.IntRange(1, 7).Draw(rt, "request")
	carried := rapid.Bool().Draw(rt, "carried out")
	requests := 0
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		r.mu.Lock()
		requests++
		here := requests >= last
		r.mu.Unlock()
		if !here {
			serve(w, q)
			return
		}
		if carried {
			serve(httptest.NewRecorder(), q)
		}
		cancel(errors.New("stop"))
		panic(http.ErrAbortHandler)
	})
	e := r.engine(t)
	e.cfg.PartsPerFile = 1
	if _, err := e.Put(ctx, m.request(path)); err != nil && protocol.KindOf(err) != protocol.KindInterrupted {
		rt.Fatalf("cut off with %v", err)
	}
	r.d.on(nil)
	if rapid.Bool().Draw(rt, "the state is lost") {
		all, _, err := r.state.List()
		if err != nil {
			rt.Fatal(err)
		}
		for _, tr := range all {
			if err := r.state.Remove(tr.ID); err != nil {
				rt.Fatal(err)
			}
		}
	}
}

// stopAtParts runs a try that ends before its first part is sent.
func stopAtParts(t *testing.T, r *rig, m *memory, path string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if q.Method == http.MethodPut {
			cancel()
			panic(http.ErrAbortHandler)
		}
		serve(w, q)
	})
	_, err := r.Put(ctx, m.request(path))
	wantKind(t, err, protocol.KindInterrupted)
	r.d.on(nil)
}

// TestPutsOfOnePathAreToldApart: two puts of one path and name are two Files,
// whichever of them is tried again first.
func TestPutsOfOnePathAreToldApart(t *testing.T) {
	r := newRig(t)
	r.d.instant = true
	path, data := r.write(t, "a.bin", 2*testPart)
	one, two := &memory{key: "one"}, &memory{key: "two"}
	stopAtParts(t, r, one, path)
	second, err := r.Put(t.Context(), two.request(path))
	if err != nil {
		t.Fatal(err)
	}
	first, err := r.Put(t.Context(), one.request(path))
	if err != nil || first.UID != one.uid || second.UID != two.uid || one.uid == two.uid {
		t.Errorf("%+v and %+v (%v), remembered %+v and %+v", first, second, err, one, two)
	}
	r.d.stored(t, first.UID, data)
	r.d.stored(t, second.UID, data)
	r.transfers(t, 0)
}

// TestPutThatMayBeStoredAndChanged: where an earlier try stored what the file
// was then, nothing is sent, and the caller is told.
func TestPutThatMayBeStoredAndChanged(t *testing.T) {
	tests := []struct {
		name          string
		before, after int // of -n bytes: n others
	}{
		{"a small one", 100, 101},
		{"a small one of the same size", 100, -100},
		{"a small one that is large now", 100, testPart},
		{"a large one", testPart, 2 * testPart},
		{"a large one of the same size", testPart, -testPart},
		{"a large one that is small now", testPart, 100},
	}
	for _, tt := range tests {
		r := newRig(t)
		path, data := r.write(t, "a.bin", tt.before)
		m := &memory{key: "k"}
		res, err := r.Put(t.Context(), m.request(path))
		if err != nil {
			t.Fatal(tt.name, err)
		}
		other := random(max(tt.after, -tt.after), 77)
		if err := os.WriteFile(path, other, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = r.Put(t.Context(), m.request(path))
		wantKind(t, err, protocol.KindConflict)
		r.d.stored(t, res.UID, data)
		r.d.only(t)
		// With another key, and without the uid, it is another put.
		again, err := r.Put(t.Context(), (&memory{key: "k2"}).request(path))
		if err != nil || again.UID == res.UID {
			t.Errorf("%s: then %+v (%v)", tt.name, again, err)
		}
		r.d.stored(t, again.UID, other)
	}
}

// TestPutWhoseUploadIsGone: a try that must begin anew does so once for all
// tries that find the same.
func TestPutWhoseUploadIsGone(t *testing.T) {
	gone := func(r *rig, m *memory, _ string) { delete(r.d.uploads, m.uid) }
	outgrown := func(n int) func(*rig, *memory, string) {
		return func(_ *rig, _ *memory, path string) { rewrite(t, path, n) }
	}
	lost := func(r *rig, m *memory, _ string) { r.d.loseNodeOf(m.uid) }
	for name, spoil := range map[string]func(*rig, *memory, string){"gone": gone, "grown": outgrown(3 * testPart), "shrunk": outgrown(10), "on a node that is lost": lost,
		"grown, on a node that is lost": func(r *rig, m *memory, path string) {
			outgrown(3*testPart)(r, m, path)
			lost(r, m, path)
		}} {
		r := newRig(t)
		path, _ := r.write(t, "a.bin", 2*testPart)
		m := &memory{key: "k"}
		stopAtParts(t, r, m, path)
		spoil(r, m, path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		old := *m
		res, err := r.Put(t.Context(), m.request(path))
		anew := func(warning string) bool { return strings.Contains(warning, "from the beginning") }
		if err != nil || res.Outcome != Restarted || len(r.warned) == 0 || slices.IndexFunc(r.warned, anew) != len(r.warned)-1 {
			t.Fatalf("%s: %+v (%v), warned %q", name, res, err, r.warned)
		}
		// A caller that did not see the new upload finds the same.
		again, err := r.Put(t.Context(), old.request(path))
		if err != nil || again.UID != res.UID {
			t.Errorf("%s: then %+v (%v), before %+v", name, again, err, res)
		}
		r.d.only(t)
		r.d.stored(t, res.UID, data)
	}
}

// TestPutIsNotSentUnlessItIsNoted: what cannot be remembered is not begun.
func TestPutIsNotSentUnlessItIsNoted(t *testing.T) {
	r := newRig(t)
	path, _ := r.write(t, "a.bin", testPart)
	full := protocol.Errorf(protocol.KindLocalFull, "no room to note it")
	_, err := r.Put(t.Context(), PutRequest{Path: path, Once: &Once{Key: "k", Begun: func(protocol.UID) error { return full }}})
	wantKind(t, err, protocol.KindLocalFull)
	if n := r.d.count("PUT "); n > 0 {
		t.Errorf("%d parts were sent", n)
	}
}

// TestPutOfAnUploadThatAnotherRunHolds: it is left to that run.
func TestPutOfAnUploadThatAnotherRunHolds(t *testing.T) {
	r := newRig(t)
	path, _ := r.write(t, "a.bin", 2*testPart)
	first := interrupt(t, r, path, 1)
	lease, _, err := r.state.lock(first.Transfer)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.release()
	m := &memory{key: "k", uid: first.UID}
	_, err = r.Put(t.Context(), m.request(path))
	wantKind(t, err, protocol.KindBusy)
	if all, err := filepath.Glob(filepath.Join(r.dir, "*")); err != nil || len(all) != 1 {
		t.Errorf("left: %v (%v)", all, err)
	}
}

// TestWouldPutOfAnEarlierTry: what a further try would do is told, and not done.
func TestWouldPutOfAnEarlierTry(t *testing.T) {
	const size = 2 * testPart
	tests := []struct {
		name    string
		uid     bool // of the upload that the earlier try began
		arrange func(t *testing.T, r *rig, m *memory, path string)
		would   Outcome
		fails   protocol.Kind
	}{
		{"nothing known", false, nil, Uploaded, ""},
		{"open", true, nil, Resumed, ""},
		{"done", true, putAgain, Resumed, ""},
		{"gone", true, func(_ *testing.T, r *rig, m *memory, _ string) { delete(r.d.uploads, m.uid) }, Restarted, ""},
		{"on a node that is lost", true, func(_ *testing.T, r *rig, m *memory, _ string) { r.d.loseNodeOf(m.uid) }, Restarted, ""},
		{"outgrown", true, func(t *testing.T, _ *rig, _ *memory, path string) { rewrite(t, path, size+1) }, Restarted, ""},
		{"stored before it changed", true, func(t *testing.T, r *rig, m *memory, path string) {
			putAgain(t, r, m, path)
			rewrite(t, path, size+1)
		}, "", protocol.KindConflict},
	}
	for _, tt := range tests {
		r := newRig(t)
		path, _ := r.write(t, "a.bin", size)
		m := &memory{key: "k"}
		stopAtParts(t, r, m, path)
		if tt.arrange != nil {
			tt.arrange(t, r, m, path)
		}
		before := len(r.d.files) + r.d.count("POST ") + r.d.count("PUT ")
		req := m.request(path)
		if !tt.uid {
			req.Once.UID = 0
		}
		res, err := r.WouldPut(t.Context(), req)
		if protocol.KindOf(err) != tt.fails || res.Would != tt.would || tt.would == Resumed && res.UID != m.uid {
			t.Errorf("%s: would %q (%v), want %q", tt.name, res.Would, err, tt.would)
		}
		if after := len(r.d.files) + r.d.count("POST ") + r.d.count("PUT "); after != before {
			t.Errorf("%s: it did something", tt.name)
		}
	}
}

func putAgain(t *testing.T, r *rig, m *memory, path string) {
	t.Helper()
	if _, err := r.Put(t.Context(), m.request(path)); err != nil {
		t.Fatal(err)
	}
}

func rewrite(t *testing.T, path string, n int) {
	t.Helper()
	if err := os.WriteFile(path, random(n, 5), 0o600); err != nil {
		t.Fatal(err)
	}
}
