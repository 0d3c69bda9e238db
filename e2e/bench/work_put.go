package main

import "context"

// putWork stores one large file.
func putWork() work {
	return work{name: "put-1g", measure: func(ctx context.Context, b *bench) (*table, error) {
		return b.puts(ctx, "Put 1 GiB (`put-1g`)", names(1), 1<<30, 1,
			target{theirs: tusTusd + synced, limit: 1}, target{theirs: mcMinIO, limit: 0.4})
	}}
}

// putSmallWork stores many small files, by one run of the client.
func putSmallWork() work {
	return work{name: "put-2000", measure: func(ctx context.Context, b *bench) (*table, error) {
		return b.puts(ctx, "Put 2,000 files of 16 KiB, 16 at once (`put-2000`)", names(2000), 16<<10, 16,
			target{theirs: tusTusd, limit: 1}, target{theirs: s5cmdMinIO, limit: 0.4})
	}}
}

// putAtOnceWork stores files of medium size, all at once.
func putAtOnceWork() work {
	return work{name: "put-64", measure: func(ctx context.Context, b *bench) (*table, error) {
		return b.puts(ctx, "Put 64 files of 16 MiB at once (`put-64`)", names(64), 16<<20, 64,
			target{theirs: curlNginx, limit: 1.2}, peakTarget())
	}}
}

// puts measures puts of fresh content.
func (b *bench) puts(ctx context.Context, title string, names []string, size int64, atOnce int, targets ...target) (*table, error) {
	b.table = &table{
		title:    title,
		notes:    "Fresh random bytes in each round. Ours is on the disk, hashed and verified when `osp` ends; then sync: what a sync takes after that.",
		columns:  wallColumns(),
		ratios:   oursByTheirs,
		compare:  wall,
		withSync: wallAndSync,
		targets:  targets,
	}
	var files []string
	return b.table, b.rounds(ctx,
		func(round int) (err error) {
			files, err = newFiles(b.sourceDir(), names, size, round)
			return err
		},
		func(s system, _ int) error {
			if err := b.measure(ctx, s.name(), s, s.put(files, atOnce)); err != nil {
				return err
			}
			return s.remove(ctx, names)
		})
}
