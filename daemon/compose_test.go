package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/compose"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/daemon/sweep"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

func (w *world) composing(records compose.Records) compose.Config {
	return compose.Config{Meta: records, Stores: w.stores, Place: w.place,
		Pace: pace.New(pace.Config{}), Logger: slog.New(slog.DiscardHandler)}
}

// composes runs the compose jobs that are due.
func (w *world) composes() {
	w.t.Helper()
	w.runDue(w.t.Context(), job.Handler{Kind: protocol.JobCompose, Do: job.With(w.compose.Do)})
}

// composeJob is the one made last.
func (w *world) composeJob() meta.Job {
	w.t.Helper()
	jobs, err := w.db.Jobs(w.t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 1, Kind: protocol.JobCompose})
	must(w.t, err)
	if len(jobs) == 0 {
		w.t.Fatal("there is no compose job")
	}
	return jobs[0]
}

// composed expects how the job made last ended.
func (w *world) composed(state protocol.JobState, note string) {
	w.t.Helper()
	if j := w.composeJob(); j.State != state || note != "" && (j.Progress == nil || !strings.Contains(j.Progress.Note, note)) {
		w.t.Errorf("the compose job is %s (%s) at %+v, want %s, %q", j.State, j.Error, j.Progress, state, note)
	}
}

// collect is what gc does while no daemon runs.
func (w *world) collect() sweep.Report {
	w.t.Helper()
	s := sweep.New(sweep.Config{Meta: w.db, Stores: w.stores, Alone: true, ClockIsRight: true, Clock: w.clocks.Now, Logger: slog.New(slog.DiscardHandler)})
	r, err := s.Round(w.t.Context())
	must(w.t, err)
	return r
}

// clean expects that nothing is left but objects that files need, in n of them.
func (w *world) clean(m *joining, n int) {
	w.t.Helper()
	w.clocks.pass(24*time.Hour + time.Minute) // before which what is unfinished may be somebody's
	w.collect()
	report := w.check()
	if !report.Clean() || len(report.Pending) > 0 {
		w.t.Fatalf("found %+v, pending %+v", report.Findings, report.Pending)
	}
	if keys := w.objects(); len(keys) != n {
		w.t.Fatalf("%d objects are left, want %d", len(keys), n)
	}
	for u, err := range m.Backend.Unfinished(w.t.Context()) {
		w.t.Fatalf("left unfinished: %+v, %v", u, err)
	}
}

// death comes at a step, before what it does or after, so that nobody learns of
// it. Everything fails from then on.
type death struct {
	at    int
	after bool
	steps int
	dead  bool
}

var errDead = errors.New("killed")

func (d *death) step(do func() error) error {
	if d.dead {
		return errDead
	}
	d.steps++
	if d.steps == d.at && !d.after {
		d.dead = true
		return errDead
	}
	err := do()
	if d.steps == d.at {
		d.dead = true
		return errDead
	}
	return err
}

// joining is a store in memory that joins as tests want it.
type joining struct {
	*mem.Backend
	death
	// unverified has it say nothing of what it joined.
	unverified bool
	// joins runs before pieces are joined, and may give others.
	joins func([]store.Piece) ([]store.Piece, error)
	// now is the storage's clock, by which begun has when what was begun was.
	now   func() time.Time
	begun map[store.ComposeID]time.Time
}

func (j *joining) BeginCompose(ctx context.Context, key store.Key) (id store.ComposeID, err error) {
	err = j.step(func() error { id, err = j.begin(ctx, key); return err })
	return id, err
}

// begin begins one as somebody else would, at the storage's time.
func (j *joining) begin(ctx context.Context, key store.Key) (store.ComposeID, error) {
	id, err := j.Backend.BeginCompose(ctx, key)
	j.begun[id] = j.now()
	return id, err
}

func (j *joining) Compose(ctx context.Context, key store.Key, id store.ComposeID, pieces []store.Piece) (verified bool, err error) {
	err = j.step(func() error {
		if j.joins != nil {
			if pieces, err = j.joins(pieces); err != nil {
				return err
			}
		}
		verified, err = j.Backend.Compose(ctx, key, id, pieces)
		return err
	})
	return verified && !j.unverified, err
}

func (j *joining) Unfinished(ctx context.Context) iter.Seq2[store.Unfinished, error] {
	return func(yield func(store.Unfinished, error) bool) {
		for u, err := range j.Backend.Unfinished(ctx) {
			u.Begun = j.begun[u.ID]
			if !yield(u, err) {
				return
			}
		}
	}
}

// mortal is the metadata of a daemon that dies with the store's death.
type mortal struct {
	*meta.DB
	d *death
}

func (m mortal) AddJoinedBlob(ctx context.Context, b meta.NewBlob) (id meta.BlobID, err error) {
	err = m.d.step(func() error { id, err = m.DB.AddJoinedBlob(ctx, b); return err })
	return id, err
}

func (m mortal) KeepComposition(ctx context.Context, blob meta.BlobID, id string) error {
	return m.d.step(func() error { return m.DB.KeepComposition(ctx, blob, id) })
}

func (m mortal) DropBlob(ctx context.Context, id meta.BlobID) error {
	return m.d.step(func() error { return m.DB.DropBlob(ctx, id) })
}

func (m mortal) MoveExtents(ctx context.Context, move meta.Move) error {
	return m.d.step(func() error { return m.DB.MoveExtents(ctx, move) })
}

func (m mortal) BeatJob(ctx context.Context, l meta.JobLease, lease time.Duration, p *protocol.JobProgress, checkpoint json.RawMessage) (cancelled bool, err error) {
	if checkpoint == nil { // it comes by the time, and is no step
		return m.DB.BeatJob(ctx, l, lease, p, checkpoint)
	}
	err = m.d.step(func() error { cancelled, err = m.DB.BeatJob(ctx, l, lease, p, checkpoint); return err })
	return cancelled, err
}

func (m mortal) EndJob(ctx context.Context, l meta.JobLease, o meta.JobOutcome) error {
	if m.d.step(func() error { return m.DB.EndJob(ctx, l, o) }) != nil {
		return meta.ErrLeaseLost // which ends it without another word
	}
	return nil
}

// joiningWorld keeps blobs in a store that joins.
func joiningWorld(t *testing.T) (*world, *joining) {
	var j *joining
	w := newWorld(t, setup{mem: true, wrap: func(b store.Backend) store.Backend {
		j = &joining{Backend: b.(*mem.Backend), begun: map[store.ComposeID]time.Time{}}
		return j
	}})
	j.now = w.clocks.Now
	return w, j
}

// attempt is one at the compose jobs that are due, which may be killed.
func (w *world) attempt(j *joining) {
	w.t.Helper()
	records := mortal{w.db, &j.death}
	q, err := job.New(job.Config{Meta: records, Alone: true, Holder: meta.JobHolder{Name: "mortal"}, Logger: slog.New(slog.DiscardHandler),
		Handlers: []job.Handler{{Kind: protocol.JobCompose, Do: job.With(compose.New(w.composing(records)).Do)}}})
	must(w.t, err)
	must(w.t, q.RunDue(w.t.Context()))
}

// parts is content of three parts, other content for each seed.
func parts(seed byte) []byte { return noise(seed, 2*protocol.MinPartSize+77) }

// TestComposeKilledAtEachStep: at whatever step a daemon is killed, before it or
// after, the file reads, the next attempt joins it, and nothing is left.
func TestComposeKilledAtEachStep(t *testing.T) {
	for _, unverified := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("unverified=%t after=%t", unverified, after), func(t *testing.T) {
				w, j := joiningWorld(t)
				defer w.end()
				j.unverified = unverified
				data := parts(1)
				for at := 1; ; at++ {
					uid := w.put(ann, "x", data)
					j.death = death{at: at, after: after}
					w.attempt(j)
					died := j.dead
					j.death = death{}
					w.reads(ann, uid, data)
					if died && at%2 == 0 {
						w.collect() // while no daemon runs
					}
					w.composes()
					w.composed(protocol.JobDone, "")
					w.extent(ann, uid)
					w.reads(ann, uid, data)
					w.clean(j, 1)
					w.delete(ann, uid)
					w.clean(j, 0)
					if !died {
						if at < 6 {
							t.Fatalf("it took only %d steps", at)
						}
						return
					}
				}
			})
		}
	}
}

// TestComposeGoesOn: what was begun and written down is what the next attempt
// finishes.
func TestComposeGoesOn(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	data := parts(1)
	uid := w.put(ann, "x", data)
	j.joins = func([]store.Piece) ([]store.Piece, error) { return nil, errors.New("away") }
	w.composes()
	w.composed(protocol.JobReady, "")
	var begun []store.Unfinished
	for u, err := range j.Unfinished(t.Context()) {
		must(t, err)
		begun = append(begun, u)
	}
	w.round() // which takes nothing from a job that goes on
	j.joins = nil
	w.clocks.pass(time.Minute)
	w.composes()
	if e := w.extent(ann, uid); len(begun) != 1 || e.Key != string(begun[0].Key) {
		t.Errorf("joined into %s, begun were %+v", e.Key, begun)
	}
	w.reads(ann, uid, data)
	w.clean(j, 1)
}

// TestComposeOfOtherPieces: what was begun of pieces that are not the content's
// any more is given up.
func TestComposeOfOtherPieces(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	data := parts(1)
	uid := w.put(ann, "x", data)
	begun := map[string]bool{}
	j.joins = func([]store.Piece) ([]store.Piece, error) {
		for u := range j.Unfinished(t.Context()) {
			begun[string(u.Key)] = true
		}
		return nil, errors.New("away")
	}
	w.composes()
	w.put(ann, "again", data)
	j.joins = nil
	w.clocks.pass(time.Minute)
	w.composes()
	if e := w.extent(ann, uid); len(begun) != 1 || begun[e.Key] {
		t.Errorf("joined into %s, begun of other pieces was %v", e.Key, begun)
	}
	w.reads(ann, uid, data)
	w.clean(j, 1)
}

// TestComposeCancelled: the sweep ends what a job began that goes on no more.
func TestComposeCancelled(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	data := parts(1)
	uid := w.put(ann, "x", data)
	j.joins = func([]store.Piece) ([]store.Piece, error) { return nil, errors.New("away") }
	w.composes()
	_, err := w.db.CancelJob(t.Context(), meta.AnyOwner, w.composeJob().ID)
	must(t, err)
	if r := w.round(); r.Orphans != 1 || r.Deleted != 1 || r.Unfinished != 0 {
		t.Errorf("the sweep did %+v", r.Report)
	}
	for u := range j.Unfinished(t.Context()) {
		t.Errorf("left unfinished: %+v", u)
	}
	w.reads(ann, uid, data)
	w.clean(j, 3)
}

// TestComposeElsewhere: a node that does not have the store of a content leaves it to
// one that has.
func TestComposeElsewhere(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	uid := w.put(ann, "x", parts(1))
	has, cfg := w.compose, w.composing(w.db)
	cfg.Stores, cfg.Peers = nil, true
	w.compose = compose.New(cfg)
	for range 2 * 10 { // more often than it may fail
		w.composes()
		w.composed(protocol.JobReady, "waits for a node that has store")
		w.clocks.pass(time.Minute)
	}
	w.compose = has
	w.composes()
	w.composed(protocol.JobDone, "")
	w.reads(ann, uid, parts(1))
	w.clean(j, 1)
}

// TestComposeForgotten: a storage that forgot what was begun has it begin anew,
// under another key.
func TestComposeForgotten(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	uid := w.put(ann, "x", parts(1))
	var forgotten store.Key
	j.joins = func(p []store.Piece) ([]store.Piece, error) {
		for u := range j.Backend.Unfinished(t.Context()) {
			if forgotten == "" {
				forgotten = u.Key
				return p, j.AbandonCompose(t.Context(), u.Key, u.ID)
			}
		}
		return p, nil
	}
	w.composes()
	if e := w.extent(ann, uid); forgotten == "" || e.Key == string(forgotten) {
		t.Errorf("joined into %s, forgotten was %s", e.Key, forgotten)
	}
	w.clean(j, 1)
}

// TestComposeLeaves: what cannot be joined, or needs not be, stays as it is, and
// the job is done.
func TestComposeLeaves(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	data := parts(1)
	uid := w.put(ann, "x", data)
	j.joins = func([]store.Piece) ([]store.Piece, error) { return nil, store.ErrPieces }
	w.composes()
	w.composed(protocol.JobDone, "cannot join its parts")
	w.reads(ann, uid, data)
	w.clean(j, 3)

	gone := w.put(ann, "gone", parts(2))
	j.joins = func(p []store.Piece) ([]store.Piece, error) {
		w.delete(ann, gone)
		return p, nil
	}
	w.composes()
	w.composed(protocol.JobDone, "it is gone")
	w.clean(j, 3)

	j.joins = nil
	w.place.Close(map[string]string{"disk": "another"})
	if _, err := w.Begin(t.Context(), ann, protocol.BeginUpload{Name: "late"}, nil); protocol.KindOf(err) != protocol.KindStoreUnavailable {
		t.Errorf("an upload where no store takes it: %v", err)
	}
}

// TestComposePutAgain: bytes that arrive while the old ones are joined win, and
// are joined by the same job.
func TestComposePutAgain(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	data := parts(1)
	uid := w.put(ann, "x", data)
	var again protocol.UID
	j.joins = func(p []store.Piece) ([]store.Piece, error) {
		if again == 0 {
			again = w.put(bob, "y", data)
		}
		return p, nil
	}
	w.composes()
	w.composed(protocol.JobDone, "one object") // the second one's
	w.extent(ann, uid)
	w.reads(ann, uid, data)
	w.reads(bob, again, data)
	w.clean(j, 1)
}

// TestComposePartIsMissing: a scrub says what is damaged, and the next put heals
// it.
func TestComposePartIsMissing(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	data := parts(1)
	uid := w.put(ann, "x", data)
	_, c, err := w.db.Content(t.Context(), ann, uid)
	must(t, err)
	must(t, j.Delete(t.Context(), store.Key(c.Extents[1].Key)))
	w.composes()
	w.composed(protocol.JobDone, "a part is missing")
	if r := w.round(); r.Damaged != 1 {
		t.Errorf("%d contents were found damaged", r.Damaged)
	}
	wantKind(t, w.read(ann, uid, io.Discard), protocol.KindContentCorrupt)
	w.put(ann, "y", data)
	w.composes()
	w.reads(ann, uid, data)
	w.extent(ann, uid)
	w.clean(j, 1)
}

// TestComposeMismatch: what the storage joined wrong, and does not vouch for, is
// never the file's.
func TestComposeMismatch(t *testing.T) {
	for name, wrong := range map[string]func([]store.Piece) ([]store.Piece, error){
		"swapped":   func(p []store.Piece) ([]store.Piece, error) { return []store.Piece{p[1], p[0], p[2]}, nil },
		"short":     func(p []store.Piece) ([]store.Piece, error) { return p[:2], nil },
		"long":      func(p []store.Piece) ([]store.Piece, error) { return append(p, p[0]), nil },
		"last part": func(p []store.Piece) ([]store.Piece, error) { p[2].Key = p[0].Key; return p, nil },
	} {
		t.Run(name, func(t *testing.T) {
			w, j := joiningWorld(t)
			defer w.end()
			data := parts(1)
			uid := w.put(ann, "x", data)
			j.unverified, j.joins = true, wrong
			w.composes()
			w.composed(protocol.JobReady, "")
			w.reads(ann, uid, data)
			w.clean(j, 3)
			if r := w.round(); r.Scrubbed != 1 || r.Damaged != 0 {
				t.Errorf("%d were scrubbed, %d damaged", r.Scrubbed, r.Damaged)
			}
			j.joins = nil
			w.clocks.pass(time.Minute)
			w.composes()
			w.extent(ann, uid)
			w.reads(ann, uid, data)
			w.clean(j, 1)
		})
	}
}

// TestGCLeavesWhatWasBegunToday: in a bucket without a prefix an upload under a
// name like ours may be somebody else's, who goes on with it.
func TestGCLeavesWhatWasBegunToday(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	_, err := j.begin(t.Context(), store.NewKey(store.DirOf(7)))
	must(t, err)
	if r := w.collect(); r.Unfinished != 0 {
		t.Errorf("%d were ended at once", r.Unfinished)
	}
	w.clocks.pass(24*time.Hour - time.Second)
	if r := w.collect(); r.Unfinished != 0 {
		t.Errorf("%d were ended within a day", r.Unfinished)
	}
	w.clocks.pass(2 * time.Second)
	if r := w.collect(); r.Unfinished != 1 {
		t.Errorf("%d were ended after a day", r.Unfinished)
	}
	w.clean(j, 0)
}

// TestGCEndsItsOwn: what is under a key of a blob, or the one by which storages
// are tried, is nobody else's, and nobody's where no daemon runs.
func TestGCEndsItsOwn(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	key := store.NewKey(store.DirOf(7))
	id, err := w.db.AddBlob(t.Context(), meta.NewBlob{Store: "disk", Key: string(key)}, 0)
	must(t, err)
	must(t, w.db.DropBlob(t.Context(), id))
	for _, key := range []store.Key{key, store.TrialKey} {
		_, err = j.begin(t.Context(), key)
		must(t, err)
	}
	if r := w.collect(); r.Unfinished != 2 {
		t.Errorf("%d were ended", r.Unfinished)
	}
	w.clean(j, 0)
}

// TestUnfinishedIsEnded: what nobody knows of is ended after a day; what
// somebody may be doing is not.
func TestUnfinishedIsEnded(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	unknown := store.NewKey(store.DirOf(7))
	_, err := j.begin(t.Context(), unknown)
	must(t, err)
	w.put(ann, "x", parts(1))
	j.joins = func([]store.Piece) ([]store.Piece, error) { return nil, errors.New("away") }
	w.composes()
	left := func(want int) {
		t.Helper()
		n := 0
		for _, err := range j.Unfinished(t.Context()) {
			must(t, err)
			n++
		}
		if n != want {
			t.Errorf("%d are unfinished, want %d", n, want)
		}
	}
	pending := 0
	for _, p := range w.check().Pending {
		if p.Key == string(unknown) {
			pending++
		}
	}
	if pending != 1 {
		t.Errorf("fsck tells %d times of what nobody finishes", pending)
	}
	for range 2 {
		w.round()
		left(2)
		w.clocks.pass(12*time.Hour - time.Minute)
	}
	w.clocks.pass(3 * time.Minute)
	if r := w.round(); r.Unfinished != 1 {
		t.Errorf("%d were ended", r.Unfinished)
	}
	left(1)
	old, err := j.begin(t.Context(), unknown)
	must(t, err)
	j.begun[old] = w.clocks.Now().Add(-48 * time.Hour)
	w.clocks.pass(time.Hour - time.Minute)
	w.round() // too soon to look again
	left(2)
	w.clocks.pass(time.Minute)
	w.round()
	left(1)
	j.joins = nil
	w.composes()
	w.clean(j, 1)
}

// TestComposeUnderAReader: a reading that began in the parts goes on where they
// were joined, and are gone.
func TestComposeUnderAReader(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	data := parts(1)
	uid := w.put(ann, "x", data)
	for _, at := range []int64{0, 1, bs, protocol.MinPartSize - 1, protocol.MinPartSize + bs/2} {
		c, err := w.files.Open(t.Context(), ann, uid)
		must(t, err)
		rest := unread(data)
		must(t, c.WriteRange(t.Context(), &rest, 0, at))
		w.composes()
		w.collect()
		must(t, c.WriteRange(t.Context(), &rest, at, c.Size()-at))
		must(t, c.Close())
		if len(rest) > 0 {
			t.Errorf("after %d bytes, %d are missing", at, len(rest))
		}
		uid = w.put(ann, "x", data) // in parts again, which win
	}
	w.composes()
	w.extent(ann, uid)
	w.clean(j, 1)
}
