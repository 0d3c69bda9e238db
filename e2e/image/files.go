package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// send copies of the context what .dockerignore leaves.
func send(context, to string) error {
	f, err := os.Open(filepath.Join(context, ".dockerignore"))
	if err != nil {
		return err
	}
	patterns, err := ignorefile.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		return err
	}
	return filepath.WalkDir(context, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(context, path)
		if err != nil || name == "." {
			return err
		}
		if entry.IsDir() && (name == ".git" || name == "bin") { // large, and surely not wanted
			return fs.SkipDir
		}
		skip, err := ignored.MatchesOrParentMatches(name)
		if err != nil || skip || entry.IsDir() {
			return err
		}
		return copyFile(path, filepath.Join(to, name), nil)
	})
}

// at is where a path of the stage is: below its root what lies under the
// WORKDIR or is of the image itself; else it is the base image's, and so this
// machine's.
func (s *stage) at(path string) string {
	path = s.absolute(path)
	if s.scratch || path == s.workdir || strings.HasPrefix(path, strings.TrimSuffix(s.workdir, "/")+"/") {
		return filepath.Join(s.root, path)
	}
	return path
}

func (s *stage) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(s.workdir, path)
}

// run runs a command in the WORKDIR, with what was declared in its environment.
func (s *stage) run(c *instructions.RunCommand) error {
	if s.scratch {
		return errors.New("nothing can be run in an image from scratch")
	}
	args := c.CmdLine
	if c.PrependShell {
		args = append([]string{"/bin/sh", "-c"}, strings.Join(c.CmdLine, " "))
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = s.at(s.workdir)
	// The repository around it, and what tests are run with, are not its business.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false", "GIT_CEILING_DIRECTORIES="+s.root)
	for name, value := range s.args {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, s.config.Env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// copy follows COPY: from the context or another stage, of files, or of what a
// folder holds.
func (s *stage) copy(c *instructions.CopyCommand) error {
	if c.Chmod != "" || c.Link || c.Parents || len(c.ExcludePatterns) > 0 || len(c.SourceContents) > 0 {
		return errors.New("this kind of COPY is not followed")
	}
	var owner *[2]int
	if s.scratch {
		var err error
		if owner, err = ownerOf(c.Chown); err != nil {
			return err
		}
	}
	for _, source := range c.SourcePaths {
		from, err := s.source(c.From, source)
		if err != nil {
			return err
		}
		to := s.at(c.DestPath)
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = copyFolder(from, to, owner)
		} else {
			if strings.HasSuffix(c.DestPath, "/") || c.DestPath == "." {
				to = filepath.Join(to, filepath.Base(from))
			}
			err = copyFile(from, to, owner)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) source(from, path string) (string, error) {
	if from == "" {
		return filepath.Join(s.context, path), nil
	}
	other, ok := s.stages[from]
	if !ok {
		return "", fmt.Errorf("there is no stage %q before this one", from)
	}
	return other.at(path), nil
}

// ownerOf reads --chown, without which files are root's.
func ownerOf(chown string) (*[2]int, error) {
	if chown == "" {
		return &[2]int{}, nil
	}
	user, group, _ := strings.Cut(chown, ":")
	uid, uerr := strconv.Atoi(user)
	gid, gerr := strconv.Atoi(group)
	return &[2]int{uid, gid}, errors.Join(uerr, gerr)
}

// copyFolder makes a folder with what another one holds. owner nil leaves files
// to whoever runs this.
func copyFolder(from, to string, owner *[2]int) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if !entry.IsDir() {
			return copyFile(path, target, owner)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil { // root's
			return err
		}
		if err := os.Mkdir(target, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return give(target, owner)
	})
}

func copyFile(from, to string, owner *[2]int) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	// Whatever the umask of whoever runs this is.
	if err = errors.Join(err, out.Chmod(info.Mode().Perm()), out.Close()); err != nil {
		return err
	}
	return give(to, owner)
}

func give(path string, owner *[2]int) error {
	if owner == nil {
		return nil
	}
	return os.Lchown(path, owner[0], owner[1])
}
