package daemon_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// marked is a File in three blocks, of which the last was damaged when it was
// read.
func (w *world) marked() protocol.UID {
	w.t.Helper()
	uid := w.put("ann", "rots", noise(7, 3*bs))
	w.clocks.pass(time.Hour)
	w.damage("ann", uid, 2*bs)
	wantKind(w.t, w.read("ann", uid, io.Discard), protocol.KindContentCorrupt)
	return uid
}

// readsRight expects that the File of marked is served as it was put.
func (w *world) readsRight(uid protocol.UID) {
	w.t.Helper()
	var got strings.Builder
	if err := w.read("ann", uid, &got); err != nil || got.String() != string(noise(7, 3*bs)) {
		w.t.Errorf("%d bytes are read, %v", got.Len(), err)
	}
}

// Damage that has passed, as a disk or a store that gave other bytes for a while,
// does not stay: a pass that reads the content right heals it.
func TestScrubHealsWhatReadsRight(t *testing.T) {
	w := newWorld(t, setup{})
	uid := w.marked()
	w.damage("ann", uid, 2*bs) // the bit is back
	wantKind(t, w.read("ann", uid, io.Discard), protocol.KindContentCorrupt)
	id := w.askScrub()
	w.runDue(t.Context(), w.scrubs())
	w.went(id, protocol.JobDone, 3*bs, 3*bs, "1 healed")
	w.readsRight(uid)
	id = w.askScrub()
	w.clocks.pass(time.Hour)
	w.runDue(t.Context(), w.scrubs())
	w.went(id, protocol.JobDone, 3*bs, 3*bs, "")
	w.end()
}

// Neither does it where somebody asks for a scrub of that file.
func TestScrubOfOneHeals(t *testing.T) {
	w := newWorld(t, setup{})
	uid := w.marked()
	_, c, err := w.db.Content(t.Context(), "ann", uid)
	must(t, err)
	w.scrubOf(c.ID, "it is damaged")
	w.damage("ann", uid, 2*bs)
	w.scrubOf(c.ID, "it is healed")
	w.readsRight(uid)
	w.scrubOf(c.ID, "")
	w.end()
}

// scrubOf has the content read, with the note as the outcome.
func (w *world) scrubOf(id meta.ContentID, note string) {
	w.t.Helper()
	must(w.t, w.db.EnqueueScrub(w.t.Context(), id))
	w.runDue(w.t.Context(), w.scrubs())
	jobs, err := w.db.Jobs(w.t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 1})
	must(w.t, err)
	if j := jobs[0]; j.State != protocol.JobDone || j.Progress == nil || j.Progress.Note != note {
		w.t.Errorf("job %d is %s: %+v", j.ID, j.State, j.Progress)
	}
	w.clocks.pass(time.Hour)
}

// What was read before it was healed by others does not count either, where it
// is marked again since.
func TestScrubHealsByNothingReadBeforeAnotherHealed(t *testing.T) {
	w := newWorld(t, setup{})
	uid := w.marked()
	w.damage("ann", uid, 2*bs) // the bit is back
	_, c, err := w.db.Content(t.Context(), "ann", uid)
	must(t, err)
	id := w.dies(3)
	w.scrubOf(c.ID, "it is healed")
	w.damage("ann", uid, 0)
	wantKind(t, w.read("ann", uid, io.Discard), protocol.KindContentCorrupt)
	w.clocks.pass(time.Hour)
	w.runDue(t.Context(), w.scrubs())
	w.went(id, protocol.JobDone, 3*bs, 3*bs, "1 damaged")
	wantKind(t, w.read("ann", uid, io.Discard), protocol.KindContentCorrupt)
	w.damage("ann", uid, 0)
	w.put("ann", "rots", noise(7, 3*bs))
	w.end()
}

// A block that is found damaged after it was read to heal its content, by who
// reads since before the mark, has all of it read again.
func TestScrubReadsAgainWhatIsMarkedMeanwhile(t *testing.T) {
	w := newWorld(t, setup{})
	uid := w.put("ann", "rots", noise(7, 3*bs))
	w.clocks.pass(time.Hour)
	reader, err := w.files.Open(t.Context(), "ann", uid)
	must(t, err)
	w.damage("ann", uid, 2*bs)
	wantKind(t, w.read("ann", uid, io.Discard), protocol.KindContentCorrupt)
	w.damage("ann", uid, 2*bs) // the bit is back
	w.clocks.pass(time.Hour)   // that blocks match is not believed any more
	var meanwhile error
	id, read := w.askScrub(), 0
	w.pacing = func(context.Context) {
		if read++; read == 3 { // of three blocks two were read
			w.damage("ann", uid, 0)
			meanwhile = reader.WriteRange(t.Context(), io.Discard, 0, 1)
		}
	}
	w.runDue(t.Context(), w.scrubs())
	w.pacing = nil
	wantKind(t, meanwhile, protocol.KindContentCorrupt)
	must(t, reader.Close())
	w.went(id, protocol.JobDone, 3*bs, 3*bs, "1 damaged")
	wantKind(t, w.read("ann", uid, io.Discard), protocol.KindContentCorrupt)
	w.damage("ann", uid, 0)
	w.put("ann", "rots", noise(7, 3*bs))
	w.end()
}

// dies begins a pass, whose process dies before it reads the block, counted from 1.
func (w *world) dies(block int) (id protocol.JobID) {
	w.t.Helper()
	read := 0
	id = w.askScrub()
	w.pacing = func(context.Context) {
		if read++; read == block {
			panic("as if the process died")
		}
		w.clocks.pass(6 * time.Second)
	}
	w.runDue(w.t.Context(), w.scrubs())
	w.pacing = nil
	if read != block {
		w.t.Fatalf("it died before block %d", read)
	}
	return id
}

// What was read before a content was marked does not count for its healing: it
// may be what is damaged.
func TestScrubHealsByNothingReadBefore(t *testing.T) {
	w := newWorld(t, setup{})
	uid := w.put("ann", "rots", noise(7, 3*bs))
	w.clocks.pass(time.Hour)
	id := w.dies(3)
	w.damage("ann", uid, 0)
	wantKind(t, w.read("ann", uid, io.Discard), protocol.KindContentCorrupt)
	w.clocks.pass(time.Hour)
	w.runDue(t.Context(), w.scrubs())
	wantKind(t, w.read("ann", uid, io.Discard), protocol.KindContentCorrupt)
	if j := w.jobOf(id); j.State != protocol.JobDone || j.Progress.Note != "1 damaged" {
		t.Errorf("the job is %s: %s", j.State, j.Progress.Note)
	}
	w.damage("ann", uid, 0)
	w.put("ann", "rots", noise(7, 3*bs))
	w.end()
}
