package main

import "context"

// nodesWork asks one, two and three nodes that share a store for a small object,
// as often as they can answer.
func nodesWork() work {
	return work{name: "nodes-get-4k", nodes: &plan{nodes: 3, shared: true}, measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title: "GET of a 4 KiB object, 64 connections shared out among the nodes (`nodes-get-4k`)",
			notes: "Three nodes on one bucket of MinIO and one Postgres, and what asks them, all on this machine: one node has all of it that the others leave, so that the rates cannot grow with the " +
				"nodes as they do where each has a machine of its own. What an answer costs the nodes says how they would. Greater is better.",
			columns: []column{
				{head: "requests/s (least – greatest)", value: rate, format: "%.0f", spread: true},
				millisecondsColumn("p99 ms", p99),
				{head: "CPU of the nodes µs a request", value: func(s sample) float64 { return perRequest(s, s.serverCPU) }, format: "%.1f"},
				{head: "peak of the first node MB", value: peak, format: "%.0f"},
			},
		}
		all := b.systems
		b.systems = all[:1]
		names := names(1)
		if _, err := b.stored(ctx, names, 4<<10); err != nil {
			return nil, err
		}
		return b.table, b.rounds(ctx, nil, func(_ system, round int) error {
			for i := range all {
				if err := b.requestsOf(ctx, all, 1+(i+round)%len(all), names[0]); err != nil {
					return err
				}
			}
			return nil
		})
	}}
}

// requestsOf asks the first so many of the nodes.
func (b *bench) requestsOf(ctx context.Context, nodes []system, asked int, name string) error {
	var urls []string
	for _, s := range nodes[:asked] {
		urls = append(urls, s.url(name))
	}
	if err := b.quiet(ctx); err != nil {
		return err
	}
	var got loadResult
	one, err := b.observe(ctx, together(nodes), inside(func(ctx context.Context) (err error) {
		got, err = load{urls: urls, connections: 64, lasts: loadTime}.run(ctx)
		return err
	}))
	if err != nil {
		return err
	}
	one.requests, one.rate, one.p99 = got.requests, got.rate, got.p99
	b.table.add(plural(asked, "node"), true, one)
	return nil
}
