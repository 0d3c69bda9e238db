//go:build servers && linux

package cluster

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
)

// A program that is statically linked asks nobody for the time but the page of
// code that the kernel gives each process (vDSO). A process with a wrong clock is
// one whose page adds something to the answer, written there before its first
// instruction.

// wrongClock is the first argument of this binary where it is to run the rest of
// them on the clock that aheadEnv says.
const (
	wrongClock = "wrong-clock"
	aheadEnv   = "CLOCK_AHEAD"
)

// ahead is the environment of a node whose clock shows the time later by that.
func ahead(by time.Duration) string { return aheadEnv + "=" + by.String() }

// anyClock is an ospd of which each start can be given a clock of its own.
func anyClock(t *testing.T, of harness.Binaries) harness.Binaries {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ospd")
	text := fmt.Sprintf("#!/bin/sh\n[ -n \"$%s\" ] || exec %s \"$@\"\nexec %s %s %s \"$@\"\n", aheadEnv, of.OSPD, self, wrongClock, of.OSPD)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return harness.Binaries{OSP: of.OSP, OSPD: path}
}

// runOnWrongClock does that, ends as the program does, and returns only where it
// cannot be run.
func runOnWrongClock(args []string) error {
	by, err := time.ParseDuration(os.Getenv(aheadEnv))
	if err != nil {
		return err
	}
	runtime.LockOSThread() // who traces a process is a thread
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, 0, nil); err != nil || !status.Stopped() {
		return fmt.Errorf("the program does not stop before it begins: %v, %w", status, err)
	}
	if err := errors.Join(setClock(cmd.Process.Pid, by), syscall.PtraceDetach(cmd.Process.Pid)); err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it may have ended
		}
	}()
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	if err == nil {
		os.Exit(0)
	}
	return err
}

// setClock has a process that is stopped read a wall clock that is ahead.
func setClock(pid int, by time.Duration) error {
	if runtime.GOARCH != "amd64" {
		return errors.New("there is no code for a wrong clock on " + runtime.GOARCH)
	}
	at, size, err := vdso(pid)
	if err != nil {
		return err
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	page := make([]byte, size)
	if _, err := mem.ReadAt(page, at); err != nil {
		return fmt.Errorf("read the vDSO: %w", err)
	}
	f, err := elf.NewFile(bytes.NewReader(page))
	if err != nil {
		return err
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "__vdso_clock_gettime" })
	if i < 0 {
		return errors.New("the vDSO has no clock")
	}
	_, err = io.NewOffsetWriter(mem, at+int64(symbols[i].Value)).Write(clockCode(by))
	return err
}

// clockCode is clock_gettime(clock, *time) by a call of the kernel, after which
// something is added to the seconds of the clock on the wall, which is 0.
func clockCode(by time.Duration) []byte {
	code := []byte{
		0xb8, 0xe4, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi
		0x75, 0x07, // jne over the addition
		0x48, 0x81, 0x06, // add qword [rsi], …
	}
	code = binary.LittleEndian.AppendUint32(code, uint32(int32(by/time.Second)))
	return append(code, 0xc3) // ret
}

// vdso is where that page is, and how large.
func vdso(pid int) (at, size int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			continue
		}
		from, rest, _ := strings.Cut(line, "-")
		to, _, _ := strings.Cut(rest, " ")
		begin, err := strconv.ParseInt(from, 16, 64)
		end, endErr := strconv.ParseInt(to, 16, 64)
		return begin, end - begin, errors.Join(err, endErr)
	}
	return 0, 0, errors.New("the process has no vDSO")
}
