// Command ospd is the daemon: it stores files and hands out their uids.
package main

import (
	"os"

	"github.com/osproxy/osproxy/cmd/ospd/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
