package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/bulk"
	"github.com/osproxy/osproxy/protocol"
)

// scaleWork measures how what the daemon asks grows with its database.
func scaleWork() work {
	return work{name: "scale", oursAlone: true, measure: func(ctx context.Context, b *bench) (_ *table, err error) {
		sizes := []int64{10_000, 1_000_000}
		if b.lab.large {
			sizes = append(sizes, 10_000_000)
		}
		b.table = &table{
			title: "Growth of the database (`scale`)",
			notes: "Medians of many calls, one after the other, each for another file: what a download asks, a page of 100 files, whether content is here already, and a sweep that finds nothing to do.",
		}
		for i, size := range sizes {
			b.table.columns = append(b.table.columns, microsecondsColumn(fmt.Sprintf("µs with %d files", size), func(s sample) float64 { return s.at[i].Seconds() }))
		}
		b.table.columns = append(b.table.columns, column{head: "growth", format: "%.2f",
			value: func(s sample) float64 { return float64(s.at[len(sizes)-1]) / float64(s.at[0]) }})
		all, end, err := b.openRecords(ctx)
		defer func() { err = errors.Join(err, end()) }()
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			if err := b.scale(ctx, r, sizes); err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
		}
		return b.table, nil
	}}
}

// scale fills a database step by step, and asks at each the same questions.
func (b *bench) scale(ctx context.Context, r *records, sizes []int64) error {
	questions := r.questions()
	samples := make([][]sample, len(questions)) // by question, by round
	for i := range samples {
		samples[i] = make([]sample, b.lab.rounds)
	}
	for _, size := range sizes {
		b.lab.say("%s, %d files", r.name, size)
		if err := r.fill(ctx, size); err != nil {
			return err
		}
		for i, q := range questions {
			for round := range b.lab.rounds + 1 {
				one, err := r.load(ctx, 1, q.calls, func(ctx context.Context, _ int) error { return q.ask(ctx, 1+rand.Int64N(size)) })
				if err != nil {
					return fmt.Errorf("%s with %d files: %w", q.name, size, err)
				}
				if round > 0 {
					s := &samples[i][round-1]
					s.at = append(s.at, one.p50)
				}
			}
		}
	}
	for i, q := range questions {
		for _, s := range samples[i] {
			b.table.add(r.name+", "+q.name, true, s)
		}
	}
	return nil
}

// fill has small files be there until there are n, behind the back of the
// database's verbs: to put a million takes too long.
func (r *records) fill(ctx context.Context, n int64) error {
	if err := r.close(); err != nil {
		return err
	}
	files := bulk.Files{Owner: recordsOwner, Store: "disk", Size: smallSize, Name: nameOf, Key: keyOf, Content: contentOf}
	write, where := files.SQLite, r.cfg.Path
	if r.cfg.URL != "" {
		write, where = files.Postgres, r.cfg.URL
	}
	if err := write(ctx, where, r.ids.Load()+1, n); err != nil {
		return err
	}
	r.ids.Store(n)
	db, err := meta.Open(ctx, r.cfg)
	r.DB = db
	return err
}

// question is asked of a database about one of its files.
type question struct {
	name  string
	calls int
	ask   func(ctx context.Context, id int64) error
}

func (r *records) questions() []question {
	return []question{
		{"lookup", 2000, func(ctx context.Context, id int64) error {
			_, _, err := r.Content(ctx, recordsOwner, protocol.UID(id))
			return err
		}},
		{"list", 500, func(ctx context.Context, id int64) error {
			list, err := r.Files(ctx, recordsOwner, meta.FileQuery{Limit: 100, Before: protocol.UID(100 + id)})
			if err == nil && len(list) == 0 {
				err = errors.New("the page is empty")
			}
			return err
		}},
		{"probe", 2000, func(ctx context.Context, id int64) error {
			_, fingerprint := contentOf(id)
			may, err := r.MayHave(ctx, recordsOwner, meta.ScopeOwner, smallSize, fingerprint)
			if err == nil && !may {
				err = errors.New("a content is not found")
			}
			return err
		}},
		{"idle sweep", 200, func(ctx context.Context, _ int64) error { return r.idleSweep(ctx) }},
	}
}

// idleStores asks of each store what is to be deleted there, and what was.
func (r *records) idleStores(ctx context.Context, past time.Time, limit int) error {
	names, err := r.NamedStores(ctx)
	for _, in := range names {
		_, doomed := r.Doomed(ctx, in, past, nil, limit)
		_, gone := r.Tombstones(ctx, in, past, nil, limit)
		err = errors.Join(err, doomed, gone)
	}
	return err
}

// idleSweep asks what a round of the sweep asks.
func (r *records) idleSweep(ctx context.Context) error {
	now, limit := time.Now(), 256
	past := now.Add(-time.Hour)
	for _, ask := range []func() error{
		func() error { _, err := r.ExpireFiles(ctx, now, limit); return err },
		func() error { _, err := r.AbandonUploads(ctx, past, limit); return err },
		func() error { _, err := r.DoomOffered(ctx, limit); return err },
		func() error { _, err := r.DoomOrphans(ctx, limit); return err },
		func() error { return r.idleStores(ctx, past, limit) },
		func() error { _, err := r.Prune(ctx, past, limit); return err },
	} {
		if err := ask(); err != nil {
			return err
		}
	}
	return nil
}
