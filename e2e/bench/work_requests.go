package main

import (
	"context"
	"time"
)

// loadTime is how long each server is asked in each round.
const loadTime = 3 * time.Second

// requestsWork asks for one small object as often as it can.
func requestsWork() work {
	return work{name: "get-4k", measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title: "GET of a 4 KiB object, 64 connections (`get-4k`)",
			notes: "A plain GET of the content's URL, by the same load generator for all, which shares the machine with the server. Greater is better.",
			columns: []column{
				{head: "requests/s (least – greatest)", value: rate, format: "%.0f", spread: true},
				millisecondsColumn("p99 ms", p99),
				secondsColumn("client CPU s", clientCPU),
				secondsColumn("server CPU s", serverCPU),
				peakColumn(),
			},
			ratios:  oursByTheirs,
			compare: rate,
			targets: []target{
				{theirs: curlNginx, limit: 0.5, least: true},
				{theirs: curlNginx, limit: 1, figure: p99, what: "p99"},
			},
		}
		names := names(1)
		if _, err := b.stored(ctx, names, 4<<10); err != nil {
			return nil, err
		}
		return b.table, b.rounds(ctx, nil, func(s system, _ int) error { return b.requests(ctx, s, names[0]) })
	}}
}

func (b *bench) requests(ctx context.Context, s system, name string) error {
	url, err := s.url(ctx, name)
	if err != nil {
		return err
	}
	var got loadResult
	one, err := b.once(ctx, s, inside(func(ctx context.Context) (err error) {
		got, err = load{url: url, connections: 64, lasts: loadTime}.run(ctx)
		return err
	}))
	if err != nil {
		return err
	}
	one.rate, one.p99 = got.rate, got.p99
	b.table.add(s.name(), s == b.systems[0], one)
	return nil
}
