package client

import (
	"context"
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

// JobQuery selects jobs; zero fields select all that the token may see.
type JobQuery struct {
	State protocol.JobState
	Kind  protocol.JobKind
	// Limit is at most 1000; 0 is the daemon's.
	Limit int
	// Cursor is the last page's Next, "" for the first page.
	Cursor string
}

// Jobs is one page of GET /v1/jobs, newest first.
func (c *Client) Jobs(ctx context.Context, q JobQuery) (list protocol.JobList, err error) {
	v := page(q.Limit, q.Cursor)
	if q.State != "" {
		v.Set("state", string(q.State))
	}
	if q.Kind != "" {
		v.Set("kind", string(q.Kind))
	}
	_, err = c.call(ctx, request{op: "list jobs", method: http.MethodGet, path: "/v1/jobs", query: v}, &list)
	return list, err
}

// CreateJob is POST /v1/jobs: the Job that was made, or one about the same that
// waits already. A repeated call with the same idempotency key ("" for none)
// gives the same answer.
func (c *Client) CreateJob(ctx context.Context, j protocol.CreateJob, key string) (made protocol.Job, err error) {
	_, err = c.call(ctx, request{op: "ask for the job", method: http.MethodPost, path: "/v1/jobs", header: idempotency(key), body: j}, &made)
	return made, err
}

// Job is GET /v1/jobs/{id}.
func (c *Client) Job(ctx context.Context, id protocol.JobID) (j protocol.Job, err error) {
	_, err = c.call(ctx, request{op: "ask for job " + id.String(), method: http.MethodGet, path: "/v1/jobs/" + id.String()}, &j)
	return j, err
}

// RetryJob is POST /v1/jobs/{id}/retry.
func (c *Client) RetryJob(ctx context.Context, id protocol.JobID) (j protocol.Job, err error) {
	_, err = c.call(ctx, request{op: "retry job " + id.String(), method: http.MethodPost, path: "/v1/jobs/" + id.String() + "/retry"}, &j)
	return j, err
}

// CancelJob is POST /v1/jobs/{id}/cancel. A job that runs is cancelling until
// its handler has ended.
func (c *Client) CancelJob(ctx context.Context, id protocol.JobID) (j protocol.Job, err error) {
	_, err = c.call(ctx, request{op: "cancel job " + id.String(), method: http.MethodPost, path: "/v1/jobs/" + id.String() + "/cancel"}, &j)
	return j, err
}
