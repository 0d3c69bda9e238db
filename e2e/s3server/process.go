//go:build unix

package s3server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// logName is the file that has what a server says.
const logName = "log"

// unprivileged is whom the servers run as where this process is root; nil
// elsewhere.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("servers do not run as root here, and there is no user to run them as: %w", err)
	}
	uid, uerr := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, gerr := strconv.ParseUint(nobody.Gid, 10, 32)
	if uerr != nil || gerr != nil {
		return nil, fmt.Errorf("user nobody has the ids %s and %s", nobody.Uid, nobody.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// ownDir makes a folder for a server that runs as that user.
func ownDir(pattern string, as *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp("", pattern)
	if err != nil {
		return "", err
	}
	if err := give(dir, as); err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

func makeDir(dir string, as *syscall.Credential) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return give(dir, as)
}

func give(dir string, as *syscall.Credential) error {
	if as == nil {
		return nil
	}
	return os.Chown(dir, int(as.Uid), int(as.Gid))
}

// process is a program that runs.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// startProcess runs the program until kill. Should this process die before, it
// ends too: the kernel tells it, for which the thread that started it has to
// live as long.
func startProcess(program string, args, env []string, dir string, as *syscall.Credential) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, logName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(context.Background(), program, args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	dieWithParent(p.cmd.SysProcAttr)
	closeProgram, err := reachable(p.cmd)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		defer closeProgram()
		defer func() { _ = log.Close() }()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // that it ended is all there is to know
		}
	}()
	if err := <-started; err != nil {
		<-p.ended
		return nil, err
	}
	return p, nil
}

// kill ends the program at once, and waits.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}
