package cli

import (
	"cmp"
	"context"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

// session is one run of osp: its streams, its global options, and what a verb
// opens with them.
type session struct {
	con *console
	in  io.Reader
	env environment
	// ask says that a person can answer questions.
	ask bool
	// errTerminal says that standard error is a terminal.
	errTerminal bool
	now         func() time.Time
	began       time.Time

	opts globals
	// dryRun: the verb is to look and to do nothing.
	dryRun bool
	// started says that opts are complete.
	started bool
	// profileFrom and serverFrom say where those options came from: what was
	// typed, a command to type next needs too.
	profileFrom, serverFrom string
	// newProfile says that the profile need not exist, and that its token is
	// not wanted: the verb makes it.
	newProfile bool
	// settled is what settle found.
	settled *settings
	// code is the exit code.
	code    int
	cleanup []func()
}

func newSession(stdin io.Reader, stdout, stderr io.Writer, env environment) *session {
	s := &session{con: &console{out: stdout, err: stderr}, in: stdin, env: env, now: time.Now}
	s.errTerminal = isTerminal(stderr)
	s.ask = s.errTerminal && isTerminal(stdin)
	s.began = s.now()
	return s
}

// close gives back what the verb opened.
func (s *session) close() {
	for _, f := range s.cleanup {
		f()
	}
	s.cleanup = nil
}

// client makes the client of the server that holds for this run, with the
// token that does.
func (s *session) client() (*client.Client, error) {
	settled, err := s.settle()
	if err != nil {
		return nil, err
	}
	cfg := client.Config{Server: s.opts.server, UserAgent: "osp/" + buildVersion().Version, Transport: client.NewTransport(), Token: settled.bearer,
		UpRate: s.opts.up, DownRate: s.opts.down}
	if s.opts.verbose > 1 {
		cfg.Transport = &trace{next: cfg.Transport, note: s.con.note, now: s.now}
	}
	c, err := client.New(cfg)
	if err == nil {
		s.cleanup = append(s.cleanup, c.Close)
	}
	return c, err
}

// engine makes what moves files, with parts requests at once for each.
func (s *session) engine(parts int, progress *transfer.Progress) (*transfer.Engine, error) {
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	state := transfer.PeekState("")
	if !s.dryRun {
		if state, err = transfer.OpenState(""); err != nil {
			return nil, err
		}
	}
	return transfer.New(transfer.Config{Client: c, State: state, Connections: s.opts.atOnce(), PartsPerFile: parts,
		Retries: s.opts.retries, RetryMaxElapsed: s.opts.retryFor, Warn: s.warn, Progress: progress}), nil
}

// warn prints what is worth knowing though it is no failure.
func (s *session) warn(msg string) { s.con.note("osp: warning: " + clean(msg)) }

// resumeCommand is what to type to continue a transfer.
func (s *session) resumeCommand(id transfer.ID) string {
	return "osp resume " + string(id) + s.given()
}

// item is one thing a verb works on.
type item struct {
	// known is what the command line says of it: its path or uid.
	known transfer.Result
	kind  transfer.Direction
	// unsized: how large it is will not be known.
	unsized bool
	run     func(context.Context) (transfer.Result, error)
	// done says that known is all there is to it: nothing is to be run.
	done bool
	// op is what is done to it, "" for the verb itself.
	op string
	// place is where a batch asks for it.
	place
}

// againSame is the advice where the same command continues.
const againSame = "Run the same command again."

// report begins the report of a verb; text is its line of standard output.
func (s *session) report(op string, text func(outcome) string) *report {
	if s.dryRun {
		text = s.wouldText
	}
	return &report{con: s.con, op: op, json: s.opts.json, quiet: s.opts.quiet, verbose: s.opts.verbose > 0,
		dryRun: s.dryRun, began: s.began, text: text, resume: s.resumeCommand, again: againSame}
}

// work runs the items, at most atOnce together and in order, and reports each.
// Items that a stop kept from beginning are reported as stopped.
func (s *session) work(ctx context.Context, rep *report, items []item, atOnce int) {
	s.workThrough(ctx, rep, slices.Values(items), atOnce)
}

// workThrough is work on items that are found on the way: each is asked for
// when it can begin.
func (s *session) workThrough(ctx context.Context, rep *report, items iter.Seq[item], atOnce int) {
	next, end := iter.Pull(items)
	defer end()
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, atOnce)
	for i := 0; ; i++ {
		slots <- struct{}{}
		it, ok := next()
		if !ok {
			return
		}
		running.Go(func() {
			defer func() { <-slots }()
			rep.add(i, s.one(ctx, rep.op, it))
		})
	}
}

// one runs an item, unless the verb is being stopped.
func (s *session) one(ctx context.Context, op string, it item) outcome {
	op = cmp.Or(it.op, op)
	o := outcome{op: op, kind: it.kind, place: it.place, Result: it.known}
	if it.done {
		o.sized = op != opRemove
		return o
	}
	if ctx.Err() != nil {
		o.err = stopped(ctx, context.Cause(ctx))
		return o
	}
	began := s.now()
	res, err := it.run(ctx)
	if res.Path == "" {
		res.Path = it.known.Path
	}
	if res.UID == 0 {
		res.UID = it.known.UID
	}
	if res.Elapsed == 0 {
		res.Elapsed = s.now().Sub(began)
	}
	o.Result, o.err = res, s.advise(stopped(ctx, err))
	o.sized = err == nil && (op != opRemove || s.dryRun) && !it.unsized
	return o
}

// uids reads the arguments of a verb that takes uids.
func uids(args []string) ([]protocol.UID, error) {
	all := make([]protocol.UID, len(args))
	for i, a := range args {
		uid, err := protocol.ParseUID(a)
		if err != nil {
			return nil, err
		}
		all[i] = uid
	}
	return all, nil
}
