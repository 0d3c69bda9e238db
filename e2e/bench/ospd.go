package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ospSystem is osp with ospd.
type ospSystem struct {
	lab  *lab
	dir  string
	srv  *server
	base string
	// config is a configuration file, "" for none.
	config string
	// behind are the S3 servers on which it has stores, by the stores' names.
	behind map[string]*s3System
	// uids are those of the files that were put, by their names.
	uids map[string]string
}

func startOSP(ctx context.Context, l *lab, dir string) (system, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	s := &ospSystem{lab: l, dir: dir, uids: map[string]string{}}
	return s, s.start(ctx)
}

// start runs the daemon on its data folder and a free port.
func (s *ospSystem) start(ctx context.Context) error {
	ready := filepath.Join(s.dir, "ready")
	os.Remove(ready)
	cmd := exec.Command(s.lab.ospd, "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(s.dir, "data"), "--ready-file", ready)
	if s.config != "" {
		cmd.Args = append(cmd.Args, "--config", s.config)
	}
	srv, err := s.lab.startServer(ctx, s.dir, cmd, func() bool {
		text, _ := os.ReadFile(ready)
		s.base = strings.TrimSpace(string(text))
		return strings.HasSuffix(string(text), "\n")
	})
	s.srv = srv
	return err
}

// forget restarts the daemon, which then has to verify each block anew before
// it serves it.
func (s *ospSystem) forget(ctx context.Context) error {
	if err := s.srv.stop(); err != nil {
		return err
	}
	return s.start(ctx)
}

// renew starts the daemon with nothing in its data folder and in its stores.
func (s *ospSystem) renew(ctx context.Context) error {
	err := errors.Join(s.srv.stop(), os.RemoveAll(filepath.Join(s.dir, "data")))
	if err != nil {
		return err
	}
	for _, server := range s.behind {
		if err := server.empty(ctx, ownPrefix); err != nil {
			return err
		}
	}
	clear(s.uids)
	return s.start(ctx)
}

func (s *ospSystem) name() string    { return "osp + ospd" }
func (s *ospSystem) server() *server { return s.srv }

func (s *ospSystem) osp(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, s.lab.osp, args...)
	c.Env = append(os.Environ(), "OSP_SERVER="+s.base, "OSP_HOME="+filepath.Join(s.lab.dir, "osp-home"), "OSP_PROGRESS=none")
	return c
}

func (s *ospSystem) put(files []string, atOnce int) job {
	n := fmt.Sprint(atOnce)
	return func(ctx context.Context) (cpu cpuTime, err error) {
		out := &strings.Builder{}
		cmd := s.osp(ctx, append([]string{"put", "-q", "-j", n, "--connections", fmt.Sprint(max(atOnce, 16))}, files...)...)
		cmd.Stdout = out
		if cpu, err = command(cmd)(ctx); err != nil {
			return 0, err
		}
		uids := strings.Fields(out.String())
		if len(uids) != len(files) {
			return 0, fmt.Errorf("osp put printed %d uids for %d files", len(uids), len(files))
		}
		for i, f := range files {
			s.uids[filepath.Base(f)] = uids[i]
		}
		return cpu, nil
	}
}

func (s *ospSystem) uidsOf(names []string) []string {
	var uids []string
	for _, n := range names {
		uids = append(uids, s.uids[n])
	}
	return uids
}

func (s *ospSystem) get(names []string, dir string) job {
	return func(ctx context.Context) (cpuTime, error) {
		return command(s.osp(ctx, append([]string{"get", "-q", "-o", dir}, s.uidsOf(names)...)...))(ctx)
	}
}

func (s *ospSystem) discard(name string) job {
	return func(ctx context.Context) (cpuTime, error) {
		return command(discarded(s.osp(ctx, "cat", s.uids[name])))(ctx)
	}
}

func (s *ospSystem) url(name string) string {
	return s.base + "/v1/files/" + s.uids[name] + "/content"
}

func (s *ospSystem) remove(ctx context.Context, names []string) error {
	_, err := command(s.osp(ctx, append([]string{"rm", "-q", "-y"}, s.uidsOf(names)...)...))(ctx)
	for _, n := range names {
		delete(s.uids, n)
	}
	return err
}
