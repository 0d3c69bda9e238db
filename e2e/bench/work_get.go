package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// getWork reads one large file to a file.
func getWork() work {
	return work{name: "get-1g", measure: func(ctx context.Context, b *bench) (*table, error) {
		return b.gets(ctx, "Get 1 GiB to a file (`get-1g`)", names(1), 1<<30, true, target{theirs: best, limit: 1})
	}}
}

// catWork reads one large file to nowhere.
func catWork() work {
	return work{name: "cat-1g", measure: func(ctx context.Context, b *bench) (*table, error) {
		return b.gets(ctx, "Get 1 GiB to nowhere (`cat-1g`)", names(1), 1<<30, false, target{theirs: curlNginx, limit: 1.3})
	}}
}

// getSmallWork reads many small files, by one run of the client.
func getSmallWork() work {
	return work{name: "get-2000", measure: func(ctx context.Context, b *bench) (*table, error) {
		return b.gets(ctx, "Get 2,000 files of 16 KiB (`get-2000`)", names(2000), 16<<10, true, target{theirs: tusTusd, limit: 1})
	}}
}

// gets measures gets of files that every system was given before.
func (b *bench) gets(ctx context.Context, title string, names []string, size int64, toFiles bool, targets ...target) (*table, error) {
	b.table = &table{
		title: title,
		notes: "`osp` verifies every block as it arrives, and a file that it wrote is on the disk when it ends; the others check and sync nothing. Cold: the " +
			"daemon has just started and verifies each block before it leaves; hot: it did so a moment ago. The page cache holds the bytes for all.",
		columns: wallColumns(),
		ratios:  oursByTheirs,
		compare: wall,
		targets: targets,
	}
	if toFiles {
		b.table.withSync = wallAndSync
	}
	files, err := b.stored(ctx, names, size)
	if err != nil {
		return nil, err
	}
	g := &gets{bench: b, files: files, names: names}
	return b.table, b.rounds(ctx, nil, func(s system, _ int) error {
		if toFiles {
			return g.toFiles(ctx, s)
		}
		return g.toNowhere(ctx, s)
	})
}

// gets are gets of files that every system has.
type gets struct {
	*bench
	files, names []string
}

// toFiles measures gets to files, ours cold and hot.
func (g *gets) toFiles(ctx context.Context, s system) error {
	return g.coldAndHot(ctx, s, "osp get", func(row string) error { return g.toFolder(ctx, s, row) })
}

// coldAndHot measures a get of ours right after a start of the daemon and once
// more, and one of a peer once, under its name.
func (g *gets) coldAndHot(ctx context.Context, s system, what string, get func(row string) error) error {
	ours, ok := s.(*ospSystem)
	if !ok {
		return get(s.name())
	}
	if err := ours.forget(ctx); err != nil {
		return err
	}
	if err := get(what + ", cold"); err != nil {
		return err
	}
	return get(what + ", hot")
}

func (g *gets) toFolder(ctx context.Context, s system, row string) error {
	dir := filepath.Join(g.dir, "target")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	err := g.measure(ctx, row, s, s.get(g.names, dir))
	if err == nil {
		err = sameFiles(g.files, dir)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// toNowhere measures gets whose bytes are thrown away: ours with osp, which
// verifies them, and with curl, which does not.
func (g *gets) toNowhere(ctx context.Context, s system) error {
	name := g.names[0]
	err := g.coldAndHot(ctx, s, "osp cat", func(row string) error { return g.measure(ctx, row, s, s.discard(name)) })
	if _, ours := s.(*ospSystem); !ours || err != nil {
		return err
	}
	return g.coldAndHot(ctx, s, "curl + ospd", func(row string) error {
		return g.measure(ctx, row, s, curl(s.url(name)))
	})
}
