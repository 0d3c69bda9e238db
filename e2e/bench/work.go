package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
)

// work is one thing that is measured.
type work struct {
	// name is what the command line calls it.
	name string
	// oursAlone says that no peer does this work.
	oursAlone bool
	// measure does the work in rounds and writes what it took into the table.
	measure func(ctx context.Context, b *bench) (*table, error)
}

// allWorks are the works in the order of the report.
func allWorks() []work {
	return []work{
		putWork(),
		getWork(),
		catWork(),
		putSmallWork(),
		getSmallWork(),
		putAtOnceWork(),
		slowWork(),
		requestsWork(),
		instantWork(),
		commitWork(),
		startWork(),
	}
}

func workNames() []string {
	var names []string
	for _, w := range allWorks() {
		names = append(names, w.name)
	}
	return names
}

// bench is what one work is done with: servers that were started for it, on
// folders of their own.
type bench struct {
	lab *lab
	dir string
	// systems are ours and the peers that have done all of the work so far.
	systems []system
	table   *table
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

// turn calls do for systems. A peer that cannot do the work is said to and
// left out from there on; ours has to.
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

// stored makes files and puts them into every system. It returns their paths.
func (b *bench) stored(ctx context.Context, names []string, size int64) ([]string, error) {
	files, err := newFiles(filepath.Join(b.dir, "source"), names, size, 0)
	if err != nil {
		return nil, err
	}
	return files, b.turn(ctx, b.systems, func(s system) error {
		_, err := s.put(files, 16)(ctx)
		return err
	})
}

// names are base names for n files.
func names(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("f%05d", i))
	}
	return slices.Clip(all)
}
