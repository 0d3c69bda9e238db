package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
	peers := l.peers
	if w.oursAlone {
		peers = nil
	}
	start := func() ([]system, error) { return b.start(ctx, peers) }
	if w.behind != "" {
		if why := missing([]string{w.behind, "mc"}); len(why) > 0 {
			l.say("left out: %s needs what is not on the PATH: %s", w.name, strings.Join(why, ", "))
			return nil
		}
		start = func() ([]system, error) { return b.startBehind(ctx, w) }
	}
	if w.nodes != nil {
		start = func() ([]system, error) { return b.startNodes(ctx, *w.nodes) }
	}
	running, err := start()
	defer func() { err = errors.Join(err, b.stop(running)) }()
	if none, ok := errors.AsType[notHere](err); ok {
		l.say("left out: %s: %v", w.name, none)
		return nil
	}
	if err != nil {
		return err
	}
	b.systems = running
	t, err := w.measure(ctx, b)
	if err != nil {
		return err
	}
	fmt.Fprint(out, t.markdown())
	return nil
}

// stop ends all servers of a work.
func (b *bench) stop(running []system) (err error) {
	for _, s := range running {
		err = errors.Join(err, s.server().stop())
	}
	if b.source != nil {
		err = errors.Join(err, b.source.srv.stop())
	}
	for _, end := range slices.Backward(b.ends) {
		err = errors.Join(err, end())
	}
	return err
}
