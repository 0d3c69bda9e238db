// Package selection finds the files that a put means: those named, those in
// folders, those that patterns match, those in lists. It opens none of them.
package selection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// standardInput is the argument that means it.
const standardInput = "-"

// Selection says which files are meant.
type Selection struct {
	// Args are files, folders and patterns in the order given; "-" is standard
	// input.
	Args []string
	// List has more of them after Args, one a line, or with Null ended by a
	// NUL each. They are taken as they are: none is a pattern, and none is
	// standard input. Their files are named by their whole paths. ListName is
	// what messages call it.
	List     io.Reader
	ListName string
	Null     bool
	// Recursive looks into folders.
	Recursive bool
	// Literal takes no argument for a pattern.
	Literal bool
	Filter  Filter
	// Warn is told of what is not taken though no filter says so.
	Warn func(msg string)
}

// Entry is one file to put.
type Entry struct {
	// Path leads to it from the current folder.
	Path string
	// Name is the one to store; "" is the last element of Path.
	Name string
	// Size is that of a regular file when it was found.
	Size int64
	// From is the argument, or the list, that it comes of.
	From string
	// Stdin: it is standard input, and no file.
	Stdin bool
	// Err says why there is no file to put.
	Err error
}

// Files gives each file in a fixed order: that of the arguments, and within a
// folder by name. What cannot be looked at is an Entry with an error. Where ctx
// ends, the arguments that were not done with have one Entry each that says so.
// Of a folder only the names on the way to the file in hand are held in memory.
func (s Selection) Files(ctx context.Context) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		sc := &scan{Selection: s, ctx: ctx, yield: yield, readDir: os.ReadDir}
		for _, arg := range s.Args {
			sc.from, sc.over = arg, false
			if !sc.argument(arg) {
				return
			}
		}
		if s.List != nil && !sc.list() {
			return
		}
		sc.skipped.close()
	}
}

// scan is one run of Files. Its methods report whether to go on.
type scan struct {
	Selection
	ctx   context.Context
	yield func(Entry) bool
	// from is the argument in hand; over says that ctx ended, and that it was
	// told of.
	from    string
	over    bool
	readDir func(dir string) ([]fs.DirEntry, error)
	skipped skipped
}

func (sc *scan) give(e Entry) bool {
	e.From = sc.from
	return sc.yield(e)
}

// fail gives what cannot be put.
func (sc *scan) fail(path string, err error) bool {
	return sc.give(Entry{Path: path, Err: err})
}

func (sc *scan) argument(arg string) bool {
	switch {
	case sc.ctx.Err() != nil:
		return sc.stopped()
	case arg == standardInput:
		return sc.give(Entry{Path: arg, Stdin: true})
	}
	return sc.named(arg, !sc.Literal)
}

// named is a file or folder that was named, or else a pattern where that is
// possible.
func (sc *scan) named(path string, pattern bool) bool {
	info, err := os.Stat(path)
	switch {
	case pattern && errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(path, "*?[{"):
		return sc.glob(path)
	case err != nil:
		return sc.give(Entry{Path: path}) // putting it says what is wrong
	case info.IsDir():
		return sc.tree(path)
	}
	return sc.file(Entry{Path: path}, []string{filepath.Base(path)}, info)
}

// file is one that was named; patterns are matched with its elements.
func (sc *scan) file(e Entry, elements []string, info fs.FileInfo) bool {
	if !sc.Filter.file(elements) {
		return true
	}
	if info.Mode().IsRegular() {
		e.Size = info.Size()
	}
	return sc.give(e)
}

// stopped gives the argument in hand as not done with, once.
func (sc *scan) stopped() bool {
	if sc.over {
		return true
	}
	sc.over = true
	return sc.fail(sc.from, context.Cause(sc.ctx))
}

// below is the path of what lies in a folder. One with .. in it is not cleaned,
// since behind a symbolic link that would mean another folder.
func below(dir, name string) string {
	if goesUp(dir) {
		return strings.TrimRightFunc(dir, isSeparator) + string(filepath.Separator) + name
	}
	return filepath.Join(dir, name)
}

func isSeparator(c rune) bool { return c == '/' || c == filepath.Separator }

func goesUp(path string) bool {
	return slices.Contains(strings.Split(filepath.ToSlash(path), "/"), "..")
}

// maxSkips is how many files that are not taken are named one by one.
const maxSkips = 10

// skipped tells of what is not taken, and not without end.
type skipped struct {
	count int
	more  func(string)
}

// add names one that is not taken.
func (s *skipped) add(warn func(string), path, why string) {
	s.count++
	s.more = warn
	if s.count <= maxSkips {
		warn(path + " is " + why + " and is skipped")
	}
}

// close tells of those that were not named.
func (s *skipped) close() {
	if s.count > maxSkips {
		s.more(fmt.Sprintf("%d more that are no regular files are skipped", s.count-maxSkips))
	}
}

// cannot words an error of this machine's file system.
func cannot(what, path string, err error) error {
	e := &protocol.Error{Kind: protocol.KindLocalIO, Message: path + " cannot be " + what + ", so what is in it is not put", Err: err}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		e.Err = p.Err
	}
	return e
}
