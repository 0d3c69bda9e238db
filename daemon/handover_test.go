package daemon

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// stopping is a daemon with a job that naps and a request that it has accepted, both
// in the middle.
type stopping struct {
	*Daemon
	job protocol.JobID
	// told has why the job's context ended, ended what became of the daemon, and status
	// what the request is answered.
	told, ended chan error
	status      chan int
	rest        *io.PipeWriter
	stop        context.CancelFunc
}

func newStopping(t *testing.T, cfg Config) *stopping {
	t.Helper()
	d, err := New(t.Context(), cfg, "test", quiet())
	if err != nil {
		t.Fatal(err)
	}
	s := &stopping{Daemon: d, told: make(chan error, 1), ended: make(chan error, 1), status: make(chan int, 1)}
	begun := make(chan struct{})
	nap := func(ctx context.Context, _ *job.Run) error {
		close(begun)
		<-ctx.Done()
		s.told <- context.Cause(ctx)
		return ctx.Err()
	}
	d.jobs, err = job.New(job.Config{Meta: d.in.DB, Holder: meta.JobHolder{Name: "here"}, Logger: quiet(), Handlers: []job.Handler{
		{Kind: "nap", Do: nap},
		{Kind: "step", Do: func(context.Context, *job.Run) error { return nil }},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s.job, _, err = d.in.DB.Enqueue(t.Context(), meta.NewJob{Kind: "nap", MaxAttempts: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.ended <- d.Run(ctx) }()
	<-begun
	uid := s.resume(t)
	body, rest := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, d.URL()+"/v1/uploads/"+uid.String()+"/parts/1", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength, s.rest = 2, rest
	go func() {
		code, _ := do(t, req)
		s.status <- code
	}()
	if _, err := rest.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return s.resume(t) != uid })
	return s
}

// resume finds the upload that nobody sends to, or begins one.
func (s *stopping) resume(t *testing.T) protocol.UID {
	t.Helper()
	size, fp := int64(2), protocol.Fingerprint{1}
	r, err := s.uploads.Begin(t.Context(), protocol.OwnerLocal, protocol.BeginUpload{Name: "a", Size: &size, Fingerprint: &fp, Resume: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.UID
}

// endsWell has the request come to its end, and the daemon.
func (s *stopping) endsWell(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.ended:
		t.Errorf("it ended before the request did: %v", err)
	default:
	}
	if _, err := s.rest.Write([]byte("b")); err != nil {
		t.Error(err)
	}
	if err := s.rest.Close(); err != nil {
		t.Error(err)
	}
	if code := <-s.status; code != http.StatusOK {
		t.Errorf("the request that it had accepted is answered %d", code)
	}
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
}

// works has a job begin and come to its end here, and sees that the one that naps was
// not told of anything meanwhile.
func (s *stopping) works(t *testing.T) {
	t.Helper()
	id, _, err := s.in.DB.Enqueue(t.Context(), meta.NewJob{Kind: "step", MaxAttempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		s.naps(t)
		return s.state(t, id) == protocol.JobDone
	})
	s.naps(t)
}

// naps sees that the job is in its middle.
func (s *stopping) naps(t *testing.T) {
	t.Helper()
	select {
	case cause := <-s.told:
		t.Fatalf("the job was told %v", cause)
	default:
	}
	if state := s.state(t, s.job); state != protocol.JobRunning {
		t.Fatalf("the job is %s", state)
	}
}

func (s *stopping) state(t *testing.T, id protocol.JobID) protocol.JobState {
	t.Helper()
	j, err := s.in.DB.Job(t.Context(), meta.AnyOwner, id)
	if err != nil {
		t.Fatal(err)
	}
	return j.State
}

// TestJobsGoOnWhereNobodyElseIs: a daemon that is alone does its jobs while requests
// come to their end, which may wait for one: also those that are due only then.
func TestJobsGoOnWhereNobodyElseIs(t *testing.T) {
	s := newStopping(t, config(t))
	s.stop()
	eventually(t, func() bool {
		status, body := get(t, s.URL()+"/v1/capabilities")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "draining")
	})
	for range 5 { // jobs are given back beside that, which has its time to come
		s.works(t)
	}
	s.endsWell(t)
	if cause := <-s.told; !errors.Is(cause, job.ErrDraining) {
		t.Errorf("the job was told %v", cause)
	}
}
