//go:build !crashpoints

package cli

import "github.com/spf13/cobra"

// addTestCommands adds nothing to a shipped build.
func addTestCommands(*cobra.Command, *env) {}
