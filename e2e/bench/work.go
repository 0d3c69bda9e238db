package main

import (
	"context"
	"fmt"
	"slices"
)

// work is one thing that is measured.
type work struct {
	// name is what the command line calls it.
	name string
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
		requestsWork(),
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
	lab     *lab
	dir     string
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
		for i := range b.systems {
			s := b.systems[(i+round)%len(b.systems)]
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := do(s, round); err != nil {
				return fmt.Errorf("%s: %w", s.name(), err)
			}
		}
	}
	return nil
}

// names are base names for n files.
func names(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("f%05d", i))
	}
	return slices.Clip(all)
}
