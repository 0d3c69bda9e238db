package cli

import "github.com/spf13/cobra"

func newFsck(*env) *cobra.Command { return &cobra.Command{Use: "fsck"} }
