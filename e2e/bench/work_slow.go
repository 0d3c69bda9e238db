package main

import (
	"context"
	"time"
)

// slowWork has many slow readers at once; what is of interest is the memory.
func slowWork() work {
	return work{name: "slow-1000", measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title: "1,000 slow downloads of 6 MiB at once (`slow-1000`)",
			notes: "Each reads 32 KiB ten times a second, with a receive buffer of 16 KiB and the segments of Ethernet, so that most of an answer is not yet with the " +
				"kernel; 64 different objects. All have to end complete. The ratios are those of the peaks.",
			columns: []column{
				peakColumn(),
				secondsColumn("all done after s", wall),
				secondsColumn("server CPU s", serverCPU),
			},
			ratios:  oursByTheirs,
			compare: peak,
			targets: []target{peakTarget()},
		}
		names := names(64)
		if _, err := b.stored(ctx, names, 6<<20); err != nil {
			return nil, err
		}
		return b.table, b.rounds(ctx, nil, func(s system, _ int) error { return b.slow(ctx, s, names) })
	}}
}

func (b *bench) slow(ctx context.Context, s system, names []string) error {
	readers := slowly{piece: 32 << 10, pause: 100 * time.Millisecond}
	for i := range 1000 {
		readers.urls = append(readers.urls, s.url(names[i%len(names)]))
	}
	return b.measure(ctx, s.name(), s, inside(readers.run))
}
