package job

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/protocol"
)

// The bounds of a page of jobs.
const (
	defaultPage = 100
	maxPage     = 1000
)

// Caller is who asks about jobs.
type Caller = meta.Caller

// Request makes the job that a caller asks for by a kind and its args, or says
// why there is none for him.
type Request func(ctx context.Context, caller Caller, args json.RawMessage) (meta.NewJob, error)

// JobRecords is what a Service needs of the metadata; meta.DB is the one.
type JobRecords interface {
	RequestJob(ctx context.Context, owner protocol.Owner, n meta.NewJob, idem func(j meta.Job, made bool) (*meta.Idempotency, error)) error
	Jobs(ctx context.Context, owner protocol.Owner, q meta.JobQuery) ([]meta.Job, error)
	Job(ctx context.Context, owner protocol.Owner, id protocol.JobID) (meta.Job, error)
	CancelJob(ctx context.Context, owner protocol.Owner, id protocol.JobID) (meta.Job, error)
	RetryJob(ctx context.Context, owner protocol.Owner, id protocol.JobID) (meta.Job, error)
}

// Service is what callers can see and ask of jobs. It is safe for concurrent
// use.
type Service struct {
	records  JobRecords
	requests map[protocol.JobKind]Request
	once     *once.Keys
}

// NewService makes a Service; requests are the kinds that can be asked for.
func NewService(records JobRecords, requests map[protocol.JobKind]Request, keys *once.Keys) *Service {
	return &Service{records: records, requests: requests, once: keys}
}

// Create has a job done that the caller asks for. One that is about the same
// and waits already is the answer, not created.
func (s *Service) Create(ctx context.Context, caller Caller, c protocol.CreateJob, req *once.Request) (once.Reply, error) {
	return s.once.Do(ctx, caller.Owner, req, func() (r once.Reply, err error) {
		request, ok := s.requests[c.Kind]
		if !ok {
			return r, &protocol.Error{Kind: protocol.KindBadRequest, Message: fmt.Sprintf("jobs of kind %.40q cannot be asked for; nothing was done", string(c.Kind)),
				Hint: fmt.Sprintf("Kinds are %v.", slices.Sorted(maps.Keys(s.requests)))}
		}
		n, err := request(ctx, caller, argsOf(c))
		if err != nil {
			return r, err
		}
		if c.Priority != nil {
			n.Priority = *c.Priority
			for i := range n.Beside {
				n.Beside[i].Priority = *c.Priority
			}
		}
		err = s.records.RequestJob(ctx, caller.Owner, n, func(j meta.Job, made bool) (*meta.Idempotency, error) {
			r, err = once.ReplyOf(made, protocol.UID(j.ID), wire(j, caller))
			return req.Record(r), err
		})
		return r, err
	})
}

// argsOf are the args, an empty object where there are none.
func argsOf(c protocol.CreateJob) json.RawMessage {
	if len(c.Args) == 0 || string(c.Args) == "null" {
		return json.RawMessage("{}")
	}
	return c.Args
}

// ParseArgs reads the args of a request; what cannot be is KindBadRequest.
func ParseArgs(args json.RawMessage, into any) error {
	if err := decode(args, into); err != nil {
		return &protocol.Error{Kind: protocol.KindBadRequest, Message: "the args are not those of the kind; nothing was done: " + err.Error()}
	}
	return nil
}

// Query selects a page of jobs, newest first. What is empty does not select.
type Query struct {
	// Limit is 1 to 1,000, or 0 for 100.
	Limit  int
	Cursor string
	State  protocol.JobState
	Kind   protocol.JobKind
}

// List is a page of the caller's jobs. A limit, cursor or state that cannot be
// is KindBadRequest.
func (s *Service) List(ctx context.Context, caller Caller, q Query) (list protocol.JobList, err error) {
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	if q.Limit < 1 || q.Limit > maxPage {
		return list, protocol.Errorf(protocol.KindBadRequest, "a limit is 1 to %d, this one is %d", maxPage, q.Limit)
	}
	if q.State != "" {
		if err := protocol.CheckJobState(q.State); err != nil {
			return list, err
		}
	}
	before, err := parseCursor(q.Cursor)
	if err != nil {
		return list, err
	}
	jobs, err := s.records.Jobs(ctx, caller.Reach(), meta.JobQuery{Limit: q.Limit + 1, Before: before, State: q.State, Kind: q.Kind})
	if err != nil {
		return list, err
	}
	if len(jobs) > q.Limit {
		jobs = jobs[:q.Limit]
		next := base64.RawURLEncoding.EncodeToString([]byte(jobs[q.Limit-1].ID.String()))
		list.Next = &next
	}
	for _, j := range jobs {
		list.Jobs = append(list.Jobs, wire(j, caller))
	}
	return list, nil
}

func parseCursor(cursor string) (id protocol.JobID, err error) {
	if cursor == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		if id, err = protocol.ParseJobID(string(b)); err == nil {
			return id, nil
		}
	}
	return 0, &protocol.Error{Kind: protocol.KindBadRequest, Message: "the cursor is not one of ours",
		Hint: "Pass the value of \"next\" from the page before, unchanged."}
}

// Job is a job of the caller's, else KindNotFound.
func (s *Service) Job(ctx context.Context, caller Caller, id protocol.JobID) (protocol.Job, error) {
	j, err := s.records.Job(ctx, caller.Reach(), id)
	return wire(j, caller), err
}

// Cancel is meta.DB.CancelJob.
func (s *Service) Cancel(ctx context.Context, caller Caller, id protocol.JobID) (protocol.Job, error) {
	j, err := s.records.CancelJob(ctx, caller.Reach(), id)
	return wire(j, caller), err
}

// Retry is meta.DB.RetryJob.
func (s *Service) Retry(ctx context.Context, caller Caller, id protocol.JobID) (protocol.Job, error) {
	j, err := s.records.RetryJob(ctx, caller.Reach(), id)
	return wire(j, caller), err
}

// wire is a job as the caller sees it: of nodes only who may see everything.
func wire(j meta.Job, caller Caller) protocol.Job {
	w := protocol.Job{
		ID: j.ID, Kind: j.Kind, State: j.State, Owner: given(j.Owner), Args: j.Args, Subject: given(j.Subject), Priority: j.Priority,
		Attempts: j.Attempts, MaxAttempts: j.MaxAttempts, CreatedAt: protocol.TimeOf(j.CreatedAt), RunAt: protocol.TimeOf(j.RunAt),
		StartedAt: timeOf(j.StartedAt), FinishedAt: timeOf(j.FinishedAt), Cancelling: j.Cancelling, Progress: j.Progress, Error: given(j.Error),
	}
	if caller.All {
		w.Node = given(j.Node)
	}
	if j.Every > 0 {
		s := int64(j.Every.Seconds())
		w.EverySeconds = &s
	}
	return w
}

// given is nil where there is nothing.
func given[T ~string](v T) *T {
	if v == "" {
		return nil
	}
	return &v
}

func timeOf(t *time.Time) *protocol.Time {
	if t == nil {
		return nil
	}
	v := protocol.TimeOf(*t)
	return &v
}
