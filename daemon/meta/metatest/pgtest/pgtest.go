//go:build unix

// Package pgtest runs private Postgres servers for tests, from the programs
// that are installed: in a folder of their own, reached through a socket in it,
// as a user without rights where the tests run as root, and gone afterwards.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// user is the superuser of the servers, whom their socket lets in.
const user = "ospd"

// Server is a Postgres server that runs, or was stopped to run again.
type Server struct {
	dir      string
	programs string
	durable  bool
	as       *syscall.Credential
	process  *process
	settings map[string]string
}

// Start makes a server and runs it. A durable one syncs what it acknowledges;
// others are for tests in which nothing of the kind is in question.
func Start(ctx context.Context, durable bool) (_ *Server, err error) {
	s := &Server{durable: durable, settings: map[string]string{}}
	if s.programs, err = programs(); err != nil {
		return nil, err
	}
	if s.as, err = unprivileged(); err != nil {
		return nil, err
	}
	if s.dir, err = ownDir("ospd-pg", s.as); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if err := s.init(ctx); err != nil {
		return nil, err
	}
	return s, s.Run(ctx)
}

// programs is the folder of Postgres' programs.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("these tests need Postgres' initdb, on PATH or under /usr/lib/postgresql: apt-get install postgresql")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// init makes the files of the server. Its text is ordered as people order it,
// so that a column that is to be compared by its bytes shows when it is not.
func (s *Server) init(ctx context.Context) error {
	var all error
	for _, locale := range [][]string{{"--locale-provider=icu", "--icu-locale=en"}, nil} {
		args := append([]string{"-D", s.data(), "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"}, locale...)
		cmd := exec.CommandContext(ctx, filepath.Join(s.programs, "initdb"), args...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}, &syscall.SysProcAttr{Credential: s.as}
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		all = errors.Join(all, fmt.Errorf("initdb: %w: %s", err, out))
	}
	return all
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// URL is the address of a database of the server.
func (s *Server) URL(database string) string { return URL(s.dir, database) }

// Dir is the folder that names the server to URL and Create.
func (s *Server) Dir() string { return s.dir }

// URL is the address of a database of the server in the folder.
func URL(dir, database string) string {
	return "postgres://" + user + "@/" + database + "?host=" + url.QueryEscape(dir)
}

// Run runs the server, which does not run, and returns when it answers.
func (s *Server) Run(ctx context.Context) error {
	args := []string{
		"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=300",
		"-c", "shared_buffers=64MB", "-c", "autovacuum_naptime=10s", "-c", "log_statement=none", "-c", "log_checkpoints=off",
	}
	if !s.durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")
	}
	for name, value := range s.settings {
		args = append(args, "-c", name+"="+value)
	}
	p, err := startProcess(filepath.Join(s.programs, "postgres"), args, s.dir, s.as)
	if err != nil {
		return err
	}
	s.process = p
	return s.await(ctx)
}

// startPatience is how long a server may take to answer.
const startPatience = time.Minute

func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		err := s.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-s.process.ended:
			return fmt.Errorf("postgres ended: %s", s.log())
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w: %s", err, s.log())
		}
	}
}

func (s *Server) ping(ctx context.Context) error {
	c, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	return c.Close(ctx)
}

// log is what the server said.
func (s *Server) log() string { return logOf(s.dir) }

// Crash ends the server at once, as a crash does: nothing is written, and Run
// recovers what its log has.
func (s *Server) Crash() { s.process.end(syscall.SIGQUIT) }

// Shutdown ends the server, which cuts its connections, and keeps its files.
func (s *Server) Shutdown() { s.process.end(syscall.SIGINT) }

// Stop ends the server and removes its files.
func (s *Server) Stop() error {
	if s.process != nil {
		s.process.end(syscall.SIGQUIT)
	}
	return os.RemoveAll(s.dir)
}
