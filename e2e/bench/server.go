package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// patience is how long a server may take to start and to stop.
const patience = 30 * time.Second

// server is a running server, by the id of its process.
type server struct {
	cmd  *exec.Cmd
	done chan error
	log  string
}

// startServer runs a program in dir as an unprivileged user, who then owns
// dir. It returns when ready says so.
func (l *lab) startServer(ctx context.Context, dir string, cmd *exec.Cmd, ready func() bool) (*server, error) {
	if err := l.handOver(dir); err != nil {
		return nil, err
	}
	program, err := l.reachable(cmd.Path)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(l.dir, filepath.Base(dir)+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Path, cmd.Dir = program, dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: l.runAs}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, done: make(chan error, 1), log: log.Name()}
	go func() { s.done <- cmd.Wait() }()
	if err := until(ctx, ready); err != nil {
		said, _ := os.ReadFile(s.log)
		return nil, errors.Join(fmt.Errorf("%s does not become ready: %w: %s", filepath.Base(program), err, said), s.stop())
	}
	return s, nil
}

// stop ends the server, by its id.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
		return nil
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.done
		return fmt.Errorf("%s had to be killed", s.cmd.Path)
	}
}

// kill ends the server as a crash does.
func (s *server) kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	s.done <- <-s.done // for whoever stops it once more
	return nil
}

// handOver gives a server's folder to the user who runs it.
func (l *lab) handOver(dir string) error {
	if l.runAs == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, int(l.runAs.Uid), int(l.runAs.Gid))
	})
}

// reachable returns a copy of a program that the servers' user may run
// wherever the program itself lies: the home of root is closed to others.
func (l *lab) reachable(program string) (string, error) {
	if l.runAs == nil {
		return program, nil
	}
	to := filepath.Join(l.dir, filepath.Base(program))
	if _, err := os.Stat(to); err == nil {
		return to, nil
	}
	in, err := os.Open(program)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	return to, errors.Join(err, out.Close())
}

// freeAddress is an address of loopback that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// listening reports whether somebody listens on an address.
func listening(address string) func() bool {
	return func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
}

// until asks until ok is true.
func until(ctx context.Context, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
