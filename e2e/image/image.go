// Package image builds the root file system of the Dockerfile by following its
// instructions, without a container's engine, so that tests can run in it.
// It is a module of its own: what reads Dockerfiles and compose files is no part
// of the product's dependencies.
package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Image is what a Dockerfile makes.
type Image struct {
	// Root is the folder of its root file system.
	Root string
	// Config is with what a container of it is started.
	Config Config
}

// Config is what the last stage says besides files.
type Config struct {
	User        string
	Env         []string
	Entrypoint  []string
	Cmd         []string
	Health      []string
	HealthTries int
	HealthEvery time.Duration
	HealthLimit time.Duration
	Volumes     []string
	Ports       []string
	StopSignal  string
	Labels      map[string]string
}

// stages reads a Dockerfile. warn is told what the linter finds.
func stages(path string, warn linter.LintWarnFunc) ([]instructions.Stage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	read, err := parser.Parse(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	for _, w := range read.Warnings {
		warn("parser", w.Short, w.URL, strings.Join(toStrings(w.Detail), " "), []parser.Range{*w.Location})
	}
	all, global, err := instructions.Parse(read.AST, linter.New(&linter.Config{Warn: warn}))
	if err == nil && len(global) > 0 {
		err = errors.New("ARG before the first FROM is not followed")
	}
	return all, err
}

func toStrings(lines [][]byte) []string {
	var out []string
	for _, line := range lines {
		out = append(out, string(line))
	}
	return out
}

// Build follows the Dockerfile of context in the folder work. args are those of
// the build. The programs of the base image are those of this machine.
func Build(context, work string, args map[string]string) (*Image, error) {
	ignored := func(string, string, string, string, []parser.Range) {}
	all, err := stages(filepath.Join(context, "Dockerfile"), ignored)
	if err != nil {
		return nil, err
	}
	sent := filepath.Join(work, "context")
	if err := send(context, sent); err != nil {
		return nil, fmt.Errorf("send the context: %w", err)
	}
	done := map[string]*stage{}
	var last *stage
	for i, s := range all {
		last = &stage{
			name: s.Name, scratch: s.BaseName == "scratch", root: filepath.Join(work, fmt.Sprintf("stage%d", i)),
			workdir: "/", context: sent, stages: done, given: args, args: map[string]string{},
			config: Config{Labels: map[string]string{}},
		}
		if err := os.MkdirAll(last.root, 0o755); err != nil {
			return nil, err
		}
		for _, c := range s.Commands {
			if err := last.follow(c); err != nil {
				return nil, fmt.Errorf("%v: %w", c, err)
			}
		}
		done[s.Name] = last
	}
	if last == nil || !last.scratch {
		return nil, errors.New("the last stage is not from scratch: what else is in it is not known")
	}
	return &Image{Root: last.root, Config: last.config}, nil
}

// stage is one being made.
type stage struct {
	name    string
	scratch bool
	root    string
	workdir string
	context string
	stages  map[string]*stage
	given   map[string]string
	// args are those that were declared, with their values.
	args   map[string]string
	config Config
}

// follow does what one instruction says; one that it does not know is an error.
func (s *stage) follow(c instructions.Command) error {
	switch c := c.(type) {
	case *instructions.ArgCommand:
		for _, a := range c.Args {
			value, ok := s.given[a.Key]
			if !ok && a.Value != nil {
				value = *a.Value
			}
			s.args[a.Key] = value
		}
	case *instructions.WorkdirCommand:
		if s.scratch {
			return errors.New("not followed in the last stage")
		}
		s.workdir = c.Path
		return os.MkdirAll(s.at(c.Path), 0o755)
	case *instructions.RunCommand:
		return s.run(c)
	case *instructions.CopyCommand:
		return s.copy(c)
	default:
		return s.configure(c)
	}
	return nil
}

// configure takes in what is no file.
func (s *stage) configure(c instructions.Command) error {
	switch c := c.(type) {
	case *instructions.EnvCommand:
		for _, e := range c.Env {
			s.config.Env = append(s.config.Env, e.Key+"="+unquoted(e.Value))
		}
	case *instructions.LabelCommand:
		for _, l := range c.Labels {
			s.config.Labels[l.Key] = os.Expand(unquoted(l.Value), func(name string) string { return s.args[name] })
		}
	case *instructions.UserCommand:
		s.config.User = c.User
	case *instructions.VolumeCommand:
		s.config.Volumes = append(s.config.Volumes, c.Volumes...)
	case *instructions.ExposeCommand:
		s.config.Ports = append(s.config.Ports, c.Ports...)
	case *instructions.StopSignalCommand:
		s.config.StopSignal = c.Signal
	case *instructions.EntrypointCommand:
		s.config.Entrypoint = c.CmdLine
		return noShell(c.PrependShell)
	case *instructions.CmdCommand:
		s.config.Cmd = c.CmdLine
		return noShell(c.PrependShell)
	case *instructions.HealthCheckCommand:
		if len(c.Health.Test) < 2 || c.Health.Test[0] != "CMD" {
			return fmt.Errorf("the health check %q is not a program that is run as it is", c.Health.Test)
		}
		s.config.Health, s.config.HealthTries = slices.Clone(c.Health.Test[1:]), c.Health.Retries
		s.config.HealthEvery, s.config.HealthLimit = c.Health.Interval, c.Health.Timeout
	default:
		return errors.New("this instruction is not followed: teach e2e/image what it does")
	}
	return nil
}

func noShell(prepend bool) error {
	if prepend {
		return errors.New("it needs a shell, which the image does not have: write it as a list")
	}
	return nil
}

func unquoted(value string) string { return strings.Trim(value, `"`) }
