// Command bench gives the same work to osp with ospd and to their peers, in
// turns, and prints what each took as tables for docs/performance.md. Seconds
// belong to the machine; the ratios are what counts. It measures what a peer
// costs whose programs are on the PATH, and needs nginx (with its DAV module)
// and curl at least.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if ctx.Err() != nil {
		err = errors.New("interrupted; the servers are stopped and their folders removed")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	osp, ospd string
	dir       string
	rounds    int
	large     bool
	works     string
	peers     string
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o := options{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.osp, "osp", "bin/osp", "the osp to measure")
	flags.StringVar(&o.ospd, "ospd", "bin/ospd", "the ospd to measure")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "a folder on a local disk, for the servers' data and the files they are given")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds that count, after one that does not")
	flags.BoolVar(&o.large, "large", false, "measure the commit of 10 GiB too, which needs 15 GB of disk")
	flags.StringVar(&o.works, "work", "", "what to measure, by commas: "+strings.Join(workNames(), ", ")+" (default all)")
	flags.StringVar(&o.peers, "peers", "", "which peers to measure beside, by commas: "+strings.Join(peerNames(), ", ")+" (default all that are on the PATH)")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if o.rounds < 1 || flags.NArg() > 0 {
		return fmt.Errorf("-rounds is at least 1, and everything else is a flag too")
	}
	works, err := choose(o.works, allWorks(), func(w work) string { return w.name })
	if err != nil {
		return err
	}
	peers, err := choosePeers(o.peers)
	if err != nil {
		return err
	}
	l, err := newLab(o, peers, progress)
	if err != nil {
		return err
	}
	defer l.close()
	fmt.Fprint(out, l.describe(ctx))
	for _, w := range works {
		if err := l.perform(ctx, w, out); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// choose returns those of all that a list separated by commas names, in the
// order of all; an empty list names every one.
func choose[T any](list string, all []T, name func(T) string) ([]T, error) {
	if list == "" {
		return all, nil
	}
	wanted := map[string]bool{}
	for _, n := range strings.Split(list, ",") {
		wanted[strings.TrimSpace(n)] = true
	}
	var chosen []T
	var known []string
	for _, one := range all {
		known = append(known, name(one))
		if wanted[name(one)] {
			chosen = append(chosen, one)
			delete(wanted, name(one))
		}
	}
	for n := range wanted {
		return nil, fmt.Errorf("%q is none of %s", n, strings.Join(known, ", "))
	}
	return chosen, nil
}
