// Command bench puts and gets one large file with osp and ospd and with curl
// and nginx, in turns, and prints medians and ratios. Seconds belong to the
// machine; the ratios are what counts. It needs nginx (with its DAV module)
// and curl on the PATH.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	osp := flag.String("osp", "bin/osp", "the osp to measure")
	ospd := flag.String("ospd", "bin/ospd", "the ospd to measure")
	runs := flag.Int("runs", 5, "measured runs of each, after one that is not counted")
	mib := flag.Int64("mib", 1024, "size of the file in MiB")
	dir := flag.String("dir", os.TempDir(), "where to keep some four times the size")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *osp, *ospd, *dir, *runs, *mib<<20); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, osp, ospd, parent string, runs int, size int64) (err error) {
	dir, err := os.MkdirTemp(parent, "osp-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ours, err := startOSPD(ctx, osp, ospd, filepath.Join(dir, "ospd"))
	if err != nil {
		return err
	}
	defer ours.stop()
	theirs, err := startNginx(ctx, filepath.Join(dir, "nginx"))
	if err != nil {
		return err
	}
	defer theirs.stop()

	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
	times := samples{}
	for i := range runs + 1 {
		if err := writeRandom(source, uint64(i), size); err != nil {
			return err
		}
		once, err := turn(ctx, ours, theirs, source, target, i)
		if err != nil {
			return err
		}
		if i > 0 {
			times.add(once)
		}
	}
	times.print(size, runs)
	return nil
}

// turn measures everything once; whose put goes first changes with i, so that
// neither always finds the other's writeback.
func turn(ctx context.Context, ours, theirs *server, source, target string, i int) (map[string]time.Duration, error) {
	once := map[string]time.Duration{}
	servers := []*server{ours, theirs}
	if i%2 == 1 {
		slices.Reverse(servers)
	}
	for _, s := range servers {
		for _, step := range s.steps(source, target) {
			took, err := timed(ctx, step)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", step.name, err)
			}
			once[step.name] = took
			if step.compare {
				if err := same(source, target); err != nil {
					return nil, fmt.Errorf("%s: %w", step.name, err)
				}
			}
		}
		if err := s.clear(ctx); err != nil {
			return nil, err
		}
	}
	once[theirsPutSync] = once[theirsPut] + once[theirsSync]
	return once, nil
}

// samples are the times of each step.
type samples map[string][]time.Duration

func (s samples) add(once map[string]time.Duration) {
	for name, took := range once {
		s[name] = append(s[name], took)
	}
}

func (s samples) median(name string) float64 {
	sorted := slices.Sorted(slices.Values(s[name]))
	return sorted[len(sorted)/2].Seconds()
}

func (s samples) print(size int64, runs int) {
	out := &strings.Builder{}
	fmt.Fprintf(out, "%d MiB, medians of %d runs in turns\n\n", size>>20, runs)
	fmt.Fprintf(out, "| work | osp + ospd | curl + nginx | ours / theirs |\n|---|---|---|---|\n")
	for _, row := range [][3]string{
		{"put (ours durable and verified; nginx syncs nothing)", oursPut, theirsPut},
		{"put, sync included for both", oursPut, theirsPutSync},
		{"get to a file (ours verified by osp)", oursGet, theirsGet},
		{"get to nowhere, verified by `osp cat`", oursCat, theirsDiscard},
		{"get to nowhere, curl on both", oursDiscard, theirsDiscard},
	} {
		a, b := s.median(row[1]), s.median(row[2])
		fmt.Fprintf(out, "| %s | %.2f s | %.2f s | %.2f |\n", row[0], a, b, a/b)
	}
	fmt.Fprint(os.Stdout, out.String())
}
