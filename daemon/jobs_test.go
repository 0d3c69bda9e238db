package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/daemon/scrub"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store/open"
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
	var damaged int
	w := scrub.New(scrub.Config{Meta: db, Read: unreadable{
		100: protocol.Errorf(protocol.KindNotFound, "gone"),
		101: protocol.Errorf(protocol.KindContentCorrupt, "damaged"),
		102: errors.New("store is away"),
	}, Pace: pace.New(pace.Config{}), Scrubbed: func(bad bool) {
		if bad {
			damaged++
		}
	}, Logger: quiet()})
	h := job.Handler{Kind: protocol.JobScrub, Do: job.With(w.Do)}
	q, err := job.New(job.Config{Meta: db, Handlers: []job.Handler{h}, Holder: meta.JobHolder{Name: "one"}, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.RunDue(t.Context()); err != nil || damaged != 1 {
		t.Fatalf("%d damaged, %v", damaged, err)
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
	for i, want := range map[int]string{2: "it is damaged", 3: "it is gone"} {
		if p := jobs[i].Progress; p == nil || p.Note != want {
			t.Errorf("of job %d it says %+v", jobs[i].ID, p)
		}
	}
}

// unreadable are contents of which none can be read, and why.
type unreadable map[meta.ContentID]error

func (u unreadable) Through(_ context.Context, id meta.ContentID) (*file.Reading, error) {
	return nil, u[id]
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
				if seen[j.Kind] < j.ID && (j.Kind == protocol.JobExpire || j.Kind == protocol.JobSweep) {
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
	db := metatest.OpenDB(t, meta.Config{Path: t.TempDir() + "/meta.db", Logger: quiet()})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// TestRequests: who may ask for which job, and what it is about then.
func TestRequests(t *testing.T) {
	db := openMeta(t)
	files := file.New(file.Config{Meta: db, Logger: quiet()})
	f, err := db.PutFile(t.Context(), meta.NewFile{FileFields: meta.FileFields{Owner: "ann", Name: "f"}, UID: 1 << 40, CommittedAt: time.Now(), ETag: `"e"`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	own := `{"file":"` + f.UID.String() + `"}`
	ann, bob, admin := job.Caller{Owner: "ann"}, job.Caller{Owner: "bob"}, job.Caller{Owner: "root", All: true}
	for _, tt := range []struct {
		kind   protocol.JobKind
		caller job.Caller
		args   string
		fails  protocol.Kind
		want   meta.NewJob
	}{
		{kind: protocol.JobScrub, caller: ann, args: own, want: meta.NewJob{Owner: "ann", Subject: "file/" + f.UID.String(), Args: json.RawMessage(own)}},
		{kind: protocol.JobScrub, caller: bob, args: own, fails: protocol.KindNotFound},
		{kind: protocol.JobScrub, caller: admin, args: own, fails: protocol.KindNotFound},
		{kind: protocol.JobScrub, caller: ann, args: `{}`, fails: protocol.KindForbidden},
		{kind: protocol.JobScrub, caller: admin, args: `{}`, want: meta.NewJob{Subject: "all"}},
		{kind: protocol.JobScrub, caller: admin, args: `{"content":1}`, fails: protocol.KindBadRequest},
		{kind: protocol.JobSweep, caller: ann, args: `{}`, fails: protocol.KindForbidden},
		{kind: protocol.JobSweep, caller: admin, args: `{}`, want: meta.NewJob{Subject: "all"}},
		{kind: protocol.JobSweep, caller: admin, args: own, fails: protocol.KindBadRequest},
		{kind: protocol.JobMigrate, caller: ann, args: `{"from": "a", "to": "b"}`, fails: protocol.KindForbidden},
		{kind: protocol.JobExpire, caller: admin, args: `{}`, want: meta.NewJob{Subject: "all"}},
	} {
		got, err := (&Config{}).requests(nil, files, nil, nil)[tt.kind](t.Context(), tt.caller, json.RawMessage(tt.args))
		if protocol.KindOf(err) != tt.fails {
			t.Errorf("%s by %s of %s: %v", tt.kind, tt.caller.Owner, tt.args, err)
		}
		if tt.want.Kind = tt.kind; err == nil && (got.Kind != tt.kind || got.Owner != tt.want.Owner || got.Subject != tt.want.Subject || string(got.Args) != string(tt.want.Args)) {
			t.Errorf("%s by %s of %s is %+v, want %+v", tt.kind, tt.caller.Owner, tt.args, got, tt.want)
		}
	}
	for kind := range (&Config{}).requests(nil, files, nil, nil) {
		if !slices.Contains(protocol.JobKinds(), kind) {
			t.Errorf("%s is asked for, and no kind", kind)
		}
	}
}

// TestRequestsOfAllNodes: what an administrator has done now is done by each node that
// lives, of what it alone reaches.
func TestRequestsOfAllNodes(t *testing.T) {
	db, address := openMeta(t), "postgres://"
	for node, lease := range map[meta.NodeID]time.Duration{"dead": 0, "a": time.Hour, "b": time.Hour} {
		if _, err := db.TakeNode(t.Context(), meta.NewNode{ID: node}, lease); err != nil {
			t.Fatal(err)
		}
	}
	for kind, want := range map[protocol.JobKind][]string{
		protocol.JobSweep: {"all", "disks of node a", "disks of node b"}, protocol.JobDigest: {"due", "due on node a", "due on node b"},
		protocol.JobScrub: {"all that node a reaches", "all that node b reaches"}, protocol.JobExpire: {"all"},
	} {
		c := Config{joins: true, DB: Database{address: &address}, SweepInterval: time.Hour, Scrub: ScrubConfig{Period: time.Hour}}
		n, err := c.requests(&Installation{DB: db, Node: "a"}, nil, nil, nil)[kind](t.Context(), job.Caller{All: true}, json.RawMessage(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.periodic("b") { // which waits
			if err := db.SetPeriodic(t.Context(), p.Job, p.Every); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.RequestJob(t.Context(), "root", n, func(j meta.Job, _ bool) (*meta.Idempotency, error) {
			if j.Subject != want[0] {
				t.Errorf("%s: the answer is that about %s", kind, j.Subject)
			}
			return nil, nil
		}); err != nil {
			t.Fatal(err)
		}
		jobs, err := db.Jobs(t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 100, Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, j := range jobs {
			if got = append(got, j.Subject); j.RunAt.After(j.CreatedAt) {
				t.Errorf("%s about %s is due at %s", kind, j.Subject, j.RunAt)
			}
			if _, of, bound := strings.Cut(j.Subject, "node "); bound && j.Node != of[:1] {
				t.Errorf("%s about %s is for node %q", kind, j.Subject, j.Node)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v", kind, got)
		}
	}
}

// TestAloneAgain: what a node does for itself beside others it does no more once it is
// alone, since what it does of everything is about all of that; and the other way round.
func TestAloneAgain(t *testing.T) {
	db, address := openMeta(t), "postgres://"
	for joins, want := range map[bool][]string{
		true:  {"all", "all", "all that node a reaches", "disks of node a", "due", "due on node a"},
		false: {"all", "all", "all", "due"},
	} {
		c := Config{joins: joins, DB: Database{address: &address}, SweepInterval: time.Hour, Scrub: ScrubConfig{Period: time.Hour}}
		for _, is := range []bool{!joins, joins} {
			c.joins = is
			for _, p := range c.periodic("a") {
				if err := db.SetPeriodic(t.Context(), p.Job, p.Every); err != nil {
					t.Fatal(err)
				}
			}
		}
		jobs, err := db.Jobs(t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 100, State: protocol.JobReady})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, j := range jobs {
			got = append(got, j.Subject)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("in a cluster %t it does %q", joins, got)
		}
	}
}

// TestScrubOfAFile: by its owner's name the content is found, and a file that
// is gone is none to be read.
func TestScrubOfAFile(t *testing.T) {
	db := openMeta(t)
	f, err := db.PutFile(t.Context(), meta.NewFile{FileFields: meta.FileFields{Owner: "ann", Name: "f"}, UID: 1 << 40, CommittedAt: time.Now(), ETag: `"e"`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, content, err := db.Content(t.Context(), "ann", f.UID)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		owner protocol.Owner
		uid   protocol.UID
		want  meta.ContentID
	}{{"ann", f.UID, content.ID}, {"bob", f.UID, 0}, {"ann", f.UID + 1, 0}} {
		n, err := meta.FileScrub(tt.owner, tt.uid)
		if err != nil {
			t.Fatal(err)
		}
		id, _, err := db.Enqueue(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		var read meta.ContentID
		h := job.Handler{Kind: protocol.JobScrub, Do: job.With(ofFiles(db, func(_ context.Context, _ *job.Run, args meta.ScrubArgs) error {
			read = args.Content
			return nil
		}))}
		q, err := job.New(job.Config{Meta: db, Handlers: []job.Handler{h}, Holder: meta.JobHolder{Name: "one"}, Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.RunDue(t.Context()); err != nil || read != tt.want {
			t.Errorf("%s's %s: read %d, %v", tt.owner, tt.uid, read, err)
		}
		if j, err := db.Job(t.Context(), tt.owner, id); err != nil || j.State != protocol.JobDone {
			t.Errorf("the job is %+v, %v", j, err)
		}
	}
}

// TestMigrationsOfADisk: what lies on a disk of a node that others can come beside,
// or is to, is moved by it; what all reach by any.
func TestMigrationsOfADisk(t *testing.T) {
	in, address := &Installation{Node: "a"}, "postgres://"
	stores := map[string]open.Config{"disk@a": {Type: "local"}, "s3": {Type: "s3"}, "oss": {Type: "oss"}}
	for _, c := range []struct{ from, to, node string }{{"disk@a", "s3", "a"}, {"s3", "disk@a", "a"}, {"s3", "oss", ""}} {
		asked := func(context.Context, job.Caller, json.RawMessage) (meta.NewJob, error) {
			return meta.NewJob{Kind: protocol.JobMigrate, Subject: meta.MigrationSubject(c.from, c.to)}, nil
		}
		for shared, node := range map[Database]string{{}: "", {address: &address}: c.node} {
			n, err := (&Config{DB: shared, Stores: stores}).here(in, asked)(t.Context(), job.Caller{}, nil)
			if err != nil || n.Node != node {
				t.Errorf("from %s to %s: %+v, %v; want node %q", c.from, c.to, n, err, node)
			}
		}
	}
}
