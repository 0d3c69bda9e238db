package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/protocol"
)

// importArgs are the args of a job of kind import.
type importArgs struct {
	Source  string         `json:"source"`
	InPlace bool           `json:"in_place"`
	Adopt   bool           `json:"adopt"`
	Owner   protocol.Owner `json:"owner,omitempty"`
}

func newImport(s *session) *cobra.Command {
	var a importArgs
	var owner string
	cmd := &cobra.Command{
		Use:   "import SOURCE",
		Short: "Make files of objects that are there already",
		Long: "Make files of objects that are there already: of those of a store whose name begins with\n" +
			"PREFIX (s3:NAME/PREFIX, where NAME is a store of the daemon's configuration of any type),\n" +
			"or of the files in a folder of the daemon's machine (dir:PATH). A file is called as its\n" +
			"object is, behind the last slash of PREFIX or below PATH, and keeps its media type and\n" +
			"time. The bytes are copied to the default store; with --in-place they stay where they\n" +
			"are, which has to be a configured store, and are never deleted by ospd; with --adopt, too,\n" +
			"they are ospd's own from then on: each is deleted with the last file made of it, or once\n" +
			"its digest is known and the same bytes are ospd's elsewhere.\n\n" +
			"Of each object a line of JSON is printed, with its path and its file's uid: the manifest.\n" +
			"Of an object that an import has made a file of before, that file is told. The import is a\n" +
			"job of the daemon and goes on without osp: osp admin jobs manifest JOB prints all again.\n" +
			"The scope admin is needed.\n\n" +
			"Exit: 0 there is a file of each object, 3 not of all, 4 there are no objects, 1 it is dead,\n" +
			"9 it was cancelled.",
		Example: "  osp admin import s3:minio/photos/ > manifest.ndjson\n" +
			"  osp admin import dir:/srv/files --in-place --owner team",
		Args:        exactlyOne("SOURCE"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if a.Adopt && !a.InPlace {
				return usagef("--adopt goes with --in-place: a copy is the daemon's own already")
			}
			if a.Source, err = sourceOf(args[0]); err != nil {
				return err
			}
			a.Owner = protocol.Owner(owner)
			return s.runImport(cmd.Context(), a)
		},
	}
	cmd.Flags().BoolVar(&a.InPlace, "in-place", false, "leave the bytes where they are")
	cmd.Flags().BoolVar(&a.Adopt, "adopt", false, "have the objects be ospd's own, to be deleted with their files, or once the same bytes are there twice")
	cmd.Flags().StringVar(&owner, "owner", "", "`OWNER` of the files (default: one's own)")
	return cmd
}

// sourceOf makes the path of a folder absolute: it is meant as seen from here,
// where the daemon is on this machine.
func sourceOf(source string) (string, error) {
	path, isDir := strings.CutPrefix(source, "dir:")
	if !isDir || path == "" {
		return source, nil
	}
	abs, err := filepath.Abs(path)
	return "dir:" + abs, err
}

func (s *session) runImport(ctx context.Context, a importArgs) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	args, err := json.Marshal(a)
	if err != nil {
		return err
	}
	j, err := c.CreateJob(ctx, protocol.CreateJob{Kind: protocol.JobImport, Args: args}, rand.Text())
	if err != nil {
		return stopped(ctx, err)
	}
	if !s.opts.quiet {
		s.con.note("osp: job " + j.ID.String() + " imports; should osp be stopped, it goes on: osp admin jobs manifest " + j.ID.String())
	}
	return s.manifest(ctx, c, j.ID)
}

func newJobsManifest(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "manifest JOB",
		Short: "Print what an import did, from the beginning",
		Long: "Print what an import did, from the beginning: a line of JSON of each object, with its path\n" +
			"and its file's uid; with -q the uids alone. While the import runs, what comes is waited for.\n" +
			"A manifest is kept as long as its job, a day after its end; to import the same again prints\n" +
			"the same files.\n\n" +
			"Exit: 0 there is a file of each object, 3 not of all, 4 there are no objects, 1 it is dead,\n" +
			"9 it was cancelled.",
		Example:     "  osp admin jobs manifest 42 > manifest.ndjson",
		Args:        exactlyOne("JOB"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := protocol.ParseJobID(args[0])
			if err != nil {
				return usagef("%v", err)
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			return s.manifest(cmd.Context(), c, id)
		},
	}
}
