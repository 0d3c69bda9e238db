package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// describe says on what and with which programs the tables that follow were
// made.
func (l *lab) describe(ctx context.Context) string {
	out := &strings.Builder{}
	fmt.Fprintf(out, "Medians of %d rounds after one that does not count. %d cores, %s of memory, Linux %s, load average %s at the start.\n\n",
		l.rounds, runtime.NumCPU(), memory(), firstWord("/proc/sys/kernel/osrelease"), firstWord("/proc/loadavg"))
	for _, p := range l.programs() {
		fmt.Fprintf(out, "- `%s`: %s\n", p.name, p.version(ctx))
	}
	fmt.Fprintln(out)
	return out.String()
}

func memory() string {
	text, _ := os.ReadFile("/proc/meminfo")
	size, err := parseKiB(string(text), "MemTotal:")
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.0f GB", float64(size)/1e9)
}

func firstWord(path string) string {
	text, _ := os.ReadFile(path)
	word, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return word
}

// program is one that can say its version.
type program struct {
	name string
	ours bool
	args []string
}

// programs are ours and those of others that are on the PATH.
func (l *lab) programs() []program {
	var found []program
	for _, p := range []program{
		{"osp version", true, []string{l.osp, "version"}},
		{"ospd version", true, []string{l.ospd, "version"}},
		{"curl --version", false, []string{"curl", "--version"}},
		{"nginx -v", false, []string{"nginx", "-v"}},
		{"tusd -version", false, []string{"tusd", "-version"}},
		{"s5cmd version", false, []string{"s5cmd", "version"}},
		{"mc --version", false, []string{"mc", "--version"}},
		{"minio --version", false, []string{"minio", "--version"}},
		{"versitygw --version", false, []string{"versitygw", "--version"}},
	} {
		if len(missing(p.args[:1])) == 0 {
			found = append(found, p)
		}
	}
	return found
}

func (p program) command(ctx context.Context) *exec.Cmd {
	return exec.CommandContext(ctx, p.args[0], p.args[1:]...)
}

// version is what a Go program was built from, or the first line that another
// prints, without what curl was built with.
func (p program) version(ctx context.Context) string {
	path, err := exec.LookPath(p.args[0])
	if err != nil {
		return err.Error()
	}
	if info, err := buildinfo.ReadFile(path); err == nil && !p.ours {
		return info.Main.Path + " " + info.Main.Version
	}
	out, err := p.command(ctx).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(string(bytes.TrimSpace(out)), "\n")
	line, _, _ = strings.Cut(line, " (")
	return line
}
