package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client/transfer"
)

type hashOptions struct {
	algorithm string
	jobs      int
}

func newHash(s *session) *cobra.Command {
	o := &hashOptions{}
	cmd := &cobra.Command{
		Use:   "hash FILE... | -",
		Short: "Hash files of this machine as the daemon does",
		Long: "Hash files of this machine, or standard input (-); no daemon is asked. For each file\n" +
			"one line is printed, in the order of the arguments: content_hash:HEX, two spaces and\n" +
			"the name. HEX is what osp stat calls digest. With --algo sha256 or md5 it is that hash\n" +
			"alone, and the lines are those of sha256sum, for sha256sum -c to read. A name that has\n" +
			"a backslash or a line end is escaped as there.",
		Example: "  osp hash big.iso\n  osp hash --algo sha256 *.iso >SHA256SUMS\n  tar c . | osp hash -",
		Args:    atLeastOne("FILE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args) },
	}
	cmd.Flags().StringVar(&o.algorithm, "algo", string(transfer.AlgorithmDigest), "`HASH` to compute: content_hash, sha256 or md5")
	cmd.Flags().IntVarP(&o.jobs, "jobs", "j", defaultJobs, "files at once")
	return cmd
}

// check refuses options that mean nothing.
func (o *hashOptions) check(args []string) error {
	switch transfer.Algorithm(o.algorithm) {
	case transfer.AlgorithmDigest, transfer.AlgorithmSHA256, transfer.AlgorithmMD5:
	default:
		return usagef("--algo is content_hash, sha256 or md5, not %q", o.algorithm)
	}
	if err := oneStandardInput(args); err != nil {
		return err
	}
	return between("--jobs", o.jobs, maxJobs)
}

func (o *hashOptions) run(ctx context.Context, s *session, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	progress := &transfer.Progress{}
	var items []item
	for _, path := range args {
		req := transfer.HashRequest{Path: path, Algorithm: transfer.Algorithm(o.algorithm)}
		if path == standardInput {
			req.Stream = s.in
		}
		items = append(items, item{known: transfer.Result{Path: path},
			run: func(ctx context.Context) (transfer.Result, error) { return transfer.Hash(ctx, req, progress) }})
	}
	expectFiles(progress, args)
	rep := s.report(opHash, s.hashText)
	rep.quiet = true
	stop := s.show(progress, slices.Contains(args, standardInput))
	s.work(ctx, rep, items, o.jobs)
	stop()
	s.code = rep.close(s.now())
	return nil
}

// hashText is the line of a file that was hashed. A program that reads it needs
// the name as it is; a terminal gets nothing that could move its cursor.
func (s *session) hashText(o outcome) string {
	sum := o.SHA256 + o.MD5 // one of them at most
	if o.Digest != nil {
		sum = string(transfer.AlgorithmDigest) + ":" + o.Digest.String()
	}
	if isTerminal(s.con.out) {
		return sum + "  " + clean(o.Path)
	}
	return checksumLine(sum, o.Path)
}

// checksumLine is a line in the form of sha256sum (GNU coreutils): a name with
// a backslash or the end of a line in it is escaped, which a backslash before
// the sum says.
func checksumLine(sum, name string) string {
	escaped := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name)
	if escaped != name {
		sum = `\` + sum
	}
	return sum + "  " + escaped
}
