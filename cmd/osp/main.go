// Command osp moves files to and from ospd. Everything is in package cli.
package main

import (
	"os"

	"github.com/osproxy/osproxy/cmd/osp/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
