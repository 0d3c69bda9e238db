package daemon

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// TestCollectDoubtsTheClock: a clock that is a year from where the last sweep
// left it ends nothing, unless somebody vouches for it.
func TestCollectDoubtsTheClock(t *testing.T) {
	cfg := config(t)
	_, stop := running(t, cfg)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	lastYear := time.Now().Add(-365 * 24 * time.Hour)
	expires := lastYear.Add(time.Hour)
	db := metatest.OpenDB(t, meta.Config{Path: cfg.databasePath(), Clock: func() time.Time { return lastYear }, Logger: quiet()})
	_, err := db.BeginUpload(t.Context(), meta.NewUpload{
		FileFields: meta.FileFields{Owner: "ann", Name: "f", ExpiresAt: &expires}, UID: protocol.UID(1 << 40), CreatedAt: lastYear,
		PartSize: protocol.MinPartSize,
	}, nil)
	if err := errors.Join(err, db.KeepClock(t.Context(), lastYear), db.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is doubted still the second time
		if r, err := Collect(t.Context(), cfg, Collecting{}, quiet()); !errors.Is(err, ErrClock) || r.Expired != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if r, err := Collect(t.Context(), cfg, Collecting{ClockIsRight: true}, quiet()); err != nil || r.Expired != 1 {
		t.Fatalf("vouched for: %+v, %v", r, err)
	}
	if r, err := Collect(t.Context(), cfg, Collecting{}, quiet()); err != nil || r.Held != "" {
		t.Fatalf("once it was believed: %+v, %v", r, err)
	}
}

// TestCollectReadsWhatIsSuspected: and leaves the scrub of everything, however
// long that is due, to the daemon.
func TestCollectReadsWhatIsSuspected(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	cfg := config(t)
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	d, stop := running(t, cfg)
	var contents []meta.ContentID
	for _, data := range []string{"suspected", "not"} {
		f := uploadTo(t, d, []byte(data))
		_, c, err := d.in.DB.Content(t.Context(), protocol.OwnerLocal, f.UID)
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, c.ID)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	db := metatest.OpenDB(t, meta.Config{Path: cfg.databasePath(), Logger: quiet()})
	all, _, err := db.Enqueue(t.Context(), meta.NewJob{Kind: protocol.JobScrub, Subject: everything})
	if err := errors.Join(err, db.EnqueueScrub(t.Context(), contents[0]), db.Close()); err != nil {
		t.Fatal(err)
	}
	if r, err := Collect(t.Context(), cfg, Collecting{}, quiet()); err != nil || r.Scrubbed != 1 || r.Damaged != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	db = metatest.OpenDB(t, meta.Config{Path: cfg.databasePath(), Logger: quiet()})
	j, err := db.Job(t.Context(), meta.AnyOwner, all)
	if err := errors.Join(err, db.Close()); err != nil || j.State != protocol.JobReady || j.Attempts != 0 {
		t.Errorf("the scrub of everything is %s after %d attempts, %v", j.State, j.Attempts, err)
	}
}
