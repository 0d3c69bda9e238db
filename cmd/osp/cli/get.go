package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client/transfer"
)

type getOptions struct {
	recursive bool
	output    string
	force     bool
	ifExists  string
	jobs      int
	parts     int
	noVerify  bool
	sha256    string
}

func newGet(s *session) *cobra.Command {
	o := &getOptions{}
	cmd := &cobra.Command{
		Use:   "get UID... | -r PREFIX...",
		Short: "Download files, each block verified; print the path of each",
		Long: "Download files. Without -o a file is written to the current folder, under the last\n" +
			"segment of its stored name. The path that was written is printed, one a line.\n" +
			"A file appears under its name when it is complete and verified. What was\n" +
			"interrupted goes on when the same command is run again.\n\n" +
			"With -r all files are got whose stored names are PREFIX or go on with a slash behind\n" +
			"it (/ alone: all you have), each under its whole name below the folder of -o, which is\n" +
			"made where it is missing. Of files with one name the newest is got. Nothing is written\n" +
			"outside that folder, whatever names and links say.",
		Example: "  osp get 381270594817523712 -o copy.iso\n  osp get 381270594817523712 -o - | tar t\n" +
			"  osp get -r photos -o backup     # backup/photos/2026/a.jpg",
		Args: atLeastOne("UID or PREFIX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.recursive {
				return o.runTree(cmd.Context(), s, args)
			}
			return o.run(cmd.Context(), s, args)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.recursive, "recursive", "r", false, "get all files below name prefixes, instead of uids")
	s.addDryRun(f)
	f.StringVarP(&o.output, "output", "o", "", "`PATH` of the file or folder to write to; - is standard output")
	f.BoolVarP(&o.force, "force", "f", false, "replace an existing file: --if-exists overwrite")
	f.IntVarP(&o.jobs, "jobs", "j", defaultTransfers, "files at once")
	f.IntVarP(&o.parts, "parts", "c", transfer.DefaultPartsPerFile, "ranges at once")
	f.StringVar(&o.ifExists, "if-exists", string(transfer.ExistsFail), "`WHAT` to do about a different existing file: fail, skip or overwrite")
	f.BoolVar(&o.noVerify, "no-verify", false, "do not verify blocks")
	f.StringVar(&o.sha256, "sha256", "", "plain SHA-256 in `HEX` that the file must have, else nothing is written (one UID only)")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if o.force && cmd.Flags().Changed("if-exists") && o.ifExists != string(transfer.ExistsOverwrite) {
			return usagef("-f and --if-exists %s contradict each other", o.ifExists)
		}
		return nil
	}
	return cmd
}

// checkValues refuses values that parse but mean nothing.
func (o *getOptions) checkValues() error {
	switch transfer.IfExists(o.ifExists) {
	case transfer.ExistsFail, transfer.ExistsSkip, transfer.ExistsOverwrite:
	default:
		return usagef("--if-exists is fail, skip or overwrite, not %q", o.ifExists)
	}
	if err := between("--jobs", o.jobs, maxJobs); err != nil {
		return err
	}
	return between("--parts", o.parts, maxPartsPerFile)
}

// check refuses options that do not fit so many files.
func (o *getOptions) check(files int) error {
	if err := o.checkValues(); err != nil {
		return err
	}
	if o.sha256 != "" && files > 1 {
		return usagef("--sha256 is of one file, but %d are given", files)
	}
	if sum, err := hex.DecodeString(o.sha256); err != nil || o.sha256 != "" && len(sum) != sha256.Size {
		return usagef("--sha256 is a SHA-256 in 64 hexadecimal digits, not %q", o.sha256)
	}
	if o.output == "" || o.output == standardInput {
		return nil
	}
	info, err := os.Stat(o.output)
	folder := err == nil && info.IsDir()
	if !folder && (files > 1 || os.IsPathSeparator(o.output[len(o.output)-1])) {
		e := usagef("--output %s is not a folder", o.output)
		e.Hint = "mkdir -p " + shellWord(o.output)
		return e
	}
	return nil
}

func (o *getOptions) run(ctx context.Context, s *session, args []string) error {
	ids, err := uids(args)
	if err != nil {
		return err
	}
	if err := o.check(len(ids)); err != nil {
		return err
	}
	if o.output == standardInput && !s.dryRun {
		return catFiles(ctx, s, opGet, ids, o.parts, transfer.CatRequest{NoVerify: o.noVerify, SHA256: strings.ToLower(o.sha256)})
	}
	req := o.request(s)
	progress := &transfer.Progress{}
	engine, err := s.engine(o.parts, progress)
	if err != nil {
		return err
	}
	var items []item
	var order transfer.Order
	for _, uid := range ids {
		req.UID, req.Place = uid, order.Next()
		items = append(items, s.getItem(engine, req))
	}
	progress.Expect(len(ids), 0)
	s.getAll(ctx, progress, slices.Values(items), o.jobs)
	return nil
}

// request is what all files have in common. What it leaves out is said.
func (o *getOptions) request(s *session) transfer.GetRequest {
	if o.noVerify {
		s.warn("--no-verify: what is written is not checked")
	}
	req := transfer.GetRequest{Path: o.output, IfExists: transfer.IfExists(o.ifExists), NoVerify: o.noVerify, SHA256: strings.ToLower(o.sha256)}
	if o.force {
		req.IfExists = transfer.ExistsOverwrite
	}
	return req
}

// getAll runs downloads and reports them.
func (s *session) getAll(ctx context.Context, progress *transfer.Progress, items iter.Seq[item], jobs int) {
	rep := s.report(opGet, getText)
	stop := s.show(progress, false)
	s.workThrough(ctx, rep, items, jobs)
	stop()
	s.code = rep.close(s.now())
}

func (s *session) getItem(engine *transfer.Engine, req transfer.GetRequest) item {
	it := item{known: transfer.Result{UID: req.UID}, kind: transfer.DirectionGet, run: s.instead(
		func(ctx context.Context) (transfer.Result, error) { return engine.WouldGet(ctx, req) },
		func(ctx context.Context) (transfer.Result, error) { return engine.Get(ctx, req) })}
	if req.Path == standardInput { // with --dry-run only
		it.known.Path = req.Path
		it.run = func(ctx context.Context) (transfer.Result, error) {
			return engine.WouldCat(ctx, transfer.CatRequest{UID: req.UID, NoVerify: req.NoVerify, SHA256: req.SHA256})
		}
	}
	return it
}

// getText is the line of a file that was got: where it is.
func getText(o outcome) string { return clean(o.Path) }
