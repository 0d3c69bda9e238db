package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat: 1/100 s on every Linux that
// Go runs on.
const tick = 10 * time.Millisecond

// usage is what a process and those below it have used.
type usage struct {
	// cpu is since they began.
	cpu time.Duration
	// peak is the sum of their peaks of resident memory since forgetPeak, in bytes.
	peak int64
}

// used reads the usage of the server.
func (s *server) used() (usage, error) {
	family, err := familyOf("/proc", s.cmd.Process.Pid)
	if err != nil {
		return usage{}, err
	}
	var sum usage
	for _, p := range family {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
		if err != nil {
			return usage{}, err
		}
		peak, err := parseKiB(string(text), "VmHWM:")
		if err != nil {
			return usage{}, err
		}
		sum.cpu += p.cpu
		sum.peak += peak
	}
	return sum, nil
}

// usedBy is the CPU time of all servers, and the peak of the first.
func usedBy(servers []*server) (usage, error) {
	var sum usage
	for i, s := range servers {
		u, err := s.used()
		if err != nil {
			return usage{}, err
		}
		sum.cpu += u.cpu
		if i == 0 {
			sum.peak = u.peak
		}
	}
	return sum, nil
}

// forgetPeak has the peak of the server's memory begin at what it holds now.
func (s *server) forgetPeak() error {
	family, err := familyOf("/proc", s.cmd.Process.Pid)
	for _, p := range family {
		err = errors.Join(err, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid), []byte("5"), 0))
	}
	return err
}

// process is a line of the table of processes; its CPU time includes that of
// its children that have ended.
type process struct {
	pid, parent int
	cpu         time.Duration
}

// familyOf finds a process and all that descend from it.
func familyOf(proc string, pid int) ([]process, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	var all []process
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("%s/%d/stat", proc, id))
		if err != nil {
			continue // It ended meanwhile.
		}
		parent, cpu, err := parseStat(string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, process{pid: id, parent: parent, cpu: cpu})
	}
	return descent(all, pid)
}

// descent picks a process and its descendants out of all.
func descent(all []process, pid int) ([]process, error) {
	i := slices.IndexFunc(all, func(p process) bool { return p.pid == pid })
	if i < 0 {
		return nil, fmt.Errorf("process %d is gone", pid)
	}
	family := []process{all[i]}
	for n := 0; n < len(family); n++ {
		for _, p := range all {
			if p.parent == family[n].pid {
				family = append(family, p)
			}
		}
	}
	return family, nil
}

// parseStat reads the parent and the CPU time, that of ended children
// included, out of /proc/PID/stat. The second field is the program's name in
// parentheses and may hold anything, parentheses too.
func parseStat(text string) (parent int, cpu time.Duration, err error) {
	fields := strings.Fields(text[strings.LastIndex(text, ")")+1:])
	if len(fields) < 15 {
		return 0, 0, fmt.Errorf("not a stat of a process: %q", text)
	}
	parent, err = strconv.Atoi(fields[1])
	for _, f := range fields[11:15] {
		n, bad := strconv.ParseInt(f, 10, 64)
		err = errors.Join(err, bad)
		cpu += time.Duration(n) * tick
	}
	return parent, cpu, err
}

// parseKiB reads the bytes of a line such as "VmHWM:  12 kB" out of a file of
// /proc; 0 if there is none. A process that has ended and was not waited for
// has no memory.
func parseKiB(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		value, ok := strings.CutPrefix(line, name)
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		return kib << 10, err
	}
	return 0, nil
}
