package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// TestScrubs: damage is what a scrub is for; a failure has it tried again, and
// args that name no content have it dead.
func TestScrubs(t *testing.T) {
	db := openMeta(t)
	for _, id := range []meta.ContentID{100, 101, 102} {
		if err := db.EnqueueScrub(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := db.Enqueue(t.Context(), meta.NewJob{Kind: protocol.JobScrub, Args: json.RawMessage(`{"block":1}`)}); err != nil {
		t.Fatal(err)
	}
	var scrubbed, damaged int
	h := scrubbing(func(_ context.Context, id meta.ContentID) error {
		switch id {
		case 101:
			return protocol.Errorf(protocol.KindContentCorrupt, "damaged")
		case 102:
			return errors.New("store is away")
		}
		return nil
	}, func(bad bool) {
		scrubbed++
		if bad {
			damaged++
		}
	})
	h.Concurrency = 1
	q, err := job.New(job.Config{Meta: db, Handlers: []job.Handler{h}, Holder: meta.JobHolder{Name: "one"}, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.RunDue(t.Context()); err != nil || scrubbed != 2 || damaged != 1 {
		t.Fatalf("%d scrubbed, %d damaged, %v", scrubbed, damaged, err)
	}
	jobs, err := db.Jobs(t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 10})
	if err != nil || len(jobs) != 4 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	for i, want := range []struct {
		state protocol.JobState
		says  string
	}{{protocol.JobDead, "unknown field"}, {protocol.JobReady, "store is away"}, {protocol.JobDone, ""}, {protocol.JobDone, ""}} {
		if j := jobs[i]; j.State != want.state || !strings.Contains(j.Error, want.says) {
			t.Errorf("job %d is %s: %s", j.ID, j.State, j.Error)
		}
	}
	if p := jobs[2].Progress; p == nil || p.Note != "it is damaged" {
		t.Errorf("of the damaged one it says %+v", p)
	}
}

// TestSweepingGoesOn: a running daemon expires and sweeps by itself, again and
// again, and over a restart.
func TestSweepingGoesOn(t *testing.T) {
	cfg := config(t)
	cfg.SweepInterval = time.Millisecond
	for range 2 {
		d, stop := running(t, cfg)
		seen := map[protocol.JobKind]protocol.JobID{}
		for rounds := 0; rounds < 6; {
			jobs, err := d.in.DB.Jobs(t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 10, State: protocol.JobDone})
			if err != nil {
				t.Fatal(err)
			}
			for _, j := range jobs {
				if seen[j.Kind] < j.ID {
					seen[j.Kind] = j.ID
					rounds++
				}
			}
		}
		if len(seen) != 2 {
			t.Errorf("done were only %v", seen)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func openMeta(t *testing.T) *meta.DB {
	t.Helper()
	db, err := meta.Open(t.Context(), meta.Config{Path: t.TempDir() + "/meta.db", Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
