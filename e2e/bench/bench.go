package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// bench is what one work is done with: servers that were started for it, on
// folders of their own.
type bench struct {
	lab *lab
	dir string
	// systems are ours and the peers that have done all of the work so far.
	systems []system
	// source is a second S3 server, from which files are moved to the first; nil
	// where the work has none.
	source *s3System
	// ends stop what else was started, from the last to the first.
	ends  []func() error
	table *table
}

// start starts ours and peers, and returns those that it started also when
// one does not start.
func (b *bench) start(ctx context.Context, peers []peer) ([]system, error) {
	var running []system
	for _, p := range append([]peer{{name: "ospd", start: startOSP}}, peers...) {
		s, err := p.start(ctx, b.lab, filepath.Join(b.dir, p.name))
		if err != nil {
			return running, fmt.Errorf("start %s: %w", p.name, err)
		}
		running = append(running, s)
	}
	return running, nil
}

// rounds calls do for each system in each round. The order turns from round
// to round, so that none always comes after the same other. What round 0
// shows is not counted: it warms up.
func (b *bench) rounds(ctx context.Context, prepare func(round int) error, do func(s system, round int) error) error {
	for round := range b.lab.rounds + 1 {
		b.lab.say("round %d of %d", round, b.lab.rounds)
		b.table.warming = round == 0
		if prepare != nil {
			if err := prepare(round); err != nil {
				return err
			}
		}
		first := round % len(b.systems)
		turn := slices.Concat(b.systems[first:], b.systems[:first])
		if err := b.turn(ctx, turn, func(s system) error { return do(s, round) }); err != nil {
			return err
		}
	}
	return nil
}

// turn calls do for systems. A peer that cannot do the work is left out from
// there on, which the table says; ours has to.
func (b *bench) turn(ctx context.Context, systems []system, do func(s system) error) error {
	for _, s := range systems {
		err := do(s)
		if err == nil {
			continue
		}
		if s == b.systems[0] || ctx.Err() != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
		b.lab.say("left out from here on: %s: %v", s.name(), err)
		b.table.leaveOut(s.name(), err)
		b.systems = slices.DeleteFunc(slices.Clone(b.systems), func(other system) bool { return other == s })
	}
	return nil
}

// sourceDir is where the files are that the systems are given.
func (b *bench) sourceDir() string { return filepath.Join(b.dir, "files") }

// stored makes files and puts them into every system. It returns their paths.
func (b *bench) stored(ctx context.Context, names []string, size int64) ([]string, error) {
	files, err := newFiles(b.sourceDir(), names, size, 0)
	if err != nil {
		return nil, err
	}
	return files, b.turn(ctx, b.systems, func(s system) error {
		_, err := s.put(files, 16)(ctx)
		return err
	})
}

// measure runs a job of s once and notes under row what it took.
func (b *bench) measure(ctx context.Context, row string, s system, j job) error {
	one, err := b.once(ctx, s, j)
	if err != nil {
		return err
	}
	b.table.add(row, s == b.systems[0], one)
	return nil
}

// once runs a job of s and returns what it took. Nothing is waiting for the
// disk when it begins, and there is memory to write into.
func (b *bench) once(ctx context.Context, s system, j job) (sample, error) {
	if err := b.quiet(ctx); err != nil {
		return sample{}, err
	}
	return b.observe(ctx, []*server{s.server()}, j)
}

// quiet returns when nothing waits for the disk, and there is memory at hand.
func (b *bench) quiet(ctx context.Context) error {
	if err := settle(ctx, b.dir); err != nil {
		return err
	}
	return takeMemory()
}

// observe is once on a disk that is as it is. The CPU is that of all the servers,
// the peak that of the first.
func (b *bench) observe(ctx context.Context, servers []*server, j job) (sample, error) {
	if err := servers[0].forgetPeak(); err != nil {
		return sample{}, err
	}
	before, err := usedBy(servers)
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	cpu, err := j(ctx)
	one := sample{wall: time.Since(began), clientCPU: cpu}
	if err != nil {
		return sample{}, err
	}
	after, err := usedBy(servers)
	if err != nil {
		return sample{}, err
	}
	one.serverCPU, one.peak = after.cpu-before.cpu, after.peak
	if b.table.withSync != nil {
		began = time.Now()
		err = settle(ctx, b.dir)
		one.sync = time.Since(began)
	}
	return one, err
}

// settle waits until what was written to the file system of dir is on the disk.
func settle(ctx context.Context, dir string) error {
	_, err := command(exec.CommandContext(ctx, "sync", "-f", dir))(ctx)
	return err
}
