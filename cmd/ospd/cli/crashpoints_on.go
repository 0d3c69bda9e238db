//go:build crashpoints

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon/crashpoint"
)

// addTestCommands lets a test ask which crash points there are.
func addTestCommands(root *cobra.Command, e *env) {
	root.AddCommand(&cobra.Command{
		Use: "crashpoints", Hidden: true, Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			for _, p := range crashpoint.All() {
				fmt.Fprintln(e.stdout, p)
			}
		},
	})
}
