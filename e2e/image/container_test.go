package image

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long what must happen may take.
const patience = time.Minute

// container is what an engine makes of an image: a root, a user, an environment.
type container struct {
	t     *testing.T
	image *Image
	env   []string
}

// newContainer gives the image what an engine gives every container: /proc. env
// is what `docker run -e` adds.
func newContainer(t *testing.T, image *Image, env ...string) *container {
	t.Helper()
	proc := filepath.Join(image.Root, "proc")
	if err := os.MkdirAll(proc, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("/proc", proc, "", syscall.MS_BIND, ""); err != nil {
		t.Fatalf("give the container /proc (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(proc, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return &container{t, image, append(append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp"}, image.Config.Env...), env...)}
}

// process is a program that runs in a container.
type process struct {
	cmd         *exec.Cmd
	out, errors bytes.Buffer
	done        chan error
}

// start runs a program as the image's user, seeing nothing but the image.
func (c *container) start(args ...string) *process {
	c.t.Helper()
	user, group, _ := strings.Cut(c.image.Config.User, ":")
	uid, err := strconv.Atoi(user)
	if err != nil {
		c.t.Fatalf("USER: %v", err)
	}
	gid, err := strconv.Atoi(group)
	if err != nil {
		c.t.Fatalf("USER: %v", err)
	}
	p := &process{cmd: &exec.Cmd{Path: args[0], Args: args, Dir: "/", Env: c.env}, done: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errors
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     c.image.Root,
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := p.cmd.Start(); err != nil {
		c.t.Fatalf("start %q in the image (this test needs root): %v", args, err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	c.t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it may have ended
	return p
}

// wait is the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%q does not end", p.cmd.Args)
		return -1
	}
}

// run runs a program to its end, which has to be a good one.
func (c *container) run(args ...string) (stdout string) {
	c.t.Helper()
	p := c.start(args...)
	if exit := p.wait(c.t); exit != 0 {
		c.t.Fatalf("%q exits %d\n%s%s", args, exit, p.out.String(), p.errors.String())
	}
	return strings.TrimSpace(p.out.String())
}

// health runs the health check once, within its limit, and gives its exit code.
func (c *container) health() (int, string) {
	c.t.Helper()
	p := c.start(c.image.Config.Health...)
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), p.errors.String()
	case <-time.After(c.image.Config.HealthLimit):
		return -1, "the health check took too long"
	}
}

// ospd starts the image with arguments, as `docker run IMAGE ARG...` does.
func (c *container) ospd(args ...string) *process {
	c.t.Helper()
	if len(args) == 0 {
		args = c.image.Config.Cmd
	}
	return c.start(append(append([]string{}, c.image.Config.Entrypoint...), args...)...)
}

func freePort(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return port
}
