package cli

import "github.com/spf13/cobra"

// newAdmin is the parent of what is done to a daemon, not to files.
func newAdmin(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "admin",
		Short:   "Look after a daemon",
		Long:    "Look after a daemon: what it does by itself, whom it tells of what happens, and\nwhere it keeps its bytes. Of everybody's, a token with the scope admin is shown; else\none's own.",
		Example: "  osp admin jobs list\n  osp admin webhooks list\n  osp admin stores\n  osp admin nodes\n  osp admin import dir:/srv/files > manifest.ndjson",
		Args:    noVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newJobs(s), newWebhooks(s), newStores(s), newNodes(s), newMigrate(s), newImport(s))
	return cmd
}
