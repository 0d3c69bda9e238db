package batch

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/osproxy/osproxy/protocol"
)

// syncEvery is how long a line of the journal may wait for the disk.
const syncEvery = 200 * time.Millisecond

// Journal is the file that says which lines of a batch are done. Every line of
// it is written at once and whole, before and after a line of the batch is
// worked on, so that a kill loses nothing that was written and tears at most
// the last line; and it is synced in batches, so that a power cut loses what
// was written in the last moment. Where that must not be, see Begin.
//
// A Journal is safe for concurrent use. One that failed to be written stays
// failed: what is in it is true, and nothing may be added behind a torn line.
type Journal struct {
	History
	path string
	id   string
	now  func() time.Time
	lock *flock.Flock

	mu    sync.Mutex
	dirty bool
	err   error
	// disk is held while the file is synced, so that who finds nothing to sync
	// has waited for whoever does.
	disk sync.Mutex

	quit, ended chan struct{}
}

// History is what earlier runs did. The zero value is that of no run.
type History struct {
	f     *os.File
	lines []state
}

// Past is what earlier runs did about a line.
func (h *History) Past(line int) Past {
	if line >= len(h.lines) {
		return Past{}
	}
	return h.lines[line].past()
}

// Done is how many lines are done.
func (h *History) Done() int {
	n := 0
	for _, s := range h.lines {
		if s.done {
			n++
		}
	}
	return n
}

// Ended is how a line ended that is done.
func (h *History) Ended(line int) (e End, err error) {
	r := bufio.NewReader(io.NewSectionReader(h.f, h.lines[line].end, maxRecord))
	text, err := r.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil || e.Line != line || !e.OK {
		return e, &protocol.Error{Kind: protocol.KindLocalIO, Message: "the journal changed while it was read", Err: err}
	}
	return e, nil
}

// Close lets go of the file.
func (h *History) Close() {
	if h.f != nil {
		h.f.Close()
	}
}

// Open opens the journal at path, or makes it, and reads what earlier runs did.
// It holds the journal against other processes until Close. A file that is not
// subject's journal is KindUsage, and is left as it is; one that another
// process holds is KindBusy.
func Open(path string, subject Subject, now func() time.Time) (*Journal, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	j := &Journal{path: path, now: now, quit: make(chan struct{}), ended: make(chan struct{})}
	j.lock = flock.New(lockPath(path), flock.SetPermissions(0o600))
	ok, err := j.lock.TryLock()
	switch {
	case err != nil:
		return nil, failure(path, "be locked", err)
	case !ok:
		j.lock.Close()
		return nil, &protocol.Error{Kind: protocol.KindBusy, Message: "another osp is at work with the journal " + path,
			Hint: "Wait until it is done, or stop it."}
	}
	if err := j.open(subject); err != nil {
		j.lock.Close()
		return nil, err
	}
	go j.syncing()
	return j, nil
}

// Peek reads what earlier runs did, and changes nothing. Without a journal they
// did nothing.
func Peek(path string, subject Subject) (*History, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &History{}, nil
	}
	if err != nil {
		return nil, failure(path, "be read", err)
	}
	_, lines, _, err := replay(f, subject)
	if err != nil && err != io.ErrUnexpectedEOF {
		f.Close()
		return nil, refused(path, err)
	}
	return &History{f: f, lines: lines}, nil
}

// regular refuses what would be harmed by a journal, or would block.
func regular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return badf("the journal %s is not a regular file", path)
	}
	return nil
}

// open opens the file once it is locked.
func (j *Journal) open(subject Subject) error {
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return j.failure("be opened", err)
	}
	j.f = f
	h, lines, whole, err := replay(f, subject)
	switch {
	case err == io.ErrUnexpectedEOF:
		err = j.create(subject)
	case err != nil:
		err = refused(j.path, err)
	default:
		j.id, j.lines = h.ID, lines
		err = j.cut(whole)
	}
	if err != nil {
		f.Close()
	}
	return err
}

// create makes an empty or torn file a journal.
func (j *Journal) create(subject Subject) error {
	if err := j.cut(0); err != nil {
		return err
	}
	j.id = rand.Text()
	j.lines = make([]state, subject.Batch.last+1)
	if err := j.write(subject.header(j.id, protocol.TimeOf(j.now()))); err != nil {
		return err
	}
	if err := j.f.Sync(); err != nil {
		return j.failure("be synced", err)
	}
	// Without its name the journal is lost with the power. A system that does
	// not sync folders keeps names its own way.
	if dir, err := os.Open(filepath.Dir(j.path)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}

// cut removes what follows the last whole line.
func (j *Journal) cut(whole int64) error {
	err := j.f.Truncate(whole)
	if err == nil {
		_, err = j.f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return j.failure("be cut where a line is torn", err)
	}
	return nil
}

// Key is the Idempotency-Key of a line: the same in every run, until a try ended
// with KindConflict.
func (j *Journal) Key(line int) string {
	return fmt.Sprintf("osp-run-%s-%d-%d", j.id, line, j.lines[line].keys)
}

// Begin notes that a line is about to be worked on, and gives the time that a
// later Past.Since will have, should this try stay open.
func (j *Journal) Begin(line int) (protocol.Time, error) {
	b := begin{Type: typeBegin, Line: line, At: protocol.TimeOf(j.now())}
	return b.At, j.write(b)
}

// Begun notes which upload a line has begun. It is on the disk when Begun
// returns: once parts are sent, not even a power cut may have the file sent
// again as another.
func (j *Journal) Begun(line int, uid protocol.UID) error {
	if err := j.write(begin{Type: typeBegin, Line: line, UID: &uid, At: protocol.TimeOf(j.now())}); err != nil {
		return err
	}
	return j.sync()
}

// End notes how a line ended.
func (j *Journal) End(e End) error {
	e.Type, e.At = typeEnd, protocol.TimeOf(j.now())
	return j.write(e)
}

// Err is why the journal can no longer be written, nil while it can.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// write adds one line, in one call.
func (j *Journal) write(v any) error {
	line, err := lineOf(v)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	if err == nil {
		_, err = j.f.Write(line)
	}
	if err != nil {
		j.err = j.failure("be written", err)
	}
	j.dirty = true
	return j.err
}

// sync brings to the disk what was written before.
func (j *Journal) sync() error {
	j.disk.Lock()
	defer j.disk.Unlock()
	j.mu.Lock()
	dirty := j.dirty
	j.dirty = false
	j.mu.Unlock()
	if !dirty {
		return j.Err()
	}
	err := j.f.Sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil && j.err == nil {
		j.err = j.failure("be synced", err)
	}
	return j.err
}

// syncing is the goroutine that syncs; Close ends it and waits for it.
func (j *Journal) syncing() {
	defer close(j.ended)
	ticker := time.NewTicker(syncEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = j.sync() // kept for Err
		case <-j.quit:
			_ = j.sync()
			return
		}
	}
}

// Close syncs and lets go of the journal. It returns Err.
func (j *Journal) Close() error {
	close(j.quit)
	<-j.ended
	j.History.Close()
	j.lock.Close()
	return j.Err()
}

func (j *Journal) failure(what string, err error) error { return failure(j.path, what, err) }

func failure(path, what string, err error) error {
	e := &protocol.Error{Kind: protocol.KindLocalIO, Message: fmt.Sprintf("the journal %s cannot %s", path, what), Err: err}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		e.Kind = protocol.KindLocalFull
	}
	return e
}

func refused(path string, err error) error {
	e := &protocol.Error{Kind: protocol.KindUsage, Message: fmt.Sprintf("the journal %s cannot be used and was left as it is", path), Err: err,
		Hint: "Name another file with --journal; it is made where there is none."}
	if own, ok := errors.AsType[*protocol.Error](err); ok && own.Hint != "" {
		e.Hint = own.Hint
	}
	return e
}
