package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// holds fails unless the folder has exactly these files with these contents.
func holds(t *testing.T, dir string, want map[string][]byte) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		expected, ok := want[entry.Name()]
		if err != nil || !ok || !bytes.Equal(data, expected) {
			t.Errorf("%s has %d bytes, is expected: %v, error: %v", entry.Name(), len(data), ok, err)
		}
	}
	if len(entries) != len(want) {
		t.Errorf("%s has %d files, want %d", dir, len(entries), len(want))
	}
}

func TestGetSizes(t *testing.T) {
	const b = protocol.BlockSize
	for _, n := range []int{0, 1, 2, b - 2, b - 1, b, b + 1, b + 2, 4*b - 1, 4 * b, 4*b + 1, 9*b + 3} {
		r := newRig(t)
		data := random(n, uint64(n))
		f := r.d.add("some/where/a.bin", data)
		res, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir})
		if err != nil {
			t.Fatal(n, err)
		}
		if res.Outcome != Downloaded || !res.Verified || res.SentBytes != int64(n) || res.Path != filepath.Join(r.dir, "a.bin") ||
			res.Size != int64(n) || res.Transfer != "" || *res.Digest != *f.Digest || res.Name != f.Name {
			t.Errorf("%d bytes: %+v", n, res)
		}
		holds(t, r.dir, map[string][]byte{"a.bin": data})
		r.transfers(t, 0)
		if s := r.cfg.Progress.Snapshot(); s.Bytes != int64(n) || s.Moved != int64(n) || s.ItemsDone != 1 {
			t.Errorf("%d bytes: progress %+v", n, s)
		}
		res, err = r.Get(t.Context(), GetRequest{UID: f.UID, Path: filepath.Join(r.dir, "a.bin")})
		if err != nil || res.Outcome != AlreadyComplete || res.SentBytes != 0 || res.ResumedBytes != int64(n) {
			t.Errorf("%d bytes again: %+v %v", n, res, err)
		}
		holds(t, r.dir, map[string][]byte{"a.bin": data})
	}
}

func TestGetOverAnExistingFile(t *testing.T) {
	data, other := random(3*protocol.BlockSize, 1), random(3*protocol.BlockSize, 2)
	for _, c := range []struct {
		do      IfExists
		there   []byte
		outcome Outcome
		kind    protocol.Kind
		after   []byte
	}{
		{"", other, Failed, protocol.KindLocalExists, other},
		{ExistsFail, other[:5], Failed, protocol.KindLocalExists, other[:5]},
		{ExistsSkip, other, Skipped, "", other},
		{ExistsOverwrite, other, Downloaded, "", data},
		{ExistsFail, data, AlreadyComplete, "", data},
		{ExistsOverwrite, data, AlreadyComplete, "", data},
	} {
		r := newRig(t)
		f := r.d.add("a", data)
		os.WriteFile(filepath.Join(r.dir, "a"), c.there, 0o644)
		res, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir, IfExists: c.do})
		if protocol.KindOf(err) != c.kind || res.Outcome != c.outcome {
			t.Errorf("%+v: %+v %v", c.do, res, err)
		}
		holds(t, r.dir, map[string][]byte{"a": c.after})
		r.transfers(t, 0)
	}
}

// The target appears while the get is running.
func TestGetNeverReplacesWhatCameMeanwhile(t *testing.T) {
	r := newRig(t)
	f := r.d.add("a", random(10, 1))
	target := filepath.Join(r.dir, "a")
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, "/content") {
			os.WriteFile(target, []byte("mine"), 0o644)
		}
		serve(w, q)
	})
	_, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: target})
	wantKind(t, err, protocol.KindLocalExists)
	if got, _ := os.ReadFile(target); string(got) != "mine" {
		t.Errorf("the file was replaced by %q", got)
	}
}

func TestGetThroughALinkKeepsTheLink(t *testing.T) {
	r := newRig(t)
	f := r.d.add("a", []byte("new"))
	os.WriteFile(filepath.Join(r.dir, "real"), []byte("old"), 0o644)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(r.dir, "real"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: link, IfExists: ExistsOverwrite}); err != nil {
		t.Fatal(err)
	}
	holds(t, r.dir, map[string][]byte{"real": []byte("new")})
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link is gone", err)
	}
}

func TestGetRefuses(t *testing.T) {
	r := newRig(t)
	f := r.d.add("a", []byte("abc"))
	evil := r.d.add("..", []byte("abc"))
	control := r.d.add("a/\x1b[2J", []byte("abc"))
	for name, c := range map[string]struct {
		req  GetRequest
		kind protocol.Kind
	}{
		"unknown uid":     {GetRequest{UID: 5, Path: r.dir}, protocol.KindNotFound},
		"no folder":       {GetRequest{UID: f.UID, Path: filepath.Join(r.dir, "no", "a")}, protocol.KindLocalMissing},
		"no such folder/": {GetRequest{UID: f.UID, Path: filepath.Join(r.dir, "no") + "/"}, protocol.KindLocalMissing},
		"a device":        {GetRequest{UID: f.UID, Path: os.DevNull}, protocol.KindUsage},
		"dots":            {GetRequest{UID: evil.UID, Path: r.dir}, protocol.KindBadName},
		"control":         {GetRequest{UID: control.UID, Path: r.dir}, protocol.KindBadName},
	} {
		res, err := r.Get(t.Context(), c.req)
		if protocol.KindOf(err) != c.kind || res.Outcome != Failed {
			t.Errorf("%s: %+v %v", name, res, err)
		}
	}
	holds(t, r.dir, nil)
	r.transfers(t, 0)
}

// flip serves content with one byte changed in block i, so often.
func flip(d *fakeDaemon, i int, times int64) {
	var done atomic.Int64
	d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if !strings.HasSuffix(q.URL.Path, "/content") {
			serve(w, q)
			return
		}
		rec := httptest.NewRecorder()
		serve(rec, q)
		body := rec.Body.Bytes()
		var first int
		if _, rest, ok := strings.Cut(q.Header.Get("Range"), "="); ok {
			from, _, _ := strings.Cut(rest, "-")
			first, _ = strconv.Atoi(from)
		}
		if at := i*protocol.BlockSize + 17 - first; at >= 0 && at < len(body) && done.Add(1) <= times {
			body[at] ^= 0x40
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		w.Write(body)
	})
}

func TestGetFetchesADamagedBlockAgain(t *testing.T) {
	r := newRig(t)
	data := random(6*protocol.BlockSize+9, 1)
	f := r.d.add("a", data)
	flip(r.d, 2, maxDamaged-1)
	res, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir})
	if err != nil || !res.Verified || res.Retries != maxDamaged-1 || res.SentBytes <= int64(len(data)) {
		t.Fatal(res, err)
	}
	holds(t, r.dir, map[string][]byte{"a": data})
	if s := r.cfg.Progress.Snapshot(); s.Moved != int64(len(data)) {
		t.Errorf("progress %+v", s)
	}
}

func TestGetLeavesNothingOfDamagedContent(t *testing.T) {
	for name, harm := range map[string]func(d *fakeDaemon){
		"damaged each time": func(d *fakeDaemon) { flip(d, 2, 1<<40) },
		"the daemon says so": func(d *fakeDaemon) {
			d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
				if strings.HasSuffix(q.URL.Path, "/content") {
					writeProblem(w, protocol.KindContentCorrupt, nil)
					return
				}
				serve(w, q)
			})
		},
		"false block digests": func(d *fakeDaemon) {
			d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
				if strings.HasSuffix(q.URL.Path, "/blocks") {
					w.Write(make([]byte, 5*32))
					return
				}
				serve(w, q)
			})
		},
	} {
		r := newRig(t)
		f := r.d.add("a", random(5*protocol.BlockSize, 1))
		harm(r.d)
		res, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir})
		if protocol.KindOf(err).Row().Exit != 7 || res.Verified || res.Outcome != Failed || res.Transfer != "" {
			t.Errorf("%s: %+v %v", name, res, err)
		}
		holds(t, r.dir, nil)
		r.transfers(t, 0)
	}
}

func TestGetFromABadConnection(t *testing.T) {
	for name, harm := range map[string]func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc){
		"no answer": func(http.ResponseWriter, *http.Request, http.HandlerFunc) { panic(http.ErrAbortHandler) },
		"unavailable": func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			writeProblem(w, protocol.KindUnavailable, nil)
		},
		"cut in a block": func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			rec := httptest.NewRecorder()
			serve(rec, q)
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.WriteHeader(rec.Code)
			w.Write(rec.Body.Bytes()[:rec.Body.Len()*2/3])
			panic(http.ErrAbortHandler)
		},
	} {
		r := newRig(t)
		data := random(6*protocol.BlockSize, 1)
		f := r.d.add("a", data)
		var mu sync.Mutex
		seen := map[string]bool{}
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			key := q.URL.Path + q.Header.Get("Range")
			mu.Lock()
			again := seen[key]
			seen[key] = true
			mu.Unlock()
			if again {
				serve(w, q)
				return
			}
			harm(w, q, serve)
		})
		res, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir})
		if err != nil || !res.Verified || res.Retries == 0 {
			t.Fatal(name, res, err)
		}
		holds(t, r.dir, map[string][]byte{"a": data})
	}
}

// An answer that breaks off however often it is asked for is said to have come
// so far, with what is here and what to do; nobody is sent to look whether the
// daemon runs.
func TestGetThatIsCutEachTime(t *testing.T) {
	for _, c := range []struct {
		blocks        int
		message, hint string
	}{
		{1, "broke off: 1398101 of 4194304 bytes came; nothing of the file is here yet", "Ask for it again."},
		{40, "broke off: 1398101 of 4194304 bytes came; 163577856 of 167772160 bytes of the file are here and kept", "osp "},
	} {
		r := newRig(t)
		f := r.d.add("a", random(c.blocks*protocol.BlockSize, 1))
		last := fmt.Sprint(int64(c.blocks)*protocol.BlockSize - 1)
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			ranged := q.Header.Get("Range")
			if !strings.HasSuffix(q.URL.Path, "/content") || ranged != "" && !strings.HasSuffix(ranged, "-"+last) {
				serve(w, q)
				return
			}
			rec := httptest.NewRecorder()
			serve(rec, q)
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.WriteHeader(rec.Code)
			w.Write(rec.Body.Bytes()[:rec.Body.Len()-2*protocol.BlockSize/3-1])
			panic(http.ErrAbortHandler)
		})
		_, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir})
		e, ok := errors.AsType[*protocol.Error](err)
		if !ok || e.Kind != protocol.KindNetwork || !strings.Contains(e.Message, c.message) || !strings.HasPrefix(e.Hint, c.hint) {
			t.Errorf("%d blocks: %v\nhint: %+v", c.blocks, err, e)
		}
	}
}

// What claims to be the range and is not must not be believed, nor repeated.
func TestGetRefusesWrongRanges(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"the whole": func(w http.ResponseWriter, q *http.Request) { w.Write(make([]byte, 5*protocol.BlockSize)) },
		"another range": func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Range", "bytes 1-4194304/20971520")
			w.Header().Set("Content-Length", strconv.Itoa(protocol.BlockSize))
			w.WriteHeader(http.StatusPartialContent)
		},
		"no range": func(w http.ResponseWriter, q *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			w.Write(make([]byte, protocol.BlockSize))
		},
	} {
		r := newRig(t)
		f := r.d.add("a", random(5*protocol.BlockSize, 1))
		r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
			if strings.HasSuffix(q.URL.Path, "/content") {
				answer(w, q)
				return
			}
			serve(w, q)
		})
		res, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir})
		wantKind(t, err, protocol.KindInternal)
		if res.Retries != 0 {
			t.Errorf("%s was asked for again", name)
		}
		if _, err := os.Stat(filepath.Join(r.dir, "a")); err == nil {
			t.Errorf("%s became a file", name)
		}
	}
}

func TestGetOfAnotherContent(t *testing.T) {
	r := newRig(t)
	f := r.d.add("a", random(100, 1))
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, "/content") {
			q.Header.Set("If-Match", `"another"`)
		}
		serve(w, q)
	})
	_, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir})
	wantKind(t, err, protocol.KindPreconditionFailed)
	holds(t, r.dir, nil)
}

// stopGet cancels a get after so many ranges.
func stopGet(t *testing.T, r *rig, uid protocol.UID, after int64) Result {
	t.Helper()
	return stopGetOf(t, r, GetRequest{UID: uid, Path: r.dir}, after)
}

func stopGetOf(t *testing.T, r *rig, req GetRequest, after int64) Result {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	stop := errors.New("stop")
	var ranges atomic.Int64
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, "/content") && ranges.Add(1) > after {
			cancel(stop)
			panic(http.ErrAbortHandler)
		}
		serve(w, q)
	})
	e := r.engine(t)
	e.cfg.PartsPerFile = 1
	res, err := e.Get(ctx, req)
	r.d.on(nil)
	e2 := wantKind(t, err, protocol.KindInterrupted)
	if res.Transfer == "" || !errors.Is(err, stop) || e2.Hint != resumeCommand(res.Transfer) {
		t.Fatal(res, err)
	}
	return res
}

func TestGetResumes(t *testing.T) {
	const b = protocol.BlockSize
	for name, again := range map[string]func(r *rig, tr Transfer) (Result, error){
		"the same command": func(r *rig, tr Transfer) (Result, error) {
			return r.Get(t.Context(), GetRequest{UID: tr.UID, Path: r.dir})
		},
		"resume": func(r *rig, tr Transfer) (Result, error) { return r.Resume(t.Context(), tr) },
	} {
		r := newRig(t)
		data := append(random(12*b, 1), make([]byte, b+5)...)
		f := r.d.add("a", data)
		stopGet(t, r, f.UID, 2)
		tr := r.transfers(t, 1)[0]
		part, err := os.OpenFile(tr.Target, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		part.WriteAt([]byte("damage"), b+100) // one of the 8 blocks that came
		part.Close()

		res, err := again(r, tr)
		// The zeros at the end are there already, being what a hole reads as.
		if err != nil || res.Outcome != Resumed || res.ResumedBytes != 7*b+b+5 || res.SentBytes != 5*b || !res.Verified {
			t.Fatal(name, res, err)
		}
		holds(t, r.dir, map[string][]byte{"a": data})
		r.transfers(t, 0)
	}
}

func TestGetResumesWithoutThePartFile(t *testing.T) {
	r := newRig(t)
	data := random(6*protocol.BlockSize, 1)
	f := r.d.add("a", data)
	stopGet(t, r, f.UID, 1)
	tr := r.transfers(t, 1)[0]
	os.Remove(tr.Target)
	res, err := r.Resume(t.Context(), tr)
	if err != nil || res.Outcome != Downloaded || res.ResumedBytes != 0 {
		t.Fatal(res, err)
	}
	holds(t, r.dir, map[string][]byte{"a": data})
}

func TestResumeOfADeletedFileLeavesNothing(t *testing.T) {
	r := newRig(t)
	f := r.d.add("a", random(6*protocol.BlockSize, 1))
	stopGet(t, r, f.UID, 1)
	delete(r.d.files, f.UID)
	_, err := r.Resume(t.Context(), r.transfers(t, 1)[0])
	wantKind(t, err, protocol.KindNotFound)
	holds(t, r.dir, nil)
	r.transfers(t, 0)
}

func TestGetWhileTheDigestIsUnknown(t *testing.T) {
	r := newRig(t)
	data := random(3*protocol.BlockSize+1, 1)
	f := r.d.add("a", data)
	r.d.files[f.UID].file.Digest = nil
	_, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir})
	wantKind(t, err, protocol.KindDigestPending)
	holds(t, r.dir, nil)
	res, err := r.Get(t.Context(), GetRequest{UID: f.UID, Path: r.dir, NoVerify: true})
	if err != nil || res.Verified || res.Outcome != Downloaded || r.d.count("GET /v1/files/"+f.UID.String()+"/blocks") != 0 {
		t.Fatal(res, err)
	}
	holds(t, r.dir, map[string][]byte{"a": data})
}

func TestCat(t *testing.T) {
	const b = protocol.BlockSize
	for _, n := range []int{0, 1, b, b + 1, 20*b + 3} {
		r := newRig(t)
		data := random(n, 1)
		f := r.d.add("a", data)
		flip(r.d, 1, 2)
		var out bytes.Buffer
		res, err := r.Cat(t.Context(), CatRequest{UID: f.UID}, &out)
		if err != nil || !bytes.Equal(out.Bytes(), data) || !res.Verified || res.Outcome != Downloaded {
			t.Fatal(n, res, err)
		}
	}
}

func TestCatWritesNoDamagedBlock(t *testing.T) {
	r := newRig(t)
	data := random(9*protocol.BlockSize, 1)
	f := r.d.add("a", data)
	flip(r.d, 5, 1<<40)
	var out bytes.Buffer
	res, err := r.Cat(t.Context(), CatRequest{UID: f.UID}, &out)
	wantKind(t, err, protocol.KindIntegrity)
	if !bytes.HasPrefix(data[:5*protocol.BlockSize], out.Bytes()) || res.Verified {
		t.Errorf("%d bytes were written that are not the beginning", out.Len())
	}
	out.Reset()
	if res, err := r.Cat(t.Context(), CatRequest{UID: f.UID, NoVerify: true}, &out); err != nil || res.Verified || out.Len() != len(data) {
		t.Error(res, err)
	}
}

type brokenWriter struct{ left int }

func (b *brokenWriter) Write(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, os.ErrClosed
	}
	return len(p), nil
}

func TestCatIntoAClosedPipe(t *testing.T) {
	r := newRig(t)
	f := r.d.add("a", random(30*protocol.BlockSize, 1))
	_, err := r.Cat(t.Context(), CatRequest{UID: f.UID}, &brokenWriter{2})
	wantKind(t, err, protocol.KindLocalIO)
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v hides its cause", err)
	}
	if n := r.d.count("GET /v1/files/" + f.UID.String() + "/content"); n > 2+2*DefaultPartsPerFile {
		t.Errorf("read %d blocks ahead", n)
	}
}
