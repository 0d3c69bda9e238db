package transfer

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// probe is POST /v1/uploads/probe; d.mu is held.
func (d *fakeDaemon) probe(w http.ResponseWriter, body []byte) {
	var p protocol.Probe
	if err := protocol.DecodeRequest(body, &p); err != nil || len(p.Items) > protocol.MaxProbeItems {
		d.t.Errorf("a probe of %d items, %v", len(p.Items), err)
	}
	var answer protocol.Probed
	for _, it := range p.Items {
		if it.Size <= d.caps.OneShotMax {
			d.t.Errorf("%d bytes were asked about", it.Size)
		}
		answer.Items = append(answer.Items, protocol.ProbedItem{Maybe: d.maybe(protocol.BeginUpload{Size: &it.Size, Fingerprint: &it.Fingerprint})})
	}
	writeJSON(w, 200, answer)
}

// surveyRig has a daemon that answers probes, with content that it has in known
// and content that it has not in fresh, each of two parts.
func surveyRig(t *testing.T) (r *rig, known, fresh string, data []byte) {
	r, known, data = instantRig(t, 2*testPart)
	r.d.caps.Features = []string{protocol.FeatureProbe, protocol.FeatureInstant}
	fresh, _ = r.write(t, "fresh", 2*testPart+1)
	return r, known, fresh, data
}

func TestSurvey(t *testing.T) {
	r, known, fresh, _ := surveyRig(t)
	small, _ := r.write(t, "small", protocol.OneShotMax)
	unchanged := r.onlyProbes(t)
	hints, err := r.Survey(t.Context(), []string{fresh, small, known, filepath.Join(r.dir, "missing"), r.dir, os.DevNull, known})
	if err != nil || len(hints) != 7 {
		t.Fatal(hints, err)
	}
	for i, want := range []string{"false", "", "true", "", "", "", "true"} {
		got := ""
		if hints[i] != nil {
			got = fmt.Sprint(hints[i].Maybe)
		}
		if got != want {
			t.Errorf("hint %d is %q, want %q", i, got, want)
		}
	}
	if n := r.d.count("POST"); n != 1 {
		t.Errorf("%d requests", n)
	}
	if s := r.cfg.Progress.Snapshot(); s.Foreseen != 2*2*testPart {
		t.Errorf("%d bytes are foreseen", s.Foreseen)
	}
	unchanged()
	if hints, err := r.Survey(t.Context(), nil); err != nil || len(hints) != 0 || r.d.count("POST") != 1 {
		t.Errorf("of nothing: %v, %v", hints, err)
	}
}

// onlyProbes is onlyReads, but for probes.
func (r *rig) onlyProbes(t *testing.T) (unchanged func()) {
	t.Helper()
	unchanged = r.onlyReads(t)
	r.d.mu.Lock()
	reads := r.d.hook
	r.d.mu.Unlock()
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if q.URL.Path == "/v1/uploads/probe" {
			serve(w, q)
			return
		}
		reads(w, q, serve)
	})
	return unchanged
}

// TestSurveyAsksForAThousandAtOnce: 2,001 files are three requests. What each
// upload's begin would have said is known without beginning one.
func TestSurveyAsksForAThousandAtOnce(t *testing.T) {
	r, _, fresh, _ := surveyRig(t)
	r.d.caps.OneShotMax = 0 // so that files of two bytes do
	paths := make([]string, 2001)
	for i := range paths {
		paths[i] = filepath.Join(r.dir, fmt.Sprint(i))
		if err := os.WriteFile(paths[i], []byte{byte(i), byte(i >> 8)}, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	paths[2000] = fresh
	r.d.add("of two bytes", []byte{byte(7), 0})
	hints, err := r.Survey(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range hints {
		if h == nil || h.Maybe != (i == 7) {
			t.Fatalf("hint %d is %+v", i, h)
		}
	}
	if probes, begins := r.d.count("POST /v1/uploads/probe"), r.d.count("POST /v1/uploads")-r.d.count("POST /v1/uploads/probe"); probes != 3 || begins != 0 {
		t.Errorf("%d probes and %d begins for %d files", probes, begins, len(paths))
	}
}

// TestSurveyOfADaemonWithoutProbes: an older one, and one that hears no claims,
// is not asked, and nothing is read for it.
func TestSurveyOfADaemonWithoutProbes(t *testing.T) {
	for _, features := range [][]string{nil, {protocol.FeatureInstant}, {protocol.FeatureProbe}} {
		r, known, _, data := surveyRig(t)
		r.d.caps.Features = features
		hints, err := r.Survey(t.Context(), []string{known})
		if err != nil || len(hints) != 1 || hints[0] != nil || r.d.count("POST") != 0 {
			t.Errorf("%q: %v, %v", features, hints, err)
		}
		res, err := r.Put(t.Context(), PutRequest{Path: known, Hint: hints[0]})
		if err != nil || res.Outcome != Instant {
			t.Errorf("%q: %+v, %v", features, res, err)
		}
		r.d.stored(t, res.UID, data)
	}
}

func TestSurveyThatFails(t *testing.T) {
	r, known, _, _ := surveyRig(t)
	r.d.on(func(w http.ResponseWriter, q *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(q.URL.Path, "/probe") {
			writeProblem(w, protocol.KindForbidden, nil)
			return
		}
		serve(w, q)
	})
	hints, err := r.Survey(t.Context(), []string{known})
	wantKind(t, err, protocol.KindForbidden)
	if len(hints) != 1 {
		t.Errorf("%d hints", len(hints))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if hints, err := r.Survey(ctx, []string{known}); err == nil || len(hints) != 1 {
		t.Errorf("%v, %v", hints, err)
	}
}

// TestPutWithAHint: content that the daemon may have is hashed before an upload
// is begun, and no file is read for its fingerprint a second time.
func TestPutWithAHint(t *testing.T) {
	r, known, fresh, data := surveyRig(t)
	hints, err := r.Survey(t.Context(), []string{known, fresh})
	if err != nil {
		t.Fatal(err)
	}
	digest, _, _ := protocol.HashContent(bytes.NewReader(data))
	for i, path := range []string{known, fresh} {
		p, err := r.newPut(PutRequest{Path: path, Hint: hints[i]})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.foreknow(t.Context()); err != nil || (p.whole != nil) != hints[i].Maybe || p.whole != nil && *p.whole != digest {
			t.Errorf("%s is hashed as %v, %v", path, p.whole, err)
		}
		p.local.close()
	}
	res, err := r.Put(t.Context(), PutRequest{Path: known, Name: "again", Hint: hints[0]})
	if err != nil || res.Outcome != Instant || res.SentBytes != 0 || *res.Digest != digest {
		t.Fatalf("%+v, %v", res, err)
	}
	r.d.stored(t, res.UID, data)
	hints[1].fingerprint = protocol.Fingerprint{1}
	res, err = r.Put(t.Context(), PutRequest{Path: fresh, Hint: hints[1]})
	if err != nil || res.Outcome != Uploaded || res.SentBytes != 2*testPart+1 || *r.d.uploads[res.UID].fp != hints[1].fingerprint {
		t.Fatalf("%+v, %v", res, err)
	}
	if s := r.cfg.Progress.Snapshot(); s.Foreseen != 0 || s.Instant != 2*testPart {
		t.Errorf("%+v", s)
	}
	r.transfers(t, 0)
}

// TestWhatASurveySaves counts the requests of a put of 20 files, of which the
// daemon has 10: with a survey they are those without, and its one. What it saves
// is asked before: to know the same without it takes a begin for each file.
func TestWhatASurveySaves(t *testing.T) {
	requests := func(survey bool) map[string]int {
		r, _, _, _ := surveyRig(t)
		var paths []string
		for i := range 20 {
			path := filepath.Join(r.dir, fmt.Sprint("f", i))
			data := random(testPart, uint64(100+i))
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if paths = append(paths, path); i%2 == 0 {
				r.d.add("known", data)
			}
		}
		hints := make([]*Hint, len(paths))
		if survey {
			var err error
			if hints, err = r.Survey(t.Context(), paths); err != nil {
				t.Fatal(err)
			}
		}
		for i, path := range paths {
			res, err := r.Put(t.Context(), PutRequest{Path: path, Hint: hints[i]})
			if want := []Outcome{Instant, Uploaded}[i%2]; err != nil || res.Outcome != want {
				t.Fatalf("%+v, %v", res, err)
			}
		}
		counts := map[string]int{}
		for _, q := range r.d.requests {
			method, path, _ := strings.Cut(q, " ")
			switch last := path[strings.LastIndexByte(path, '/')+1:]; last {
			case "uploads", "probe", "claim", "commit":
				counts[last]++
			default:
				counts[method]++
			}
		}
		return counts
	}
	want := map[string]int{"GET": 1, "uploads": 20, "claim": 2 * 10, "PUT": 10, "commit": 10}
	if got := requests(false); !maps.Equal(got, want) {
		t.Errorf("without a survey: %v, want %v", got, want)
	}
	want["probe"] = 1
	if got := requests(true); !maps.Equal(got, want) {
		t.Errorf("with one: %v, want %v", got, want)
	}
}

// TestHintOfAFileThatChanged is none, and what it foresaw is no longer so.
func TestHintOfAFileThatChanged(t *testing.T) {
	r, known, _, _ := surveyRig(t)
	hints, err := r.Survey(t.Context(), []string{known})
	if err != nil || !hints[0].Maybe {
		t.Fatal(hints, err)
	}
	changed := random(2*testPart, 77)
	if err := os.WriteFile(known, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(known, later, later); err != nil {
		t.Fatal(err)
	}
	res, err := r.Put(t.Context(), PutRequest{Path: known, Hint: hints[0]})
	if err != nil || res.Outcome != Uploaded {
		t.Fatalf("%+v, %v", res, err)
	}
	r.d.stored(t, res.UID, changed)
	if s := r.cfg.Progress.Snapshot(); s.Foreseen != 0 {
		t.Errorf("%+v", s)
	}
}

// TestHintThatCameTooLate: the daemon had the content and has it no more, or the
// other way round; begin has the last word.
func TestHintThatCameTooLate(t *testing.T) {
	r, known, fresh, data := surveyRig(t)
	hints, err := r.Survey(t.Context(), []string{known, fresh})
	if err != nil {
		t.Fatal(err)
	}
	clear(r.d.files)
	other, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	r.d.add("fresh", other)
	res, err := r.Put(t.Context(), PutRequest{Path: known, Hint: hints[0]})
	if err != nil || res.Outcome != Uploaded {
		t.Fatalf("%+v, %v", res, err)
	}
	r.d.stored(t, res.UID, data)
	res, err = r.Put(t.Context(), PutRequest{Path: fresh, Hint: hints[1]})
	if err != nil || res.Outcome != Instant {
		t.Fatalf("%+v, %v", res, err)
	}
}

// TestWouldPutWithAHint: what need not travel is known beforehand.
func TestWouldPutWithAHint(t *testing.T) {
	r, known, fresh, _ := surveyRig(t)
	hints, err := r.Survey(t.Context(), []string{known, fresh})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Outcome{Instant, Uploaded} {
		res, err := r.WouldPut(t.Context(), PutRequest{Path: []string{known, fresh}[i], Hint: hints[i]})
		if err != nil || res.Would != want || res.Outcome != Skipped {
			t.Errorf("%+v, %v, want %s", res, err, want)
		}
	}
}
