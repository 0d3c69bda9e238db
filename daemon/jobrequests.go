package daemon

import (
	"context"
	"encoding/json"

	"github.com/osproxy/osproxy/daemon/digest"
	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/migrate"
	"github.com/osproxy/osproxy/protocol"
)

// requests are the kinds of jobs that callers can ask for (POST /v1/jobs).
// docs/jobs.md tells of their args.
func (c *Config) requests(in *Installation, files *file.Service, migrates *migrate.Worker, imports *intake.Worker) map[protocol.JobKind]job.Request {
	return map[protocol.JobKind]job.Request{
		protocol.JobDigest: c.everywhere(in, digest.Job(), digest.JobOn),
		protocol.JobExpire: now(meta.NewJob{Kind: protocol.JobExpire, Subject: everything}),
		protocol.JobSweep:  c.everywhere(in, meta.NewJob{Kind: protocol.JobSweep, Subject: everything}, sweepOn),
		protocol.JobImport: imports.Request,
		protocol.JobScrub:  scrubRequest(files, c.scrubs(in)),
		protocol.JobMigrate: c.here(in, func(ctx context.Context, caller job.Caller, args json.RawMessage) (meta.NewJob, error) {
			if !caller.All {
				return meta.NewJob{}, notYours()
			}
			return migrates.Request(ctx, args)
		}),
	}
}

// here binds the migrations of what lies on a disk of this node, or comes to lie
// there, to it. It is so while it is alone, too: others may come before one ends.
func (c *Config) here(in *Installation, request job.Request) job.Request {
	if !c.DB.shared() {
		return request
	}
	return func(ctx context.Context, caller job.Caller, args json.RawMessage) (meta.NewJob, error) {
		n, err := request(ctx, caller, args)
		from, to := meta.MigrationStores(n.Subject)
		if c.Stores[from].Type == "local" || c.Stores[to].Type == "local" {
			n.Node = string(in.Node)
		}
		return n, err
	}
}

// now has the next run of a periodic job be due now, for who runs the
// installation.
func now(n meta.NewJob) job.Request {
	return func(_ context.Context, caller job.Caller, args json.RawMessage) (meta.NewJob, error) {
		if err := job.ParseArgs(args, &struct{}{}); err != nil {
			return meta.NewJob{}, err
		}
		if !caller.All {
			return meta.NewJob{}, notYours()
		}
		return n, nil
	}
}

// everywhere is now of a job and of those that each living node of a cluster has
// beside it, for what it alone reaches. Those of others wait for their nodes.
func (c *Config) everywhere(in *Installation, n meta.NewJob, on func(meta.NodeID) meta.NewJob) job.Request {
	if !c.joins {
		return now(n)
	}
	return func(ctx context.Context, caller job.Caller, args json.RawMessage) (meta.NewJob, error) {
		n, err := now(n)(ctx, caller, args)
		if err != nil {
			return n, err
		}
		nodes, err := in.DB.Nodes(ctx)
		for _, node := range nodes {
			if b := on(node.ID); node.Living && b.Subject != n.Subject {
				n.Beside = append(n.Beside, b)
			}
		}
		return n, err
	}
}

// scrubs has everything read: in a cluster by all nodes, of which none reaches all,
// and the answer is the job of the one that was asked.
func (c *Config) scrubs(in *Installation) job.Request {
	n := meta.NewJob{Kind: protocol.JobScrub, Subject: everything}
	if c.joins {
		n = scrubOn(in.Node)
	}
	return c.everywhere(in, n, scrubOn)
}

func notYours() error {
	return &protocol.Error{Kind: protocol.KindForbidden, Message: "this job is about everybody's files; nothing was done",
		Hint: "Ask for a token with the scope admin."}
}

// scrubRequest has a file of the caller's read through, {"file": UID}, or {}
// all there is.
func scrubRequest(files *file.Service, all job.Request) job.Request {
	return func(ctx context.Context, caller job.Caller, args json.RawMessage) (n meta.NewJob, err error) {
		var of struct {
			File *protocol.UID `json:"file"`
		}
		if err := job.ParseArgs(args, &of); err != nil {
			return n, err
		}
		if of.File == nil {
			return all(ctx, caller, json.RawMessage("{}"))
		}
		f, err := files.File(ctx, caller.Owner, *of.File)
		if err != nil {
			return n, err
		}
		return meta.FileScrub(f.Owner, f.UID)
	}
}

// ofFiles lets a scrub name a file of its job's owner. One that was deleted has
// nothing to be read.
func ofFiles(db *meta.DB, scrub func(context.Context, *job.Run, meta.ScrubArgs) error) func(context.Context, *job.Run, meta.ScrubArgs) error {
	return func(ctx context.Context, r *job.Run, args meta.ScrubArgs) error {
		if args.File == 0 {
			return scrub(ctx, r, args)
		}
		_, content, err := db.Content(ctx, r.Job.Owner, args.File)
		if protocol.KindOf(err) == protocol.KindNotFound {
			r.Progress(protocol.JobProgress{Unit: "contents", Note: "the file was deleted"})
			return nil
		}
		if err != nil {
			return err
		}
		return scrub(ctx, r, meta.ScrubArgs{Content: content.ID})
	}
}
