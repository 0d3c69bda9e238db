package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// What is measured.
const (
	oursPut       = "osp put"
	oursGet       = "osp get"
	oursCat       = "osp cat"
	oursDiscard   = "curl from ospd"
	theirsPut     = "curl to nginx"
	theirsSync    = "sync of what nginx has"
	theirsPutSync = "curl to nginx, and sync"
	theirsGet     = "curl from nginx to a file"
	theirsDiscard = "curl from nginx"
)

// server is one of the two systems.
type server struct {
	cmd *exec.Cmd
	// steps are what is measured, in order, on a fresh source.
	steps func(source, target string) []step
	// clear removes what the steps stored.
	clear func(ctx context.Context) error
}

// step is one measured command. then runs within the measured time, after it.
type step struct {
	name    string
	command func(ctx context.Context) *exec.Cmd
	then    func(output string) error
	compare bool
}

// stop ends the server with SIGTERM, by its id.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

func timed(ctx context.Context, s step) (time.Duration, error) {
	cmd := s.command(ctx)
	var out, said bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &said
	began := time.Now()
	err := cmd.Run()
	if err == nil && s.then != nil {
		err = s.then(out.String())
	}
	took := time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, said.String())
	}
	return took, nil
}

// startOSPD runs the daemon on a free port and a fresh data folder.
func startOSPD(ctx context.Context, osp, ospd, dir string) (*server, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	ready := filepath.Join(dir, "ready")
	cmd := exec.CommandContext(ctx, ospd, "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--ready-file", ready)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd}
	var url string
	err := until(ctx, func() bool {
		text, _ := os.ReadFile(ready)
		url = strings.TrimSpace(string(text))
		return strings.HasSuffix(string(text), "\n")
	})
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("ospd does not become ready: %w", err)
	}
	uid := ""
	client := func(ctx context.Context, args ...string) *exec.Cmd {
		c := exec.CommandContext(ctx, osp, args...)
		c.Env = append(os.Environ(), "OSP_SERVER="+url, "OSP_HOME="+filepath.Join(dir, "home"), "OSP_PROGRESS=none")
		return c
	}
	s.steps = func(source, target string) []step {
		return []step{
			{name: oursPut, command: func(ctx context.Context) *exec.Cmd { return client(ctx, "put", "-q", source) },
				then: func(out string) error { uid = strings.TrimSpace(out); return nil }},
			{name: oursGet, command: func(ctx context.Context) *exec.Cmd { return client(ctx, "get", "-f", uid, "-o", target) }, compare: true},
			{name: oursCat, command: func(ctx context.Context) *exec.Cmd { return discarded(client(ctx, "cat", uid)) }},
			{name: oursDiscard, command: func(ctx context.Context) *exec.Cmd {
				return discarded(exec.CommandContext(ctx, "curl", "-sSf", url+"/v1/files/"+uid+"/content"))
			}},
		}
	}
	s.clear = func(ctx context.Context) error {
		if out, err := client(ctx, "rm", "-y", uid).CombinedOutput(); err != nil {
			return fmt.Errorf("osp rm: %w: %s", err, out)
		}
		return nil
	}
	return s, nil
}

// startNginx runs nginx with its DAV module, as its makers ship it.
func startNginx(ctx context.Context, dir string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"www", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	config := filepath.Join(dir, "nginx.conf")
	text := user + fmt.Sprintf(`daemon off; worker_processes 2; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; client_max_body_size 0; client_body_temp_path %[1]s/tmp;
  server { listen 127.0.0.1:%[2]d; root %[1]s/www; location / { dav_methods PUT DELETE; } }
}
`, dir, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "nginx", "-c", config, "-p", dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (apt-get install nginx-light curl)", err)
	}
	s := &server{cmd: cmd}
	if err := until(ctx, func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return err == nil
	}); err != nil {
		s.stop()
		return nil, fmt.Errorf("nginx does not become ready: %w", err)
	}
	s.useCurl(fmt.Sprintf("http://127.0.0.1:%d/file", port), filepath.Join(dir, "www", "file"))
	return s, nil
}

func (s *server) useCurl(url, stored string) {
	curl := func(args ...string) func(context.Context) *exec.Cmd {
		return func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, "curl", append([]string{"-sSf"}, args...)...)
		}
	}
	s.steps = func(source, target string) []step {
		return []step{
			{name: theirsPut, command: curl("-T", source, url)},
			{name: theirsSync, command: func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "sync", stored) }},
			{name: theirsGet, command: curl("-o", target, url), compare: true},
			{name: theirsDiscard, command: func(ctx context.Context) *exec.Cmd { return discarded(curl(url)(ctx)) }},
		}
	}
	s.clear = func(context.Context) error { return os.Remove(stored) }
}

func discarded(c *exec.Cmd) *exec.Cmd {
	c.Stdout = io.Discard
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		c.Stdout = null
	}
	return c
}

func until(ctx context.Context, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
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

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// writeRandom writes bytes that no run before had.
func writeRandom(path string, seed uint64, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	key := [32]byte{byte(seed), byte(seed >> 8)}
	_, err = io.CopyBuffer(f, io.LimitReader(rand.NewChaCha8(key), size), make([]byte, 1<<20))
	return errors.Join(err, f.Sync(), f.Close())
}

// same compares two files.
func same(a, b string) error {
	if out, err := exec.Command("cmp", a, b).CombinedOutput(); err != nil {
		return fmt.Errorf("what came back differs: %w: %s", err, out)
	}
	return nil
}
