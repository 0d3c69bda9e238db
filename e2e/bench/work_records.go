package main

import (
	"context"
	"fmt"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// recordsWork measures the transactions that uploads wait for.
func recordsWork() work {
	return work{name: "records", oursAlone: true, measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title: "Transactions of the database, a second (`records`)",
			notes: "A part is recorded without waiting for the disk; a commit and the put of a small file wait for it. In one process, without HTTP and without bytes. Greater is better.",
			columns: []column{
				{head: "transactions/s (least – greatest)", value: rate, format: "%.0f", spread: true},
				millisecondsColumn("p50 ms", p50),
				millisecondsColumn("p99 ms", p99),
			},
		}
		return b.table, b.eachRecords(ctx, func(r *records) error {
			if err := b.transactions(ctx, r, 1); err != nil {
				return err
			}
			return b.transactions(ctx, r, 64)
		})
	}}
}

// transactions are how many of a kind one client does in a round.
const transactions = 100

// transactions measures each kind of transaction once.
func (b *bench) transactions(ctx context.Context, r *records, clients int) error {
	n := clients * transactions
	note := func(what string, do func(ctx context.Context, client int) error) error {
		one, err := r.load(ctx, clients, n, do)
		if err == nil {
			b.table.add(fmt.Sprintf("%s, %s, %s", r.name, what, plural(clients, "client")), true, one)
		}
		return err
	}
	begun := make([]meta.Upload, clients)
	err := each(ctx, clients, clients, func(ctx context.Context, i int) (err error) {
		begun[i], err = r.begin(ctx)
		return err
	})
	if err != nil {
		return err
	}
	next := make([]protocol.PartNumber, clients)
	err = note("part", func(ctx context.Context, client int) error {
		next[client]++
		_, err := r.part(ctx, begun[client], next[client])
		return err
	})
	if err != nil {
		return err
	}
	ready, err := r.uploads(ctx, n)
	if err != nil {
		return err
	}
	err = note("commit", func(ctx context.Context, _ int) error {
		u := <-ready
		return r.commit(ctx, u.Upload, u.gen)
	})
	if err != nil {
		return err
	}
	return note("small file", func(ctx context.Context, _ int) error { return r.put(ctx) })
}

// whole is an upload that only waits for its commit.
type whole struct {
	meta.Upload
	gen int64
}

// uploads makes n uploads of one part.
func (r *records) uploads(ctx context.Context, n int) (chan whole, error) {
	all := make(chan whole, n)
	return all, each(ctx, n, 64, func(ctx context.Context, _ int) error {
		u, err := r.begin(ctx)
		if err != nil {
			return err
		}
		gen, err := r.part(ctx, u, 1)
		all <- whole{u, gen}
		return err
	})
}

func plural(n int, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
