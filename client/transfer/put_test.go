package transfer

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

func TestPutSizes(t *testing.T) {
	const one = protocol.OneShotMax
	for _, n := range []int{0, 1, 2, one - 1, one, one + 1, testPart - 1, testPart, testPart + 1, 3*testPart - 2, 3*testPart + 2} {
		r := newRig(t)
		path, data := r.write(t, "a.bin", n)
		res, err := r.Put(t.Context(), PutRequest{Path: path})
		if err != nil {
			t.Fatal(n, err)
		}
		r.d.stored(t, res.UID, data)
		if res.Outcome != Uploaded || !res.Verified || res.SentBytes != int64(n) || res.ResumedBytes != 0 || res.Size != int64(n) ||
			res.Name != "a.bin" || res.Transfer != "" || res.Retries != 0 {
			t.Errorf("%d bytes: %+v", n, res)
		}
		if begins := r.d.count("POST /v1/uploads"); (begins == 0) != (n <= one) {
			t.Errorf("%d bytes: %d uploads were begun", n, begins)
		}
		r.transfers(t, 0)
		s := r.cfg.Progress.Snapshot()
		if s.Items != 1 || s.ItemsDone != 1 || s.Bytes != int64(n) || s.Moved != int64(n) || s.Resumed != 0 {
			t.Errorf("%d bytes: progress %+v", n, s)
		}
	}
}

// TestSmallFilesAreOneRequestEach, over few connections: 16 are put at a time, and
// now and then one more is opened before the last one is free again.
func TestSmallFilesAreOneRequestEach(t *testing.T) {
	r := newRig(t)
	const files, atOnce = 400, 16
	var mu sync.Mutex
	peers := map[string]bool{}
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		mu.Lock()
		peers[q.RemoteAddr] = true
		mu.Unlock()
		serve(w, q)
	})
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i := range files {
		path, _ := r.write(t, strconv.Itoa(i), 1+i%3)
		g.Go(func() error {
			_, err := r.Put(t.Context(), PutRequest{Path: path})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := len(r.d.requests); n != files+1 || r.d.count("POST /v1/files") != files || r.d.count("GET /v1/capabilities") != 1 {
		t.Errorf("%d requests for %d files", n, files)
	}
	if len(peers) > files/4 {
		t.Errorf("%d connections for %d files, %d at once", len(peers), files, atOnce)
	}
	r.transfers(t, 0)
}

func TestPutRefuses(t *testing.T) {
	r := newRig(t)
	for path, kind := range map[string]protocol.Kind{
		r.dir:                            protocol.KindUsage,
		filepath.Join(r.dir, "no"):       protocol.KindLocalMissing,
		os.DevNull:                       protocol.KindUsage,
		filepath.Join(r.dir, "no", "no"): protocol.KindLocalMissing,
	} {
		res, err := r.Put(t.Context(), PutRequest{Path: path, Name: "x"})
		wantKind(t, err, kind)
		if res.Outcome != Failed {
			t.Errorf("%s: %+v", path, res)
		}
	}
	path, _ := r.write(t, "a", 1)
	_, err := r.Put(t.Context(), PutRequest{Path: path, Name: "../a"})
	wantKind(t, err, protocol.KindBadName)
	if len(r.d.requests) > 0 {
		t.Errorf("the daemon was asked: %q", r.d.requests)
	}
}

// interrupt runs a put that is cancelled when part after is asked for.
func interrupt(t *testing.T, r *rig, path string, after int) Result {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	stop := errors.New("stop")
	var parts atomic.Int64
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if q.Method == http.MethodPut && int(parts.Add(1)) > after {
			cancel(stop)
			panic(http.ErrAbortHandler)
		}
		serve(w, q)
	})
	e := r.engine(t)
	e.cfg.PartsPerFile = 1
	res, err := e.Put(ctx, PutRequest{Path: path})
	r.d.on(nil)
	got := wantKind(t, err, protocol.KindInterrupted)
	if !errors.Is(err, stop) || !errors.Is(err, context.Canceled) || res.Transfer == "" || got.Hint != "osp resume "+string(res.Transfer) {
		t.Fatalf("interrupted with %#v, %+v", got, res)
	}
	return res
}

func TestPutResumes(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 5*testPart+7)
	first := interrupt(t, r, path, 3)
	if tr := r.transfers(t, 1)[0]; tr.LastError == nil || tr.LastError.Code != protocol.KindInterrupted || tr.UID != first.UID {
		t.Errorf("%+v", tr)
	}
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	r.d.stored(t, res.UID, data)
	if res.UID != first.UID || res.Outcome != Resumed || res.ResumedBytes != 3*testPart || res.SentBytes != 2*testPart+7 {
		t.Errorf("%+v", res)
	}
	r.transfers(t, 0)
	if len(r.warned) > 0 {
		t.Errorf("warned %q", r.warned)
	}
}

// The command was given again with other metadata: the bytes are resumed, the
// metadata is the last command's.
func TestPutResumesWithOtherMetadata(t *testing.T) {
	r := newRig(t)
	path, _ := r.write(t, "a.bin", 3*testPart)
	first := interrupt(t, r, path, 2)
	r.d.upload(first.UID).up.Meta = map[string]string{"old": "1", "same": "2"}
	at := protocol.TimeOf(time.Now().Add(time.Hour))
	res, err := r.Put(t.Context(), PutRequest{Path: path, MediaType: "text/plain", ExpiresAt: &at, Meta: map[string]string{"same": "2", "new": "3"}})
	if err != nil || res.UID != first.UID || res.Outcome != Resumed {
		t.Fatal(res, err)
	}
	f := r.d.files[res.UID].file
	if *f.MediaType != "text/plain" || !f.ExpiresAt.Equal(at.Time) || !maps.Equal(f.Meta, map[string]string{"same": "2", "new": "3"}) {
		t.Errorf("%+v", f)
	}
	r.transfers(t, 0)
}

// inFlight counts the requests that wait for their answers.
type inFlight struct {
	http.RoundTripper
	now, most atomic.Int64
}

func (f *inFlight) RoundTrip(q *http.Request) (*http.Response, error) {
	n := f.now.Add(1)
	defer f.now.Add(-1)
	for old := f.most.Load(); n > old && !f.most.CompareAndSwap(old, n); old = f.most.Load() {
	}
	return f.RoundTripper.RoundTrip(q)
}

// Over all files of an engine no more requests are in flight than connections.
func TestPutsShareTheConnections(t *testing.T) {
	r := newRig(t)
	f := &inFlight{RoundTripper: client.NewTransport()}
	c, err := client.New(client.Config{Server: r.d.srv.URL, Transport: f})
	if err != nil {
		t.Fatal(err)
	}
	defer f.RoundTripper.(*http.Transport).CloseIdleConnections()
	e := New(Config{Client: c, State: r.state, Connections: 3})
	var g errgroup.Group
	for _, name := range []string{"a", "b", "c", "d"} {
		path, _ := r.write(t, name, 5*testPart)
		g.Go(func() error { _, err := e.Put(t.Context(), PutRequest{Path: path}); return err })
	}
	if err := g.Wait(); err != nil || f.most.Load() > 3 || len(r.d.files) != 4 {
		t.Errorf("%d requests at once, %d files, %v", f.most.Load(), len(r.d.files), err)
	}
}

func TestResumeByTransfer(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 4*testPart)
	interrupt(t, r, path, 2)
	res, err := r.Resume(t.Context(), r.transfers(t, 1)[0])
	if err != nil || res.Outcome != Resumed || res.ResumedBytes != 2*testPart {
		t.Fatal(res, err)
	}
	r.d.stored(t, res.UID, data)
	r.transfers(t, 0)
}

func TestResumeFindsNothingOfOthers(t *testing.T) {
	r := newRig(t)
	path, _ := r.write(t, "a.bin", 2*testPart)
	interrupt(t, r, path, 1)
	tr := r.transfers(t, 1)[0]

	lease, _, err := r.state.lock(tr.ID)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Resume(t.Context(), tr)
	wantKind(t, err, protocol.KindBusy)
	lease.release()

	r.d.caps.ServerID = strings.Repeat("cd", 16)
	_, err = r.Resume(t.Context(), tr)
	wantKind(t, err, protocol.KindUsage)

	tr.ID = newID()
	_, err = r.Resume(t.Context(), tr)
	wantKind(t, err, protocol.KindNotFound)
	if entries, _ := os.ReadDir(r.state.Dir()); len(entries) != 2 {
		t.Errorf("left in the folder: %v", entries)
	}
}

// A second run beside one that is going on makes a File of its own.
func TestPutBesideARunningOne(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 2*testPart)
	first := interrupt(t, r, path, 1)
	lease, _, err := r.state.lock(first.Transfer)
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.UID == first.UID || res.Outcome != Uploaded || res.ResumedBytes != 0 {
		t.Fatal(res, err)
	}
	r.d.stored(t, res.UID, data)
	lease.release()
	r.transfers(t, 1)
}

func TestPutWithoutStateIsFoundByTheDaemon(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 3*testPart)
	first := interrupt(t, r, path, 2)
	if err := r.state.Remove(first.Transfer); err != nil {
		t.Fatal(err)
	}
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.UID != first.UID || res.Outcome != Resumed || res.ResumedBytes != 2*testPart {
		t.Fatal(res, err)
	}
	r.d.stored(t, res.UID, data)
}

// Runs of one command at the same time are given Files of their own: an upload
// that has no parts yet may be another's that has just begun.
func TestPutLeavesAnEmptyUploadAlone(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 2*testPart)
	first := interrupt(t, r, path, 0)
	if err := r.state.Remove(first.Transfer); err != nil {
		t.Fatal(err)
	}
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.UID == first.UID || res.Outcome != Uploaded {
		t.Fatal(res, err)
	}
	r.d.stored(t, res.UID, data)
}

func TestResumeUID(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 3*testPart)
	first := interrupt(t, r, path, 2)
	if err := r.state.Remove(first.Transfer); err != nil {
		t.Fatal(err)
	}
	longer, _ := r.write(t, "longer", 3*testPart+1)
	_, err := r.ResumeUID(t.Context(), first.UID, longer)
	wantKind(t, err, protocol.KindConflict)

	res, err := r.ResumeUID(t.Context(), first.UID, path)
	if err != nil || res.UID != first.UID || res.Outcome != Resumed || res.Name != "a.bin" {
		t.Fatal(res, err)
	}
	r.d.stored(t, res.UID, data)
	r.transfers(t, 0)

	res, err = r.ResumeUID(t.Context(), first.UID, path)
	if err != nil || res.Outcome != AlreadyComplete || res.SentBytes != 0 {
		t.Fatal(res, err)
	}
	os.WriteFile(path, random(len(data), 99), 0o644)
	_, err = r.ResumeUID(t.Context(), first.UID, path)
	wantKind(t, err, protocol.KindConflict)
	_, err = r.ResumeUID(t.Context(), 77, path)
	wantKind(t, err, protocol.KindNotFound)
	r.transfers(t, 0)
}

func TestPutAfterAnEdit(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 5*testPart)
	first := interrupt(t, r, path, 4)
	data[testPart+5] ^= 1 // a byte that no fingerprint window covers
	data[3*testPart-1] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.UID != first.UID || res.SentBytes != 3*testPart || res.ResumedBytes != 2*testPart {
		t.Fatal(res, err)
	}
	r.d.stored(t, res.UID, data)
	if len(r.warned) != 1 || !strings.Contains(r.warned[0], "2 of the 4 parts") {
		t.Errorf("warned %q", r.warned)
	}
}

func TestPutAfterTheSizeChanged(t *testing.T) {
	for _, size := range []int{4 * testPart, 100} {
		r := newRig(t)
		path, _ := r.write(t, "a.bin", 3*testPart)
		first := interrupt(t, r, path, 2)
		_, data := r.write(t, "a.bin", size)
		res, err := r.Put(t.Context(), PutRequest{Path: path})
		if err != nil || res.UID == first.UID || res.Outcome != Restarted || res.ResumedBytes != 0 {
			t.Fatal(res, err)
		}
		r.d.stored(t, res.UID, data)
		if r.d.upload(first.UID) != nil {
			t.Error("the outgrown upload is still there")
		}
		r.transfers(t, 0)
	}
}

func TestPutAfterTheUploadWasLost(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 3*testPart)
	first := interrupt(t, r, path, 2)
	delete(r.d.uploads, first.UID)
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.Outcome != Restarted || res.SentBytes != int64(len(data)) {
		t.Fatal(res, err)
	}
	r.d.stored(t, res.UID, data)
	r.transfers(t, 0)
}

// The node of a cluster where the put began is gone: another takes the file.
func TestPutAfterTheNodeWasLost(t *testing.T) {
	put := func(_ Transfer, r *rig, path string) (Result, error) {
		return r.Put(t.Context(), PutRequest{Path: path})
	}
	resume := func(tr Transfer, r *rig, _ string) (Result, error) { return r.Resume(t.Context(), tr) }
	for name, c := range map[string]struct {
		run   func(Transfer, *rig, string) (Result, error)
		grows bool
		told  string
	}{
		"put":                          {put, false, "is down; the file is sent from the beginning"},
		"resume":                       {resume, false, "is down; the file is sent from the beginning"},
		"put of a file that has grown": {put, true, "it is sent from the beginning"},
		"resume of one that has grown": {resume, true, "it is sent from the beginning"},
	} {
		r := newRig(t)
		path, data := r.write(t, "a.bin", 3*testPart)
		first := interrupt(t, r, path, 2)
		if c.grows {
			path, data = r.write(t, "a.bin", 4*testPart)
		}
		r.d.loseNodeOf(first.UID)
		res, err := c.run(r.transfers(t, 1)[0], r, path)
		if err != nil || res.UID == first.UID || res.Outcome != Restarted || res.SentBytes != int64(len(data)) {
			t.Errorf("%s: %+v, %v", name, res, err)
			continue
		}
		r.d.stored(t, res.UID, data)
		r.transfers(t, 0)
		if !strings.Contains(strings.Join(r.warned, "\n"), c.told) {
			t.Errorf("%s: warned %q", name, r.warned)
		}
	}
}

// loseNodeOf takes away the node that has an upload.
func (d *fakeDaemon) loseNodeOf(uid protocol.UID) {
	d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasPrefix(q.URL.Path, "/v1/uploads/"+uid.String()) {
			writeProblem(w, protocol.KindOwnerDown, nil)
			return
		}
		serve(w, q)
	})
}

// What is remembered of an upload whose node is gone stays until another is begun, and
// then until that is committed.
func TestResumeRemembersUntilItHasAnother(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 3*testPart)
	first := interrupt(t, r, path, 2)
	down := true
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasPrefix(q.URL.Path, "/v1/uploads") && down {
			writeProblem(w, protocol.KindOwnerDown, nil)
			return
		}
		serve(w, q)
	})
	_, err := r.Resume(t.Context(), r.transfers(t, 1)[0])
	wantKind(t, err, protocol.KindOwnerDown)
	tr := r.transfers(t, 1)[0]
	if tr.ID != first.Transfer || tr.UID != first.UID {
		t.Fatalf("%+v, begun as %+v", tr, first)
	}
	down = false
	res, err := r.Resume(t.Context(), tr)
	if err != nil || res.UID != first.UID || res.ResumedBytes != 2*testPart {
		t.Errorf("%+v, %v", res, err)
	}
	r.d.stored(t, res.UID, data)
}

// Who names an upload gets no other, and is told how to.
func TestResumeUIDWhoseNodeIsLost(t *testing.T) {
	r := newRig(t)
	path, _ := r.write(t, "a.bin", 3*testPart)
	first := interrupt(t, r, path, 2)
	for range 2 { // remembered, and not
		r.d.loseNodeOf(first.UID)
		_, err := r.ResumeUID(t.Context(), first.UID, path)
		e := wantKind(t, err, protocol.KindOwnerDown)
		if !strings.Contains(e.Message, "no other upload was begun: osp put "+path) || !strings.HasPrefix(e.Hint, "osp resume ") {
			t.Errorf("%s; %s", e, e.Hint)
		}
		if _, err := r.state.Prune(0); err != nil {
			t.Error(err)
		}
	}
}

func TestPutWhileTheUploadIsLost(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 4*testPart)
	r.cfg.PartsPerFile = 1
	var parts atomic.Int64
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if q.Method == http.MethodPut && parts.Add(1) == 3 {
			r.d.mu.Lock()
			clear(r.d.uploads)
			r.d.mu.Unlock()
		}
		serve(w, q)
	})
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.Outcome != Restarted || len(r.warned) != 1 {
		t.Fatal(res, err, r.warned)
	}
	r.d.stored(t, res.UID, data)
	if s := r.cfg.Progress.Snapshot(); s.Moved != int64(len(data)) || s.Bytes != int64(len(data)) {
		t.Errorf("progress %+v", s)
	}
}

// Every POST takes effect and its first answer is lost: one put, one File.
func TestPutLostReplies(t *testing.T) {
	for _, size := range []int{100, 3 * testPart} {
		r := newRig(t)
		path, data := r.write(t, "a.bin", size)
		var mu sync.Mutex
		lost := map[string]bool{}
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			mu.Lock()
			first := !lost[q.Method+q.URL.Path]
			lost[q.Method+q.URL.Path] = true
			mu.Unlock()
			if first {
				loseReply(q, serve)
			}
			serve(w, q)
		})
		res, err := r.Put(t.Context(), PutRequest{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		r.d.stored(t, res.UID, data)
		if len(r.d.files) != 1 || res.Outcome != Uploaded || res.Retries == 0 || res.ResumedBytes != 0 {
			t.Errorf("%d files, %+v", len(r.d.files), res)
		}
		r.transfers(t, 0)
	}
}

// The run was killed after its commit: the same command finds its File again.
func TestPutAfterCommit(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 3*testPart)
	first := interrupt(t, r, path, 2)
	r.d.store(first.UID, "a.bin", data)
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.UID != first.UID || res.Outcome != Resumed || res.SentBytes != 0 || res.ResumedBytes != int64(len(data)) || !res.Verified {
		t.Fatal(res, err)
	}
	r.transfers(t, 0)
}

// Another writer committed the upload in hand with other content.
func TestPutNeverTakesAnothersFile(t *testing.T) {
	other := random(3*testPart, 7)
	for name, when := range map[string]string{"before the run": "", "at a part": "PUT", "at the commit": "commit"} {
		r := newRig(t)
		path, data := r.write(t, "a.bin", len(other))
		first := interrupt(t, r, path, 1)
		if when == "" {
			r.d.store(first.UID, "a.bin", other)
		}
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			if when != "" && strings.Contains(q.URL.Path, first.UID.String()) && (q.Method == when || strings.HasSuffix(q.URL.Path, when)) {
				r.d.mu.Lock()
				r.d.store(first.UID, "a.bin", other)
				r.d.mu.Unlock()
			}
			serve(w, q)
		})
		res, err := r.Put(t.Context(), PutRequest{Path: path})
		if err != nil || res.UID == first.UID || res.Outcome != Uploaded || len(r.warned) != 1 {
			t.Fatal(name, res, err, r.warned)
		}
		r.d.stored(t, res.UID, data)
		r.d.stored(t, first.UID, other)
		r.transfers(t, 0)
	}
}

// At the commit the daemon holds other parts, or fewer, than it answered.
func TestPutMendsParts(t *testing.T) {
	for name, harm := range map[string]func(*fakeUpload){
		"differ":  func(u *fakeUpload) { u.data[2] = random(testPart, 3) },
		"missing": func(u *fakeUpload) { delete(u.data, 1); delete(u.data, 3) },
	} {
		r := newRig(t)
		path, data := r.write(t, "a.bin", 3*testPart)
		var done atomic.Bool
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			if strings.HasSuffix(q.URL.Path, "/commit") && !done.Swap(true) {
				for _, u := range r.d.uploads {
					harm(u)
				}
			}
			serve(w, q)
		})
		res, err := r.Put(t.Context(), PutRequest{Path: path})
		if err != nil {
			t.Fatal(name, err)
		}
		r.d.stored(t, res.UID, data)
	}
}

func TestPutGivesUpOnPartsThatNeverAgree(t *testing.T) {
	r := newRig(t)
	path, _ := r.write(t, "a.bin", 2*testPart)
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, "/commit") {
			for _, u := range r.d.uploads {
				u.data[2] = random(testPart, 3)
			}
		}
		serve(w, q)
	})
	_, err := r.Put(t.Context(), PutRequest{Path: path})
	wantKind(t, err, protocol.KindPartsDiffer)
	if n := r.d.count("POST /v1/uploads/"); n != 2*(maxRounds+1) {
		t.Errorf("%d commits", n)
	}
}

// Two runs of different files of one name, size and fingerprint were given the
// same upload: each ends with its own File.
func TestPutBesideAWriterOfTheSameUpload(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 2*testPart)
	var first atomic.Uint64
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, "/commit") {
			r.d.mu.Lock()
			for uid, u := range r.d.uploads {
				if first.CompareAndSwap(0, uint64(uid)) || first.Load() == uint64(uid) {
					u.data[2] = random(testPart, 3)
				}
			}
			r.d.mu.Unlock()
		}
		serve(w, q)
	})
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || uint64(res.UID) == first.Load() || len(r.warned) != 1 {
		t.Fatal(res, err, r.warned)
	}
	r.d.stored(t, res.UID, data)
}

func TestPutWhileTheFileChanges(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"shrinks":  func(p string) error { return os.Truncate(p, 2*testPart+1) },
		"empties":  func(p string) error { return os.Truncate(p, 0) },
		"grows":    func(p string) error { return os.Truncate(p, 9*testPart) },
		"removed":  os.Remove,
		"replaced": func(p string) error { os.Remove(p); return os.WriteFile(p, random(4*testPart, 5), 0o600) },
		"written": func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err == nil {
				f.WriteAt([]byte("other"), 3*testPart)
				err = f.Close()
			}
			return err
		},
	} {
		r := newRig(t)
		path, _ := r.write(t, "a.bin", 4*testPart)
		r.cfg.PartsPerFile = 1
		var parts atomic.Int64
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			if q.Method == http.MethodPut && parts.Add(1) == 2 {
				if err := change(path); err != nil {
					t.Error(err)
				}
			}
			serve(w, q)
		})
		res, err := r.Put(t.Context(), PutRequest{Path: path})
		e := wantKind(t, err, protocol.KindLocalChanged)
		if e.Kind.Row().Exit != 8 || len(r.d.files) != 0 || r.d.count("POST /v1/uploads/") != 0 || r.d.upload(res.UID) == nil {
			t.Errorf("%s: committed, or not kept: %v %+v", name, err, res)
		}
		r.transfers(t, 1)
	}
}

// chmod moves the change time alone.
func TestPutWhileTheFileIsTouched(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 2*testPart)
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		os.Chmod(path, 0o600)
		serve(w, q)
	})
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	r.d.stored(t, res.UID, data)
}

func TestPutRetriesADamagedPart(t *testing.T) {
	r := newRig(t)
	path, data := r.write(t, "a.bin", 3*testPart)
	var parts atomic.Int64
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if q.Method == http.MethodPut && parts.Add(1) == 1 {
			q.Header.Set(protocol.HeaderXXH3, strings.Repeat("0", 32))
		}
		serve(w, q)
	})
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	if err != nil || res.Retries != 1 || res.SentBytes != int64(len(data)+testPart) {
		t.Fatal(res, err)
	}
	r.d.stored(t, res.UID, data)
	if s := r.cfg.Progress.Snapshot(); s.Moved != int64(len(data)) {
		t.Errorf("progress counts the damaged part too: %+v", s)
	}
}

func TestPutGivesUp(t *testing.T) {
	r := newRig(t)
	r.cfg.Retries = 2
	path, _ := r.write(t, "a.bin", 2*testPart)
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if q.Method == http.MethodPut {
			w.Header().Set("Retry-After", "7")
			writeProblem(w, protocol.KindDraining, nil)
			return
		}
		serve(w, q)
	})
	res, err := r.Put(t.Context(), PutRequest{Path: path})
	e := wantKind(t, err, protocol.KindDraining)
	tr := r.transfers(t, 1)[0]
	if e.Hint != tr.Command() || e.RequestID != "req-1" || res.Transfer != tr.ID || res.Outcome != Failed || tr.LastError.Code != protocol.KindDraining {
		t.Errorf("%+v %#v %+v", res, e, tr)
	}
	for _, d := range r.pauses {
		if d.Seconds() < 7 {
			t.Errorf("waited %s, was asked for 7 s", d)
		}
	}
}

func TestRemove(t *testing.T) {
	r := newRig(t)
	f := r.d.add("x", []byte("abc"))
	var calls atomic.Int64
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if calls.Add(1) == 1 {
			loseReply(q, serve)
		}
		serve(w, q)
	})
	if res, err := r.Remove(t.Context(), f.UID); err != nil || res.Outcome != Deleted || res.Retries != 1 {
		t.Fatal(res, err)
	}
	res, err := r.Remove(t.Context(), f.UID)
	wantKind(t, err, protocol.KindNotFound)
	if res.Outcome != Failed {
		t.Errorf("%+v", res)
	}
}
