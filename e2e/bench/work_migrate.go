package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/daemon/migrate"
	"github.com/osproxy/osproxy/protocol"
)

// migrateWork moves one large file to the S3 server.
func migrateWork(server, from string) work {
	w := moving{server: server, from: from, what: "1 GiB", short: "1g", names: names(1), size: 1 << 30}
	return w.work()
}

// migrateSmallWork moves many small files to the S3 server.
func migrateSmallWork(server, from string) work {
	w := moving{server: server, from: from, what: "2,000 files of 16 KiB", short: "2000", names: names(2000), size: 16 << 10}
	return w.work()
}

// moving are files that are moved from a store to an S3 server.
type moving struct {
	server, from string
	what, short  string
	names        []string
	size         int64
}

func (m moving) work() work {
	name, way := m.server+"-migrate-"+m.short, "from the disk to "+m.server
	if m.from == onSource {
		name, way = m.server+"-across-"+m.short, fmt.Sprintf("from one %s to another", m.server)
	}
	return work{name: name, behind: m.server, from: m.from, measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title: fmt.Sprintf("Migrate %s %s (`%s`)", m.what, way, name),
			notes: "From the request for the job until it has ended: every file was read, compared, written, read back, compared again, and lies in the other store. Beside it `mc mirror` of the same files, " +
				"which compares nothing. Ours reads and writes in the daemon, so that its CPU is in the column of the server; what the S3 servers take for `ospd` is not among the figures of ours.",
			columns:  wallColumns(),
			ratios:   oursByTheirs,
			compare:  wall,
			withSync: wallAndSync,
		}
		files, err := newFiles(b.sourceDir(), m.names, m.size, 0)
		if err != nil {
			return nil, err
		}
		theirs := b.systems[1].(*s3System)
		mirror := theirs.mirror(b.sourceDir(), "mirrored")
		if b.source != nil {
			if _, err := b.source.mirror(b.sourceDir(), "files")(ctx); err != nil {
				return nil, err
			}
			mirror = theirs.mirrorFrom(b.source, "files", "mirrored")
		}
		return b.table, b.rounds(ctx, nil, func(s system, _ int) error {
			if ours, ok := s.(*ospSystem); ok {
				return b.migrate(ctx, ours, files, m)
			}
			if err := b.measure(ctx, s.name(), s, mirror); err != nil {
				return err
			}
			return theirs.empty(ctx, "mirrored")
		})
	}}
}

// migrate puts files into a fresh daemon and measures the job that moves them.
func (b *bench) migrate(ctx context.Context, s *ospSystem, files []string, m moving) error {
	if err := s.renew(ctx); err != nil {
		return err
	}
	if _, err := s.put(files, 16)(ctx); err != nil {
		return err
	}
	err := s.with(ctx, func(ctx context.Context, api *client.Client) error {
		if m.from != onDisk && m.size > protocol.BlockSize {
			if err := joined(ctx, api, m.size); err != nil {
				return err
			}
		}
		return b.measure(ctx, "ospd", s, inside(func(ctx context.Context) error {
			return moved(ctx, api, m.from, m.size*int64(len(files)))
		}))
	})
	if err != nil {
		return err
	}
	return s.reads(ctx, files, m.names, filepath.Join(b.dir, "target"))
}

// moved asks for a migration to the S3 server and waits until it has ended,
// with so many bytes moved.
func moved(ctx context.Context, api *client.Client, from string, bytes int64) error {
	args, err := json.Marshal(migrate.Args{From: from, To: onRemote})
	if err != nil {
		return err
	}
	j, err := api.CreateJob(ctx, protocol.CreateJob{Kind: protocol.JobMigrate, Args: args}, "")
	if err != nil {
		return err
	}
	if j, err = follow(ctx, api, j.ID); err != nil {
		return err
	}
	if j.Progress == nil || j.Progress.Done != bytes {
		return fmt.Errorf("not all of %d bytes were moved: %+v", bytes, j.Progress)
	}
	return nil
}

// reads fails unless the files that were put read as they are.
func (s *ospSystem) reads(ctx context.Context, files, names []string, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	_, err := s.get(names, dir)(ctx)
	if err == nil {
		err = sameFiles(files, dir)
	}
	return errors.Join(err, os.RemoveAll(dir))
}
