package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/protocol"
)

func newKeys(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Rotate and list the keys that links are signed with",
		Long: "Rotate and list the keys that links are signed with, whether the daemon of the\n" +
			"installation runs or not. The first one is made when it is needed.",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{fmt.Errorf("keys: a verb is missing: rotate or list")}
		},
	}
	cmd.AddCommand(newKeysRotate(e), newKeysList(e))
	return cmd
}

func newKeysRotate(e *env) *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new key; what older ones signed ends at its time, or at once with --now",
		Long: "Make a new key, with which links are signed from then on (within 5 seconds, where\n" +
			"a daemon runs). Links that older keys signed stay good until they end, at most for\n" +
			"links.max_expiry of the configuration that is given here. With --now they end at\n" +
			"once, every one of them: for a key that others may have, and after the database was\n" +
			"restored from a backup, which knows nothing of what was revoked since.",
		Args: noArgs,
	}
	config := addConfigFlags(cmd)
	cmd.Flags().BoolVar(&now, "now", false, "end all links that were signed before")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.own(e)
		if err != nil {
			return err
		}
		// At once is a time that is past by every clock: this machine's may be
		// ahead of the daemon's.
		until := time.UnixMilli(1)
		if !now {
			until = time.Now().Add(cfg.Links.MaxExpiry)
		}
		return withTokens(cmd.Context(), e, config, false, func(ctx context.Context, tokens *daemon.Tokens) error {
			keys, err := tokens.RotateLinkKey(ctx, until)
			if err != nil {
				return err
			}
			return printKeys(e, keys, time.Now())
		})
	}
	return cmd
}

func newKeysList(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys, without their secrets, and until when their links are good",
		Args:  noArgs,
	}
	config := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withTokens(cmd.Context(), e, config, false, func(ctx context.Context, tokens *daemon.Tokens) error {
			keys, err := tokens.LinkKeys(ctx)
			if err != nil {
				return err
			}
			return printKeys(e, keys, time.Now())
		})
	}
	return cmd
}

func printKeys(e *env, keys []daemon.LinkKey, now time.Time) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tSTATE\tCREATED\tLINKS GOOD UNTIL")
	for _, k := range keys {
		state, until := "signs", "-"
		if k.RetiredAt != nil {
			state, until = "checks", protocol.TimeOf(*k.RetiredAt).String()
			if !now.Before(*k.RetiredAt) {
				state, until = "retired", "-"
			}
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", k.ID, state, protocol.TimeOf(k.CreatedAt), until)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the keys: %w", err)
	}
	return nil
}
