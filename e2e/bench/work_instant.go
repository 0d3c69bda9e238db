package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// instantWork puts bytes that the daemon has, which osp hashes and does not
// send.
func instantWork() work {
	return work{name: "instant-1g", oursAlone: true, measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title:   "Put 1 GiB again (`instant-1g`)",
			notes:   "The daemon has the bytes; `osp` proves that it holds them. Beside it a program that hashes the file's 4 MiB blocks with SHA-256 on all cores, which any proof costs.",
			columns: []column{wallColumn(), secondsColumn("client CPU s", clientCPU), secondsColumn("server CPU s", serverCPU)},
			ratios:  oursByTheirs,
			compare: wall,
			targets: []target{{theirs: hashing, limit: 1.2}},
		}
		names := names(1)
		files, err := b.stored(ctx, names, 1<<30)
		if err != nil {
			return nil, err
		}
		return b.table, b.rounds(ctx, nil, func(s system, round int) error {
			return b.instant(ctx, s.(*ospSystem), files[0], round)
		})
	}}
}

// hashing is the row of the plain program.
const hashing = "SHA-256 on all cores"

func (b *bench) instant(ctx context.Context, s *ospSystem, file string, round int) error {
	first, second := s.again(file, fmt.Sprintf("again-%d", round)), hashOnAllCores(file)
	rows := []string{"osp put, known bytes", hashing}
	jobs := []job{first, second}
	for i := range jobs {
		i = (i + round) % len(jobs)
		one, err := b.once(ctx, s, jobs[i])
		if err != nil {
			return fmt.Errorf("%s: %w", rows[i], err)
		}
		b.table.add(rows[i], i == 0, one)
	}
	return nil
}

// again puts a file whose bytes the daemon has under another name.
func (s *ospSystem) again(file, name string) job {
	return func(ctx context.Context) (cpuTime, error) {
		out := &strings.Builder{}
		cmd := s.osp(ctx, "put", "--json", "--name", name, file)
		cmd.Stdout = out
		cpu, err := command(cmd)(ctx)
		if err == nil && !strings.Contains(out.String(), `"outcome":"instant"`) {
			err = fmt.Errorf("this put was not instant: %s", out)
		}
		return cpu, err
	}
}

// hashOnAllCores hashes each block of a file.
func hashOnAllCores(file string) job {
	const block = 4 << 20
	return inside(func(ctx context.Context) error {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		cores := int64(runtime.GOMAXPROCS(0))
		blocks := (info.Size() + block - 1) / block
		return each(ctx, int(cores), int(cores), func(_ context.Context, core int) error {
			buf := make([]byte, block)
			for i := int64(core); i < blocks; i += cores {
				n, err := f.ReadAt(buf[:min(block, info.Size()-i*block)], i*block)
				if err != nil {
					return err
				}
				_ = sha256.Sum256(buf[:n])
			}
			return nil
		})
	})
}
