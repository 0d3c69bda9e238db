package api

import (
	"context"
	"net/http"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/protocol"
)

func (c *call) listJobs() error {
	limit, err := c.limit()
	if err != nil {
		return err
	}
	list, err := c.srv.cfg.Jobs.List(c.ctx, c.reaching(), job.Query{
		Limit: limit, Cursor: c.query["cursor"], State: protocol.JobState(c.query["state"]), Kind: protocol.JobKind(c.query["kind"]),
	})
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, list)
	return nil
}

func (c *call) createJob() error {
	b, err := c.readJSON()
	if err != nil {
		return err
	}
	var create protocol.CreateJob
	if err := protocol.DecodeRequest(b, &create); err != nil {
		return err
	}
	req, err := c.once(b)
	if err != nil {
		return err
	}
	reply, err := c.srv.cfg.Jobs.Create(c.ctx, c.reaching(), create, req)
	if err != nil {
		return err
	}
	c.writeReply(reply, "/v1/jobs/")
	return nil
}

func (c *call) getJob() error    { return c.aboutJob((*job.Service).Job) }
func (c *call) retryJob() error  { return c.aboutJob((*job.Service).Retry) }
func (c *call) cancelJob() error { return c.aboutJob((*job.Service).Cancel) }

// aboutJob answers with the job of the path, after do did with it what it does.
func (c *call) aboutJob(do func(*job.Service, context.Context, job.Caller, protocol.JobID) (protocol.Job, error)) error {
	id, err := protocol.ParseJobID(c.match.id)
	if err != nil {
		return err
	}
	j, err := do(c.srv.cfg.Jobs, c.ctx, c.reaching(), id)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, j)
	return nil
}
