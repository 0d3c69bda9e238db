// Command osp is osp as the scripts of e2e run it: it leaves with what osp would.
package main

import (
	"os"

	"github.com/osproxy/osproxy/e2e/watch"
)

func main() { os.Exit(watch.Main(os.Args[1:], os.Environ())) }
