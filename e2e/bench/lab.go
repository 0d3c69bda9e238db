package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// lab is where the works are done: a folder, and who runs the servers.
type lab struct {
	osp, ospd string
	dir       string
	rounds    int
	// large asks for 10 GiB where a work can do with less.
	large    bool
	peers    []peer
	progress io.Writer
	// runAs is who runs the servers where root runs the bench.
	runAs *syscall.Credential
}

func newLab(o options, peers []peer, progress io.Writer) (*lab, error) {
	l := &lab{osp: o.osp, ospd: o.ospd, rounds: o.rounds, large: o.large, peers: peers, progress: progress}
	if os.Getuid() == 0 {
		nobody, err := unprivileged()
		if err != nil {
			return nil, err
		}
		l.runAs = nobody
	}
	dir, err := os.MkdirTemp(o.dir, "osp-bench")
	if err != nil {
		return nil, err
	}
	l.dir = dir
	// The servers' user has to pass through.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return l, nil
}

func unprivileged() (*syscall.Credential, error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("servers are not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (l *lab) close() { os.RemoveAll(l.dir) }

func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(l.progress, "bench: "+format+"\n", args...)
}

// perform does one work with servers of its own and prints its table.
func (l *lab) perform(ctx context.Context, w work, out io.Writer) (err error) {
	l.say("%s", w.name)
	b := &bench{lab: l, dir: filepath.Join(l.dir, w.name)}
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	var running []system
	defer func() {
		for _, s := range running {
			err = errors.Join(err, s.server().stop())
		}
	}()
	started := []peer{{name: "ospd", start: startOSP}}
	if !w.oursAlone {
		started = append(started, l.peers...)
	}
	for _, p := range started {
		s, err := p.start(ctx, l, filepath.Join(b.dir, p.name))
		if err != nil {
			return fmt.Errorf("start %s: %w", p.name, err)
		}
		running = append(running, s)
	}
	b.systems = running
	t, err := w.measure(ctx, b)
	if err != nil {
		return err
	}
	fmt.Fprint(out, t.markdown())
	return nil
}

// measure runs a job of s once and notes under row what it took.
func (b *bench) measure(ctx context.Context, row string, s system, j job) error {
	one, err := b.once(ctx, s, j)
	if err != nil {
		return err
	}
	b.table.add(row, s == b.systems[0], one)
	return nil
}

// once runs a job of s and returns what it took. Nothing is waiting for the
// disk when it begins.
func (b *bench) once(ctx context.Context, s system, j job) (sample, error) {
	if err := settle(ctx, b.dir); err != nil {
		return sample{}, err
	}
	return b.observe(ctx, s, j)
}

// observe is once on a disk that is as it is.
func (b *bench) observe(ctx context.Context, s system, j job) (sample, error) {
	if err := s.server().forgetPeak(); err != nil {
		return sample{}, err
	}
	before, err := s.server().used()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	cpu, err := j(ctx)
	one := sample{wall: time.Since(began), clientCPU: cpu}
	if err != nil {
		return sample{}, err
	}
	after, err := s.server().used()
	if err != nil {
		return sample{}, err
	}
	one.serverCPU, one.peak = after.cpu-before.cpu, after.peak
	if b.table.withSync != nil && !s.durable() {
		began = time.Now()
		err = settle(ctx, b.dir)
		one.sync = time.Since(began)
	}
	return one, err
}

// settle waits until what was written to the file system of dir is on the disk.
func settle(ctx context.Context, dir string) error {
	_, err := command(exec.CommandContext(ctx, "sync", "-f", dir))(ctx)
	return err
}
