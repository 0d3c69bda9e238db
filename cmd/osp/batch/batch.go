// Package batch is what `osp run` works on: the lines of a batch, the checks
// that all of them pass before anything moves, and the journal of which are
// done. It moves nothing itself.
package batch

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"

	"github.com/osproxy/osproxy/cmd/osp/input"
	"github.com/osproxy/osproxy/protocol"
)

// Limits of a batch. Besides a few bytes for each line, memory holds one line.
const (
	// MaxLine bounds a line, in bytes.
	MaxLine = 64 << 10
	// MaxLines bounds the lines of a batch, blank ones included.
	MaxLines = 10_000_000
	// maxBad is how many bad lines are told of before the rest is not read.
	maxBad = 1000
)

// tempPattern names the copy that Read makes. Its beginning is what the state
// folder's own temporary files have, so that a copy which a killed run left is
// swept with them.
const tempPattern = ".tmp-batch-*"

// Batch is a batch whose lines have been checked. It is a copy: what happens to
// the file or stream it came from makes no difference any more.
type Batch struct {
	f    *os.File
	keep bool // f is still to be removed
	sum  [sha256.Size]byte
	// last is the number of the last line of text, count how many have an op.
	last, count int
	removes     int
	relative    bool
}

// Read copies a batch from r, to its end, into a file in dir that is gone when
// the process ends, and checks every line: alone, against the others, and with
// also. It tells bad of each line that fails, and then returns KindUsage. A ctx
// that ends leaves a Read of r that blocks behind.
func Read(ctx context.Context, r io.Reader, dir string, also func(Line) error, bad func(number int, err error)) (*Batch, error) {
	f, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return nil, copyError(err)
	}
	b := &Batch{f: f}
	// Where an open file can be removed, no kill leaves it behind.
	b.keep = os.Remove(f.Name()) != nil
	if err := b.copy(ctx, r, also, bad); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close removes the copy.
func (b *Batch) Close() {
	b.f.Close()
	if b.keep {
		os.Remove(b.f.Name())
	}
}

// Len is how many lines ask for something.
func (b *Batch) Len() int { return b.count }

// Removes is how many lines delete a file.
func (b *Batch) Removes() int { return b.removes }

// Lines gives the lines in order, those without an op left out. An error ends
// it: the copy cannot be read.
func (b *Batch) Lines() iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		t := newText(io.NewSectionReader(b.f, 0, 1<<62))
		for {
			text, err := t.next()
			if err == io.EOF {
				return
			}
			var l Line
			if err == nil {
				l, err = Parse(text)
			}
			if err != nil {
				yield(Line{}, copyError(err))
				return
			}
			l.Number = t.number
			if !yield(l, nil) {
				return
			}
		}
	}
}

// copy is Read once there is a file.
func (b *Batch) copy(ctx context.Context, r io.Reader, also func(Line) error, bad func(int, error)) error {
	w := &copier{file: bufio.NewWriter(b.f), sum: sha256.New()}
	t := newText(io.TeeReader(input.UntilDone(ctx, r), w))
	c := newCheck()
	faults := 0
	for {
		text, err := t.next()
		if err == io.EOF {
			break
		}
		if err != nil && err != errLong {
			return readError(err)
		}
		b.count++
		if err == nil {
			err = b.line(t.number, text, c, also)
		}
		if err == nil {
			continue
		}
		bad(t.number, err)
		w.enough = true
		if faults++; faults == maxBad {
			return badf("%d lines are bad, and the rest was not looked at; nothing was done", faults)
		}
	}
	b.last = t.number
	w.sum.Sum(b.sum[:0])
	if err := w.file.Flush(); err != nil {
		return copyError(err)
	}
	if faults > 0 {
		return badf("%d of %d lines are bad; nothing was done", faults, b.count)
	}
	return nil
}

func (b *Batch) line(number int, text []byte, c *check, also func(Line) error) error {
	l, err := Parse(text)
	if err != nil {
		return err
	}
	l.Number = number
	if l.Op == Remove {
		b.removes++
	}
	b.relative = b.relative || l.Relative()
	if err := c.line(l); err != nil {
		return err
	}
	return also(l)
}

// copier writes to the copy and to the hash, until it is enough: a batch with a
// bad line is not run, and its rest is read only to find the others.
type copier struct {
	file   *bufio.Writer
	sum    hash.Hash
	enough bool
}

func (c *copier) Write(p []byte) (int, error) {
	if c.enough {
		return len(p), nil
	}
	c.sum.Write(p)
	n, err := c.file.Write(p)
	if err != nil {
		err = copyError(err)
	}
	return n, err
}

func copyError(err error) error {
	return &protocol.Error{Kind: protocol.KindLocalIO, Message: "osp's own copy of the batch failed", Err: err}
}

// readError leaves what stopped the reading as it is.
func readError(err error) error {
	if _, ok := errors.AsType[*protocol.Error](err); ok {
		return err
	}
	return &protocol.Error{Kind: protocol.KindLocalIO, Message: "the batch could not be read to its end; nothing was done", Err: err}
}

// errLong is a line of a batch that is longer than MaxLine.
var errLong = fmt.Errorf("the line has more than %d bytes", MaxLine)

// text reads lines and skips what has no op: blank lines, and those whose first
// character is #.
type text struct {
	r      *bufio.Reader
	number int
	// inside says that the rest of a line is still to be skipped.
	inside bool
}

func newText(r io.Reader) *text { return &text{r: bufio.NewReaderSize(r, MaxLine+2)} } // the line and its end

// next is the next line that should have an op, without the white space around
// it, until the next call. A line that is too long is errLong, as soon as that
// is known, and the next call goes on behind it. More than MaxLines are
// KindUsage. The end is io.EOF.
func (t *text) next() ([]byte, error) {
	for {
		line, err := t.r.ReadSlice('\n')
		begun := !t.inside && len(line) > 0
		t.inside = err == bufio.ErrBufferFull
		if err != nil && err != io.EOF && !t.inside {
			return nil, err
		}
		if begun {
			if t.number++; t.number > MaxLines {
				return nil, badf("the batch has more than %d lines; nothing was done", MaxLines)
			}
			if t.number == 1 {
				line = bytes.TrimPrefix(line, []byte("\uFEFF"))
			}
			line = bytes.TrimSpace(line)
			switch {
			case t.inside || len(line) > MaxLine:
				return nil, errLong
			case len(line) > 0 && line[0] != '#':
				return line, nil
			}
		}
		if err == io.EOF {
			return nil, io.EOF
		}
	}
}
