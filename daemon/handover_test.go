package daemon

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// TestJobsAreHandedOverAtOnce: a daemon that is stopped has its jobs wait for others
// from then on, however long the requests take that it has accepted, and these end
// well.
func TestJobsAreHandedOverAtOnce(t *testing.T) {
	d, err := New(t.Context(), config(t), "test", quiet())
	if err != nil {
		t.Fatal(err)
	}
	begun, told := make(chan struct{}), make(chan error, 1)
	d.jobs, err = job.New(job.Config{Meta: d.in.DB, Holder: meta.JobHolder{Name: "here"}, Logger: quiet(), Handlers: []job.Handler{{Kind: "nap", Do: func(ctx context.Context, _ *job.Run) error {
		close(begun)
		<-ctx.Done()
		told <- context.Cause(ctx)
		return ctx.Err()
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	id, _, err := d.in.DB.Enqueue(t.Context(), meta.NewJob{Kind: "nap", MaxAttempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	<-begun
	size, fp := int64(2), protocol.Fingerprint{1}
	resume := func() protocol.UID {
		r, err := d.uploads.Begin(t.Context(), protocol.OwnerLocal, protocol.BeginUpload{Name: "a", Size: &size, Fingerprint: &fp, Resume: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.UID
	}
	uid := resume()
	body, rest := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, d.URL()+"/v1/uploads/"+uid.String()+"/parts/1", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 2
	status := make(chan int, 1)
	go func() {
		code, _ := do(t, req)
		status <- code
	}()
	if _, err := rest.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return resume() != uid })
	stop()
	if cause := <-told; !errors.Is(cause, job.ErrDraining) {
		t.Errorf("the job was told %v", cause)
	}
	eventually(t, func() bool {
		j, err := d.in.DB.Job(t.Context(), meta.AnyOwner, id)
		if err != nil {
			t.Fatal(err)
		}
		return j.State == protocol.JobReady && j.Attempts == 0
	})
	select {
	case err := <-ended:
		t.Errorf("it ended before the request did: %v", err)
	default:
	}
	if _, err := rest.Write([]byte("b")); err != nil {
		t.Error(err)
	}
	if err := rest.Close(); err != nil {
		t.Error(err)
	}
	if code := <-status; code != http.StatusOK {
		t.Errorf("the request that it had accepted is answered %d", code)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
