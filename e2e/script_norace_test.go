//go:build !race

package e2e

// buildFlags are those with which the programs of scripts are built.
var buildFlags []string
