package cli

import (
	"bufio"
	"context"
	"io"
	"os"
	"slices"

	"github.com/gabriel-vasile/mimetype"
	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client/transfer"
)

// Names of the verbs in results and messages.
const (
	opPut    = "put"
	opGet    = "get"
	opCat    = "cat"
	opStat   = "stat"
	opRemove = "rm"
	opResume = "resume"
	opPrune  = "prune"
	opHash   = "hash"
	opVerify = "verify"
	opRun    = "run"
)

// standardInput is the argument that means it, and its name when none is given.
const (
	standardInput     = "-"
	standardInputName = "stdin"
)

// sniffed is how much of a file decides its media type.
const sniffed = 3072

// Bounds of --jobs and --parts.
const (
	maxJobs     = 64
	defaultJobs = 4
	// defaultTransfers is enough for many small files; large ones share the
	// budget of connections.
	defaultTransfers = 16
	maxPartsPerFile  = 64
)

type putOptions struct {
	selectOptions
	name, mediaType string
	meta            []string
	expires         string
	jobs, parts     int
	sha256          bool
	failIfEmpty     bool
}

func newPut(s *session) *cobra.Command {
	o := &putOptions{}
	cmd := &cobra.Command{
		Use:   "put FILE... | -",
		Short: "Upload files and folders; print the uid of each file",
		Long: "Upload files, or standard input (-). For each file one line is printed, its uid, a\n" +
			"tab and its path, in the order of the arguments; with -q the uid alone.\n" +
			"An upload that was interrupted goes on when the same command is run again.\n" +
			"Standard input cannot be resumed.\n\n" + selectText,
		Example: "  osp put -r site --exclude '*.tmp' --exclude node_modules/\n" +
			"  osp put -r photos --include '*.jpg'\n" +
			"  git ls-files -z | osp put --files-from - -0",
		Args: o.check,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args) },
	}
	f := cmd.Flags()
	o.add(f)
	s.addDryRun(f)
	addFailIfEmpty(f, &o.failIfEmpty)
	f.StringVar(&o.name, "name", "", "`NAME` to store, instead of the file's (one FILE only)")
	f.StringVar(&o.mediaType, "media-type", "", "media `TYPE` to store, instead of the one its bytes suggest")
	f.StringArrayVar(&o.meta, "meta", nil, "`KEY=VALUE` to store with each file (repeat for more)")
	f.StringVar(&o.expires, "expires", "", "`WHEN` each file expires: a time, or a duration such as 24h or 30d")
	f.BoolVar(&o.sha256, "sha256", false, "compute the plain SHA-256 of each file too: sha256 with --json, and said with -v")
	f.IntVarP(&o.jobs, "jobs", "j", defaultTransfers, "files at once")
	f.IntVarP(&o.parts, "parts", "c", transfer.DefaultPartsPerFile, "parts of one file at once")
	return cmd
}

// request checks the options and makes what all files have in common.
func (o *putOptions) request(s *session, args []string) (transfer.PutRequest, error) {
	req := transfer.PutRequest{Name: o.name, MediaType: o.mediaType, SHA256: o.sha256}
	if o.name != "" && len(args) > 1 {
		return req, usagef("--name names one file, but %d are given", len(args))
	}
	if o.name != "" && (o.recursive || o.filesFrom != "") {
		return req, usagef("--name names one file: it goes neither with -r nor with --files-from")
	}
	if err := between("--jobs", o.jobs, maxJobs); err != nil {
		return req, err
	}
	if err := between("--parts", o.parts, maxPartsPerFile); err != nil {
		return req, err
	}
	var err error
	if req.Meta, err = metadata(o.meta); err != nil {
		return req, err
	}
	req.ExpiresAt, err = expiryOf("--expires", o.expires, s.now())
	return req, err
}

// oneStandardInput refuses to read standard input twice.
func oneStandardInput(args []string) error {
	if i := slices.Index(args, standardInput); i >= 0 && slices.Contains(args[i+1:], standardInput) {
		return usagef("standard input (-) is given twice, but can be read once")
	}
	return nil
}

func (o *putOptions) run(ctx context.Context, s *session, args []string) error {
	req, err := o.request(s, args)
	if err != nil {
		return err
	}
	sel, closed, err := o.selection(s, args)
	if err != nil {
		return err
	}
	defer closed()
	sel.Literal = o.name != ""
	progress := &transfer.Progress{}
	engine, err := s.engine(o.parts, progress)
	if err != nil {
		return err
	}
	found := s.surveyor(engine).run(ctx, scan(ctx, sel, progress))
	rep := s.report(opPut, s.putText)
	rep.failIfEmpty = o.failIfEmpty
	stop := s.show(progress, slices.Contains(args, standardInput))
	s.workThrough(ctx, rep, scanned(ctx, found, func(c candidate) item { return putItem(s, engine, req, c) }), o.jobs)
	stop()
	if rep.sum.Items == 0 {
		s.warn("nothing was put: no file is there that the filters do not leave out")
	}
	s.code = rep.close(s.now())
	return nil
}

// putItem is the upload of one file.
func putItem(s *session, engine *transfer.Engine, req transfer.PutRequest, c candidate) item {
	req.Path, req.Hint = c.Path, c.hint
	if req.Name == "" {
		req.Name = c.Name
	}
	it := item{known: transfer.Result{Path: c.Path, Name: c.Name}, kind: transfer.DirectionPut}
	switch {
	case c.Err != nil:
		return failedItem(it.known, c.Err)
	case c.Stdin:
		it.unsized = s.dryRun
		it.run = s.putStream(engine, req)
	default:
		it.run = s.instead(func(ctx context.Context) (transfer.Result, error) {
			return engine.WouldPut(ctx, req)
		}, func(ctx context.Context) (transfer.Result, error) {
			if req.MediaType == "" {
				req.MediaType = sniffFile(c.Path)
			}
			return engine.Put(ctx, req)
		})
	}
	return it
}

// putStream is the upload of standard input.
func (s *session) putStream(engine *transfer.Engine, req transfer.PutRequest) func(context.Context) (transfer.Result, error) {
	if req.Name == "" {
		req.Name = standardInputName
	}
	return s.instead(func(ctx context.Context) (transfer.Result, error) {
		return engine.WouldPutStream(ctx, req)
	}, func(ctx context.Context) (transfer.Result, error) {
		in := bufio.NewReaderSize(s.in, sniffed)
		if req.MediaType == "" {
			media, err := sniffStream(ctx, in)
			if err != nil {
				return transfer.Result{}, err
			}
			req.MediaType = media
		}
		return engine.PutStream(ctx, in, req)
	})
}

// putText is the line of a file that was put.
func (s *session) putText(o outcome) string {
	if s.opts.quiet {
		return o.UID.String()
	}
	return o.UID.String() + "\t" + clean(o.Path)
}

// expectFiles tells the progress how much is to come. What cannot be looked at
// is not counted: putting it will say why.
func expectFiles(progress *transfer.Progress, paths []string) {
	var total int64
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
	}
	progress.Expect(len(paths), total)
}

// sniffFile guesses a media type from a file's first bytes; "" where they
// cannot be read. Only regular files are opened: a pipe could block for ever.
func sniffFile(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, sniffed)
	n, err := io.ReadFull(f, head)
	if err != nil && n == 0 && info.Size() > 0 {
		return ""
	}
	return mimetype.Detect(head[:n]).String()
}

// sniffStream guesses from what the reader has to give next, and leaves it
// there. Where ctx ends first, the read that waits for it is left behind: it
// cannot be given up, and the reader is not to be used again.
func sniffStream(ctx context.Context, in *bufio.Reader) (string, error) {
	media := make(chan string, 1)
	go func() {
		head, _ := in.Peek(sniffed) // an error comes again when it is read
		media <- mimetype.Detect(head).String()
	}()
	select {
	case m := <-media:
		return m, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// atLeastOne, exactlyOne and atMost refuse wrong numbers of arguments in words.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			err := usagef("%s is missing", what)
			err.Hint = cmd.CommandPath() + " --help"
			return err
		}
		return nil
	}
}

func exactlyOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := atLeastOne(what)(cmd, args); err != nil {
			return err
		}
		return atMost(1)(cmd, args)
	}
}

func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			err := usagef("too many arguments: %q is not expected", args[n])
			err.Hint = cmd.CommandPath() + " --help"
			return err
		}
		return nil
	}
}
