//go:build postgres

package daemon

import (
	"errors"
	"testing"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// TestPostgresJobsAreHandedOverAtOnce: a node that is stopped has its jobs wait for the
// others from then on, however long the requests take that it has accepted, and these
// end well.
func TestPostgresJobsAreHandedOverAtOnce(t *testing.T) {
	first := joining(t, config(t))
	running(t, first)
	s := newStopping(t, nodeOn(t, first))
	eventually(t, s.peers.othersGoOn)
	s.stop()
	if cause := <-s.told; !errors.Is(cause, job.ErrDraining) {
		t.Errorf("the job was told %v", cause)
	}
	eventually(t, func() bool {
		j, err := s.in.DB.Job(t.Context(), meta.AnyOwner, s.job)
		if err != nil {
			t.Fatal(err)
		}
		return j.State == protocol.JobReady && j.Attempts == 0
	})
	s.endsWell(t)
}
