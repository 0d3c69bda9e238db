package main

import (
	"context"
	"path/filepath"
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
				{head: "p99 ms (least – greatest)", value: func(s sample) float64 { return float64(s.p99.Microseconds()) / 1000 }, format: "%.1f", spread: true},
				{head: "client CPU s", value: func(s sample) float64 { return s.clientCPU.Seconds() }, format: "%.2f"},
				{head: "server CPU s", value: func(s sample) float64 { return s.serverCPU.Seconds() }, format: "%.2f"},
				peakColumn(),
			},
			compare: rate,
		}
		names := names(1)
		files, err := newFiles(filepath.Join(b.dir, "source"), names, 4<<10, 0)
		if err != nil {
			return nil, err
		}
		if err := b.store(ctx, files); err != nil {
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

func rate(s sample) float64 { return s.rate }
