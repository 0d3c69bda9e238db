package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/osproxy/osproxy/store"
)

// markName is the file that says whose store this is. It is written beside,
// under a name that begins so too, and linked, which never replaces: of two
// installations that mark one folder at the same moment one succeeds.
const markName = "STORE"

// halfMade is what a mark is called before it is whole: rand.Text comes behind
// the dot.
var halfMade = regexp.MustCompile(`^` + markName + `\.[A-Z2-7]{26}$`)

// lostAndFound is where ext4 puts what it repaired, by root's leave only.
const lostAndFound = "lost+found"

// isMark reports whether a name in the store's folder is that of its mark, or of
// one that a crash left half made.
func isMark(name string) bool {
	return name == markName || halfMade.MatchString(name)
}

// isOwn reports whether a name in the store's folder is neither an object's nor
// a stray: a mark's, or that of what ext4 keeps at the top of a disk.
func isOwn(name string) bool { return isMark(name) || name == lostAndFound }

// markFile is the content of the mark.
type markFile struct {
	Installation string `json:"installation"`
	// Store is "" in a mark from before marks had names, which stays as it is:
	// nothing here replaces a file.
	Store string `json:"store,omitempty"`
	About string `json:"about"`
}

const aboutMark = "This folder holds blobs of the ospd installation named here. Without this file ospd refuses to use it."

// Mark is store.Backend's. A folder that does not exist has no mark.
func (b *Backend) Mark(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("read mark: %w", err)
	}
	f, err := b.fs.Open(markName, os.O_RDONLY)
	if err != nil {
		return "", fmt.Errorf("read mark: %w", classify(err))
	}
	defer f.Close()
	is, n, err := parseMark(f)
	if err != nil {
		return "", fmt.Errorf("read mark: %w", err)
	}
	if is == "" {
		return "", fmt.Errorf("read mark: %s/%s is damaged (%d bytes, no installation in it); "+
			"nothing was touched; restore it from a backup or from the id in the database", b.path, markName, n)
	}
	return is, nil
}

// parseMark gives what SetMark was given, of the n bytes of a mark, "" where they
// are none.
func parseMark(f io.ReaderAt) (is string, n int, err error) {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 64<<10))
	if err != nil {
		return "", 0, err
	}
	var m markFile
	if json.Unmarshal(text, &m) != nil {
		return "", len(text), nil
	}
	if m.Installation != "" && m.Store != "" {
		return m.Installation + " " + m.Store, len(text), nil
	}
	return m.Installation, len(text), nil
}

// SetMark is store.Backend's.
func (b *Backend) SetMark(ctx context.Context, is string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("set mark: %w", err)
	}
	b.marking.Lock()
	defer b.marking.Unlock()
	if err := b.fs.MakeRoot(); err != nil {
		return fmt.Errorf("set mark: make %s: %w", b.path, classify(err))
	}
	if _, err := b.fs.Stat(markName); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = store.ErrExists
		}
		return fmt.Errorf("set mark: %w", err)
	}
	if err := b.writeMark(is); err != nil {
		return fmt.Errorf("set mark: %w", classify(err))
	}
	return nil
}

// writeMark publishes the mark durably and all at once.
func (b *Backend) writeMark(is string) error {
	installation, name, _ := strings.Cut(is, " ")
	text, err := json.MarshalIndent(markFile{Installation: installation, Store: name, About: aboutMark}, "", "  ")
	if err != nil {
		return err
	}
	before := b.dirs.mark()
	temp := markName + "." + rand.Text()
	f, err := b.fs.Open(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(append(text, '\n'), 0)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = b.fs.Link(temp, markName)
	}
	if err := errors.Join(err, b.fs.Remove(temp)); err != nil {
		return err
	}
	if err := b.dirs.sync(".", before); err != nil {
		return errors.Join(err, b.fs.Remove(markName))
	}
	return nil
}
