package meta_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// TestRestartTimers: what began under a clock that was ahead begins anew under
// one that is right; what began a moment ago, by a clock that differs a little,
// goes on.
func TestRestartTimers(t *testing.T) {
	ctx, now := t.Context(), time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var texts meta.Texts
	db, err := meta.OpenRecording(ctx, metatest.Located(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), Clock: func() time.Time { return now }}), &texts)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(err)
	defer func() { check(db.Close()) }()
	uid := protocol.UID(1 << 40)
	begin := func() protocol.UID {
		t.Helper()
		uid++
		_, err := db.BeginUpload(ctx, meta.NewUpload{FileFields: meta.FileFields{Owner: "ann", Name: "f"}, UID: uid, CreatedAt: now,
			PartSize: protocol.MinPartSize, InPlace: &meta.NewBlob{Store: "disk", Key: uid.String()}}, nil)
		check(err)
		return uid
	}
	counts := func() (doomed, gone int) {
		t.Helper()
		d, err := db.Doomed(ctx, "", now, nil, 10)
		check(err)
		g, err := db.Tombstones(ctx, "", now, nil, 10)
		check(err)
		return len(d), len(g)
	}
	for _, ahead := range []time.Duration{10 * 365 * 24 * time.Hour, time.Minute} {
		right := now
		now = now.Add(ahead)
		open := begin()
		check(db.AbortUpload(ctx, "ann", begin()))
		blobs, err := db.Doomed(ctx, "", now, nil, 10)
		check(err)
		check(db.MarkGone(ctx, []meta.BlobID{blobs[0].ID}))
		check(db.AbortUpload(ctx, "ann", begin()))
		check(db.EnqueueScrub(ctx, 1))
		check(db.SaveAnswer(ctx, "ann", meta.Idempotency{Key: ahead.String()}))
		now = right
		n, err := db.RestartTimers(ctx, 3)
		check(err)
		if ahead < time.Hour {
			if n != 0 {
				t.Fatalf("%d timers began anew for a clock a minute ahead", n)
			}
			continue
		}
		if n != 3 {
			t.Fatalf("%d timers of at most 3 began anew", n)
		}
		n, err = db.RestartTimers(ctx, 10)
		check(err)
		if n != 4 { // a blob doomed, one gone, the open upload, two aborted, a scrub, an answer
			t.Fatalf("%d more timers began anew, want 4", n)
		}
		if doomed, gone := counts(); doomed != 1 || gone != 1 {
			t.Errorf("%d doomed and %d gone by now", doomed, gone)
		}
		if jobs, err := db.JobLines(ctx, meta.JobHolder{Name: "x"}, []protocol.JobKind{protocol.JobScrub}); err != nil || len(jobs) != 1 || jobs[0].DueIn > 0 {
			t.Errorf("of the scrub it says %+v (%v)", jobs, err)
		}
		if u, err := db.Upload(ctx, "ann", open); err != nil || !u.TouchedAt.Equal(now) {
			t.Errorf("the upload was touched at %s (%v)", u.TouchedAt, err)
		}
		now = right.Add(24 * time.Hour)
		if a, err := db.Answer(ctx, "ann", ahead.String()); err != nil || a != nil {
			t.Errorf("a day later its answer is still given (%v)", err)
		}
		now = right
		if n, err := db.Prune(ctx, now, 10); err != nil || n != 3 {
			t.Errorf("%d rows pruned (%v), want the two aborted and the answer", n, err)
		}
	}
	t.Run("plans", func(t *testing.T) { checkPlans(t, texts.All(), 20) })
}
