//go:build servers && unix

package process

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/protocol"
)

// crashEnv chooses where a daemon built with the tag "crashpoints" dies.
const crashEnv = "OSPD_CRASH_AT"

// TestDeathAtEveryNamedStep lets a daemon die at each named step of a put, a
// part, a commit, an abort, a deletion and the work after them, at the first,
// second and third passing of it, and holds it to its word: what was answered is
// there and whole, what was not is there whole or not at all, and fsck finds
// nothing.
func TestDeathAtEveryNamedStep(t *testing.T) {
	mortal, err := harness.Build(t.TempDir(), "crashpoints")
	if err != nil {
		t.Fatal(err)
	}
	names := crashPoints(t, mortal)
	var minio *s3server.Server // for the steps that only an object store has
	if slices.ContainsFunc(names, needsBucket) {
		minio = s3server.Start(t, s3server.MinIO())
	}
	for _, name := range slices.DeleteFunc(names, inImport) {
		for nth := 1; nth <= 3; nth++ {
			point := fmt.Sprintf("%s:%d", name, nth)
			t.Run(point, func(t *testing.T) {
				var args []string
				if needsBucket(name) {
					args = inBucket(t, minio)
				}
				if died := dieAt(t, mortal, point, args...); !died && nth == 1 {
					t.Errorf("nothing in this test reaches %s", name)
				}
			})
		}
	}
}

// TestShippedBuildHasNoCrashPoints: neither the variable nor one of the names
// is in the binary that users get.
func TestShippedBuildHasNoCrashPoints(t *testing.T) {
	mortal, err := harness.Build(t.TempDir(), "crashpoints")
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := os.ReadFile(bin.OSPD)
	if err != nil {
		t.Fatal(err)
	}
	test, err := os.ReadFile(mortal.OSPD)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range append(crashPoints(t, mortal), crashEnv) {
		if bytes.Contains(shipped, []byte(word)) {
			t.Errorf("the shipped ospd holds %q", word)
		}
		if !bytes.Contains(test, []byte(word)) {
			t.Errorf("the test build does not hold %q, so this test proves nothing", word)
		}
	}
	if exit := harness.Start(t, nil, "", bin.OSPD, "crashpoints").Wait(); exit == 0 {
		t.Error("the shipped ospd has the command crashpoints")
	}
}

func crashPoints(t *testing.T, mortal harness.Binaries) []string {
	t.Helper()
	p := harness.Start(t, nil, "", mortal.OSPD, "crashpoints")
	if exit := p.Wait(); exit != 0 {
		t.Fatalf("ospd crashpoints left with %d: %s", exit, p.Stderr())
	}
	names := strings.Fields(p.Stdout())
	if len(names) < 10 {
		t.Fatalf("too few crash points: %q", names)
	}
	return names
}

// needsBucket reports whether a daemon comes to the step only where its default
// store is a bucket.
func needsBucket(name string) bool { return strings.HasPrefix(name, "compose.") }

// inBucket are the arguments of an ospd whose only store is a bucket of its own.
func inBucket(t *testing.T, s *s3server.Server) (args []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ospd.yaml")
	text := fmt.Sprintf("stores:\n  bucket: {type: s3, endpoint: '%s', region: %s, bucket: %s, access_key_id: %s, secret_access_key: %s, path_style: true}\n",
		s.Endpoint, s.Region, s.Bucket(t), s.AccessKeyID, s.SecretAccessKey)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config", path}
}

func dieAt(t *testing.T, mortal harness.Binaries, point string, args ...string) (died bool) {
	t.Helper()
	step, _, _ := strings.Cut(point, ".")
	if step == "migrate" {
		args = twoStores(t)
	}
	d := harness.StartDaemon(t, mortal, t.TempDir(), args...)
	w := &workload{t: t, files: map[protocol.UID][]byte{}, unsure: map[protocol.UID][]byte{}}
	w.prepare(d.API())
	// Nothing is due when the next one starts: it dies over what comes then.
	later := func(*harness.API) {}
	switch step {
	case "digest":
		later = w.awaitSums
	case "scrub":
		later = w.scrub
	case "compose":
		later = w.awaitComposed
	}
	later(d.API())
	if step == "migrate" { // which would wait for the upload that is open yet
		later = w.migrate
	}
	if exit := d.Stop(); exit != 0 {
		t.Fatalf("ospd left with %d", exit)
	}
	d.Start(crashEnv + "=" + point)
	w.run(d.API())
	later(d.API())
	died = w.stopped
	if !died {
		d.Kill()
	} else if d.Wait(); !d.Killed() {
		t.Fatalf("ospd did not die of SIGKILL:\n%s", d.Stderr())
	}
	fsckClean(t, d.Data, args...)
	d.Start()
	w.check(d.API())
	w.finish(d.API())
	later(d.API())
	if exit := d.Stop(); exit != 0 {
		t.Errorf("ospd left with %d:\n%s", exit, d.Stderr())
	}
	fsckClean(t, d.Data, args...)
	if p := harness.Start(t, nil, "", bin.OSPD, append([]string{"gc", "--data", d.Data, "--grace", "0s"}, args...)...); p.Wait() != 0 {
		t.Errorf("ospd gc: %s%s", p.Stdout(), p.Stderr())
	}
	if exit, out := harness.Fsck(t, bin, d.Data, append([]string{"--read-data"}, args...)...); exit != 0 || !strings.Contains(out, ", 0 pending.") {
		t.Errorf("after gc fsck left with %d:\n%s", exit, out)
	}
	return died
}

// awaitComposed waits until no compose job is left to be done, or the daemon has
// died over one.
func (w *workload) awaitComposed(api *harness.API) {
	w.t.Helper()
	for end := time.Now().Add(4 * harness.Patience); !w.stopped; time.Sleep(20 * time.Millisecond) {
		ans := api.Do("GET", "/v1/jobs?kind=compose&limit=100", nil, 0)
		if !w.answered(ans, http.StatusOK) {
			return
		}
		var list struct {
			Jobs []protocol.Job `json:"jobs"`
		}
		if err := json.Unmarshal(ans.Body, &list); err != nil {
			w.t.Fatal(err)
		}
		if len(list.Jobs) == 0 {
			w.t.Fatal("no compose job was made")
		}
		i := slices.IndexFunc(list.Jobs, func(j protocol.Job) bool { return j.State != protocol.JobDone })
		if i < 0 {
			return
		}
		if j := list.Jobs[i]; j.State.Ended() || time.Now().After(end) {
			w.t.Fatalf("a compose job does not end well: %+v", j)
		}
	}
}

// scrub has the daemon read everything, and waits for the end of that.
func (w *workload) scrub(api *harness.API) {
	w.t.Helper()
	if w.stopped {
		return
	}
	ans := api.JSON("POST", "/v1/jobs", map[string]any{"kind": protocol.JobScrub})
	if ans.Err == nil && ans.Status == http.StatusOK {
		ans.Status = http.StatusCreated // the periodic one, moved up
	}
	if !w.answered(ans, http.StatusCreated) {
		return
	}
	var j protocol.Job
	for end := time.Now().Add(4 * harness.Patience); ; time.Sleep(20 * time.Millisecond) {
		if err := json.Unmarshal(ans.Body, &j); err != nil {
			w.t.Fatal(err)
		}
		if j.State.Ended() {
			break
		}
		if time.Now().After(end) {
			w.t.Fatalf("the scrub does not end: %+v", j)
		}
		if ans = api.Do("GET", "/v1/jobs/"+j.ID.String(), nil, 0); !w.answered(ans, http.StatusOK) {
			return
		}
	}
	if p := j.Progress; j.State != protocol.JobDone || p == nil || p.Total == nil || p.Done != *p.Total || p.Note != "" {
		w.t.Errorf("the scrub ended as %+v at %+v", j, p)
	}
}

// awaitSums waits until the daemon has computed the sums of all files, or has
// died over it.
func (w *workload) awaitSums(api *harness.API) {
	w.t.Helper()
	for uid, data := range w.files {
		want, end := fmt.Sprintf("%x", md5.Sum(data)), time.Now().Add(4*harness.Patience)
		for known := false; !known && !w.stopped; time.Sleep(20 * time.Millisecond) {
			ans := api.Do("GET", "/v1/files/"+uid.String(), nil, 0)
			if !w.answered(ans, http.StatusOK) {
				return
			}
			f := api.MustFile(ans, http.StatusOK)
			if known = f.MD5 != nil; known && *f.MD5 != want {
				w.t.Errorf("the MD5 of %s is %s, want %s", uid, *f.MD5, want)
			}
			if !known && time.Now().After(end) {
				w.t.Fatalf("the MD5 of %s is not computed", uid)
			}
		}
	}
}

// workload does one of everything and keeps a log of what was answered. It
// stops at the first request that gets no answer.
type workload struct {
	t *testing.T
	// files were answered 2xx; deleted ones were deleted with an answer.
	files   map[protocol.UID][]byte
	deleted []protocol.UID
	// unsure were being committed or deleted when the daemon died.
	unsure map[protocol.UID][]byte
	// unnamed is what a one-shot put without an answer sent.
	unnamed [][]byte
	open    []*openUpload
	stopped bool

	victim, aborted protocol.UID
}

// openUpload is an upload with the parts that were answered 2xx.
type openUpload struct {
	upload protocol.Upload
	data   []byte
	acked  map[protocol.PartNumber]protocol.XXH3
	// sent are all hashes that a part may have.
	sent map[protocol.PartNumber][]protocol.XXH3
}

// prepare makes, before any death, what the workload will delete and abort.
func (w *workload) prepare(api *harness.API) {
	data := harness.Content(1, 9<<20)
	f := api.MustUpload("victim", data)
	w.victim, w.files[f.UID] = f.UID, data
	small := harness.Content(2, 1000)
	f = api.MustFile(api.PutFile("before", small), http.StatusCreated)
	w.files[f.UID] = small
	u := api.MustBegin("aborted", 9<<20)
	api.Require(api.PutPart(u.UID, 1, data[:u.PartSize]), http.StatusOK)
	w.aborted = u.UID
}

func (w *workload) run(api *harness.API) {
	w.stream(api, harness.Content(9, 1000))
	for seed := uint64(10); seed < 13 && !w.stopped; seed++ {
		w.putFile(api, harness.Content(seed, 5000))
	}
	for seed := uint64(20); seed < 23 && !w.stopped; seed++ {
		w.upload(api, harness.Content(seed, 2*protocol.MinPartSize+77))
	}
	if !w.stopped {
		w.answered(api.Do("DELETE", "/v1/uploads/"+w.aborted.String(), nil, 0), http.StatusNoContent)
	}
	if !w.stopped {
		w.remove(api, w.victim)
	}
}

// answered reports whether the request was carried out; without any answer the
// daemon is dead and the workload stops.
func (w *workload) answered(ans harness.Answer, status int) bool {
	w.t.Helper()
	if ans.Err != nil {
		w.stopped = true
		return false
	}
	if ans.Status != status {
		w.t.Fatalf("answered %d, want %d: %s", ans.Status, status, ans.Body)
	}
	return true
}

func (w *workload) putFile(api *harness.API, data []byte) {
	w.t.Helper()
	ans := api.PutFile("one-shot", data)
	if w.answered(ans, http.StatusCreated) {
		w.files[api.MustFile(ans, http.StatusCreated).UID] = data
		return
	}
	w.unnamed = append(w.unnamed, data)
}

func (w *workload) remove(api *harness.API, uid protocol.UID) {
	w.t.Helper()
	data := w.files[uid]
	delete(w.files, uid)
	if w.answered(api.Do("DELETE", "/v1/files/"+uid.String(), nil, 0), http.StatusNoContent) {
		w.deleted = append(w.deleted, uid)
		return
	}
	w.unsure[uid] = data
}

// upload sends part 1 twice, the second time with other bytes, which win.
func (w *workload) upload(api *harness.API, data []byte) {
	w.t.Helper()
	u, ans := api.Begin("parts", int64(len(data)))
	if !w.answered(ans, http.StatusCreated) {
		return
	}
	o := &openUpload{upload: u, data: data, acked: map[protocol.PartNumber]protocol.XXH3{}, sent: map[protocol.PartNumber][]protocol.XXH3{}}
	w.open = append(w.open, o)
	first := bytes.Clone(data[:u.PartSize])
	first[77] ^= 1
	if !w.part(api, o, 1, first) || !w.part(api, o, 2, data[u.PartSize:2*u.PartSize]) ||
		!w.part(api, o, 1, data[:u.PartSize]) || !w.part(api, o, 3, data[2*u.PartSize:]) {
		return
	}
	w.open = w.open[:len(w.open)-1]
	if w.answered(api.Commit(u.UID), http.StatusOK) {
		w.files[u.UID] = data
		return
	}
	w.unsure[u.UID] = data
}

// stream is an upload that begins without a size, with a part beyond its end
// that is refused when its bytes are written already.
func (w *workload) stream(api *harness.API, data []byte) {
	w.t.Helper()
	ans := api.JSON("POST", "/v1/uploads", map[string]any{"name": "stream"})
	if !w.answered(ans, http.StatusCreated) {
		return
	}
	var u protocol.Upload
	if err := json.Unmarshal(ans.Body, &u); err != nil {
		w.t.Fatal(err)
	}
	beyond := fmt.Sprintf("/v1/uploads/%s/parts/2", u.UID)
	wrong := protocol.SumXXH3(data).String()
	if !w.answered(api.PutPart(u.UID, 1, data), http.StatusOK) ||
		!w.answered(api.Do("PUT", beyond, strings.NewReader("beyond"), 6, protocol.HeaderXXH3, wrong), http.StatusUnprocessableEntity) {
		return
	}
	if w.answered(api.CommitSize(u.UID, len(data)), http.StatusOK) {
		w.files[u.UID] = data
		return
	}
	w.unsure[u.UID] = data
}

func (w *workload) part(api *harness.API, o *openUpload, n protocol.PartNumber, data []byte) bool {
	w.t.Helper()
	sum := protocol.SumXXH3(data)
	o.sent[n] = append(o.sent[n], sum)
	if !w.answered(api.PutPart(o.upload.UID, n, data), http.StatusOK) {
		return false
	}
	o.acked[n] = sum
	return true
}

// check compares the daemon after its restart with the log.
func (w *workload) check(api *harness.API) {
	w.t.Helper()
	for uid, data := range w.files {
		api.MustHold(uid, data)
	}
	for _, uid := range append(w.deleted, w.aborted) {
		if ans := api.Content(uid); ans.Err != nil || (uid != w.aborted && ans.Status != http.StatusNotFound) {
			w.t.Errorf("deleted %s: %d %v", uid, ans.Status, ans.Err)
		}
	}
	for uid, data := range w.unsure {
		if ans := api.Content(uid); ans.Status != http.StatusNotFound {
			api.MustHold(uid, data)
		}
	}
	w.checkUnnamed(api)
	for _, o := range w.open {
		w.checkParts(api, o)
	}
}

// checkUnnamed: a one-shot put without an answer is a whole file or none.
func (w *workload) checkUnnamed(api *harness.API) {
	w.t.Helper()
	for _, f := range api.Files() {
		_, acked := w.files[f.UID]
		_, unsure := w.unsure[f.UID]
		if acked || unsure {
			continue
		}
		if len(w.unnamed) != 1 {
			w.t.Errorf("a file nobody put: %+v", f)
			continue
		}
		api.MustHold(f.UID, w.unnamed[0])
	}
}

// checkParts: a listed part has bytes that were sent for it, and the bytes of
// the last answer unless a later request for it went without one.
func (w *workload) checkParts(api *harness.API, o *openUpload) {
	w.t.Helper()
	u, ans := api.Upload(o.upload.UID)
	api.Require(ans, http.StatusOK)
	for _, p := range u.Parts {
		sent := o.sent[p.Number]
		last, acked := o.acked[p.Number]
		sure := acked && len(sent) > 0 && sent[len(sent)-1] == last
		known := false
		for _, sum := range sent {
			known = known || sum == p.XXH3
		}
		if !known || (sure && p.XXH3 != last) {
			w.t.Errorf("part %d is listed with %s; answered %v, sent %v", p.Number, p.XXH3, last, sent)
		}
	}
}

// finish goes on with what was open: sends every part again and commits.
func (w *workload) finish(api *harness.API) {
	w.t.Helper()
	for _, o := range w.open {
		api.MustPutParts(o.upload, o.data)
		api.MustFile(api.Commit(o.upload.UID), http.StatusOK)
		api.MustHold(o.upload.UID, o.data)
	}
	for uid, data := range w.unsure {
		if u, ans := api.Upload(uid); ans.Status == http.StatusOK && u.State == protocol.UploadOpen {
			api.MustPutParts(u, data)
			api.MustFile(api.CommitSize(uid, len(data)), http.StatusOK)
			api.MustHold(uid, data)
		}
	}
}
