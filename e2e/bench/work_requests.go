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
				{head: "client CPU µs a request", value: func(s sample) float64 { return perRequest(s, s.clientCPU) }, format: "%.1f"},
				{head: "server CPU µs a request", value: func(s sample) float64 { return perRequest(s, s.serverCPU) }, format: "%.1f"},
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
	var got loadResult
	one, err := b.once(ctx, s, inside(func(ctx context.Context) (err error) {
		got, err = load{urls: []string{s.url(name)}, connections: 64, lasts: loadTime}.run(ctx)
		return err
	}))
	if err != nil {
		return err
	}
	one.requests, one.rate, one.p99 = got.requests, got.rate, got.p99
	b.table.add(s.name(), s == b.systems[0], one)
	return nil
}

// perRequest is in microseconds. It says more than the rate does where others
// work on the machine.
func perRequest(s sample, cpu cpuTime) float64 {
	return float64(cpu.Microseconds()) / float64(s.requests)
}
