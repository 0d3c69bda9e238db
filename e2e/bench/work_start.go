package main

import (
	"context"
	"time"
)

// startWork measures how long programs take to say their version, which is
// what a script pays for each run of one.
func startWork() work {
	return work{name: "start", oursAlone: true, measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title:   "Start of a program, to print its version (`start`)",
			notes:   "Medians of 20 starts in each round.",
			columns: []column{millisecondsColumn("wall ms", wall), millisecondsColumn("CPU ms", clientCPU)},
			ratios:  oursByTheirs,
			compare: wall,
		}
		programs := b.lab.programs()
		return b.table, b.rounds(ctx, nil, func(_ system, round int) error {
			for i := range programs {
				p := programs[(i+round)%len(programs)]
				one, err := p.start(ctx)
				if err != nil {
					return err
				}
				b.table.add(p.name, p.ours, one)
			}
			return nil
		})
	}}
}

// start is the median of some starts.
func (p program) start(ctx context.Context) (sample, error) {
	var all []sample
	for range 20 {
		began := time.Now()
		cpu, err := command(p.command(ctx))(ctx)
		if err != nil {
			return sample{}, err
		}
		all = append(all, sample{wall: time.Since(began), clientCPU: cpu})
	}
	seconds := func(value func(sample) float64) time.Duration {
		return time.Duration(median(figures(all, value)) * float64(time.Second))
	}
	return sample{wall: seconds(wall), clientCPU: seconds(clientCPU)}, nil
}
