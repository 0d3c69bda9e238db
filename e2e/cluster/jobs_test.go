//go:build servers && linux

package cluster

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestJobsOfTwoNodes: a job that runs on one node goes on there, and is not begun
// again, while the other ends and starts; of a node that is killed the other takes it
// over, once its lease is over by the time of the database and not before. Progress is
// seen at either, and whoever cancels it at one node ends it at the other.
func TestJobsOfTwoNodes(t *testing.T) {
	t.Parallel() // most of it is waiting
	p := onMinIO(t, 2)
	p.more = "digests: {stores: all, rate: 1048576}\n" // a minute for the file
	c := start(t, p)
	c.nodes[0].API().MustUpload("read slowly", harness.Content(7, 64<<20))
	was := c.runs(1)
	on, other := c.nodes[0], c.nodes[1]
	if !strings.HasPrefix(was.holder, on.id(t)+"/") {
		on, other = other, on
	}
	if exit := other.Stop(); exit != 0 {
		t.Errorf("a node left with %d:\n%s", exit, other.Stderr())
	}
	other.Start()
	if now := c.runs(1); now.id != was.id || now.holder != was.holder || now.started != was.started {
		t.Errorf("it ran as %+v, and after the other node started as %+v", was, now)
	}
	on.Kill()
	on.Wait()
	was = c.runs(1) // nobody has taken it yet
	now := c.runs(2)
	if now.id != was.id || !strings.HasPrefix(now.holder, other.id(t)+"/") || now.started < was.until {
		t.Errorf("it ran as %+v, and then as %+v", was, now)
	}
	on.Start()
	var j protocol.Job
	path := fmt.Sprintf("/v1/jobs/%d", now.id)
	ans := on.API().JSON("GET", path, nil)
	on.API().Require(ans, http.StatusOK)
	if mustJSON(t, ans.Body, &j); j.State != protocol.JobRunning || j.Attempts != 2 || j.Progress == nil {
		t.Errorf("seen at the other node: %s", ans.Body)
	}
	on.API().Require(on.API().JSON("POST", path+"/cancel", nil), http.StatusOK)
	harness.Eventually(t, "it ends", func() bool {
		ans := on.API().JSON("GET", path, nil)
		mustJSON(t, ans.Body, &j)
		return j.State == protocol.JobCancelled
	})
	c.finish()
}

// running is a job that runs, by what the database has of it.
type running struct {
	id, attempts   int64
	started, until int64
	holder         string
}

// runs waits until the digest job of what all nodes share has read something, in that
// attempt, and gives it.
func (c *cluster) runs(attempt int64) (r running) {
	c.t.Helper()
	harness.Eventually(c.t, fmt.Sprintf("the job runs, attempt %d", attempt), func() bool {
		rows, err := pgtest.Rows(c.t.Context(), c.address, `SELECT concat_ws(' ', id, attempts, started_at, lease_until, leased_by) FROM jobs
			WHERE kind = 'digest' AND subject = 'due' AND state = 'running' AND (progress::json ->> 'done')::bigint > 0`)
		if err != nil {
			c.t.Fatal(err)
		}
		if len(rows) != 1 {
			return false
		}
		if _, err := fmt.Sscan(rows[0], &r.id, &r.attempts, &r.started, &r.until, &r.holder); err != nil {
			c.t.Fatalf("%s: %v", rows[0], err)
		}
		return r.attempts == attempt
	})
	return r
}
