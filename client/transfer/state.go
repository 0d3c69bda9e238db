package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/gofrs/flock"

	"github.com/osproxy/osproxy/protocol"
)

// PruneAge is how long an unfinished transfer is remembered by default; the
// daemon gives up an untouched upload after the same time.
const PruneAge = 7 * 24 * time.Hour

// maxRecord bounds a transfer file that is read.
const maxRecord = 1 << 20

const (
	recordSuffix = ".json"
	lockSuffix   = ".lock"
	tempPrefix   = ".tmp-"
)

// DefaultStateDir is $OSP_HOME/transfers where OSP_HOME is set, else
// osp/transfers under $XDG_STATE_HOME or what stands for it on this system.
func DefaultStateDir() string {
	if home := os.Getenv("OSP_HOME"); home != "" {
		return filepath.Join(home, "transfers")
	}
	return filepath.Join(xdg.StateHome, "osp", "transfers")
}

// State is a folder with one file for each unfinished transfer, <id>.json,
// and a lock file beside it while it runs. Each file stands for itself: one
// that is broken, or of a newer osp, is reported and left alone, and never
// keeps another from being used. Safe for use by several processes.
type State struct {
	dir string
	now func() time.Time
}

// OpenState makes the folder where it is missing. dir "" is DefaultStateDir.
func OpenState(dir string) (*State, error) {
	s := PeekState(dir)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, localError("make the folder of transfers", err)
	}
	return s, nil
}

// PeekState is OpenState for who only looks: it makes nothing. A folder that is
// missing has no transfers.
func PeekState(dir string) *State {
	if dir == "" {
		dir = DefaultStateDir()
	}
	return &State{dir: dir, now: time.Now}
}

// Dir is the folder.
func (s *State) Dir() string { return s.dir }

func (s *State) path(id ID) string     { return filepath.Join(s.dir, string(id)+recordSuffix) }
func (s *State) lockPath(id ID) string { return filepath.Join(s.dir, string(id)+lockSuffix) }

// List gives all transfers, newest first, and an error for each file that is
// not usable.
func (s *State) List() (all []Transfer, broken []error, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, localError("list transfers", err)
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), recordSuffix)
		if !ok || strings.HasPrefix(name, tempPrefix) {
			continue
		}
		t, err := s.Load(ID(name))
		switch {
		case err == nil:
			all = append(all, t)
		case protocol.KindOf(err) != protocol.KindNotFound: // it was done meanwhile
			broken = append(broken, err)
		}
	}
	slices.SortFunc(all, func(a, b Transfer) int { return strings.Compare(string(b.ID), string(a.ID)) })
	return all, broken, nil
}

// Load reads one transfer. None of that id is KindNotFound; a file that
// cannot be used is KindLocalIO, and is left as it is.
func (s *State) Load(id ID) (Transfer, error) {
	if _, err := ParseID(string(id)); err != nil {
		return Transfer{}, err
	}
	f, err := os.Open(s.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return Transfer{}, &protocol.Error{Kind: protocol.KindNotFound, Message: "there is no transfer " + string(id),
			Hint: "osp transfers list"}
	}
	var t Transfer
	if err == nil {
		defer f.Close()
		t, err = readRecord(id, io.LimitReader(f, maxRecord))
	}
	if err != nil {
		return Transfer{}, &protocol.Error{Kind: protocol.KindLocalIO,
			Message: fmt.Sprintf("the transfer file %s cannot be used and was left as it is", s.path(id)),
			Hint:    "Delete it if you do not need it; no other transfer depends on it.", Err: err}
	}
	return t, nil
}

func readRecord(id ID, r io.Reader) (t Transfer, err error) {
	data, err := io.ReadAll(r)
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err == nil {
		err = t.check(id)
	}
	return t, err
}

// Find gives the transfers of a daemon for one path and name, newest first.
// name "" is any.
func (s *State) Find(serverID string, kind Direction, path, name string) ([]Transfer, error) {
	all, _, err := s.List()
	return about(all, serverID, kind, path, name), err
}

// about is Find among those given.
func about(all []Transfer, serverID string, kind Direction, path, name string) (found []Transfer) {
	for _, t := range all {
		if t.ServerID == serverID && t.Kind == kind && t.Path == path && (name == "" || t.Name == name) {
			found = append(found, t)
		}
	}
	return found
}

// Remove forgets a transfer, and deletes what a get had received. One that is
// running is KindBusy; none of that id is no error.
func (s *State) Remove(id ID) error {
	lock, t, err := s.lock(id)
	if protocol.KindOf(err) == protocol.KindNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.release()
	if t.Target != "" {
		if err := os.Remove(t.Target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return localError("remove "+t.Target, err)
		}
	}
	return lock.forget()
}

// Prune removes the transfers no run has touched for olderThan, and gives
// them. Running ones and files that are not usable stay.
func (s *State) Prune(olderThan time.Duration) ([]Transfer, error) {
	all, _, err := s.List()
	if err != nil {
		return nil, err
	}
	limit := s.now().Add(-olderThan)
	var pruned []Transfer
	for _, t := range all {
		if t.Updated.After(limit) {
			continue
		}
		switch err := s.Remove(t.ID); {
		case err == nil:
			pruned = append(pruned, t)
		case protocol.KindOf(err) != protocol.KindBusy:
			return pruned, err
		}
	}
	return pruned, s.sweep(limit)
}

// sweep removes what killed runs left: temporary files, and locks of
// transfers that are gone.
func (s *State) sweep(limit time.Time) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return localError("list transfers", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || info.ModTime().After(limit) {
			continue
		}
		id, isLock := strings.CutSuffix(entry.Name(), lockSuffix)
		if isLock {
			_, err = os.Stat(s.path(ID(id)))
			isLock = errors.Is(err, fs.ErrNotExist)
		}
		if isLock || strings.HasPrefix(entry.Name(), tempPrefix) {
			os.Remove(filepath.Join(s.dir, entry.Name()))
		}
	}
	return nil
}

// lease is a transfer that this run holds.
type lease struct {
	s    *State
	id   ID
	lock *flock.Flock
}

// create writes a new transfer and holds it. It gets an id if it has none. A
// transfer that is not durable survives the death of this process and may be
// lost with the power: there is then nothing to resume that is worth a sync.
func (s *State) create(t *Transfer, durable bool) (*lease, error) {
	if t.ID == "" {
		t.ID = newID()
	}
	t.V = recordVersion
	t.Created = protocol.TimeOf(s.now())
	l, err := s.hold(t.ID)
	if err != nil {
		return nil, err
	}
	if err := l.write(t, durable); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

// lock holds a transfer that exists, and reads it. Held by another run, it is
// KindBusy.
func (s *State) lock(id ID) (*lease, Transfer, error) {
	// Asked first, so that no lock file is made for nothing.
	if _, err := s.Load(id); err != nil {
		return nil, Transfer{}, err
	}
	l, err := s.hold(id)
	if err != nil {
		return nil, Transfer{}, err
	}
	t, err := s.Load(id)
	if err != nil { // its run ended, and forgot it, just before
		l.release()
		return nil, Transfer{}, err
	}
	return l, t, nil
}

func (s *State) hold(id ID) (*lease, error) {
	lock := flock.New(s.lockPath(id), flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, localError("lock transfer "+string(id), err)
	}
	if !ok {
		lock.Close()
		return nil, &protocol.Error{Kind: protocol.KindBusy, Message: "transfer " + string(id) + " is being worked on by another osp",
			Hint: "Wait until it is done, or stop it."}
	}
	return &lease{s: s, id: id, lock: lock}, nil
}

// save replaces the transfer's file as a whole, durably.
func (l *lease) save(t *Transfer) error { return l.write(t, true) }

func (l *lease) write(t *Transfer, durable bool) error {
	t.Updated = protocol.TimeOf(l.s.now())
	data, err := json.MarshalIndent(t, "", " ")
	if err == nil {
		err = replaceFile(l.s.path(l.id), append(data, '\n'), durable)
	}
	if err != nil {
		return localError("save transfer "+string(l.id), err)
	}
	return nil
}

// forget removes the transfer's file; the lease is still to be released.
func (l *lease) forget() error {
	if err := os.Remove(l.s.path(l.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return localError("forget transfer "+string(l.id), err)
	}
	return nil
}

// release ends the hold. The lock file goes with the last trace of the
// transfer; an id never comes back, so nobody can be waiting for it. A nil
// lease holds nothing.
func (l *lease) release() {
	if l == nil {
		return
	}
	l.lock.Close()
	if _, err := os.Stat(l.s.path(l.id)); errors.Is(err, fs.ErrNotExist) {
		os.Remove(l.s.lockPath(l.id))
	}
}

// replaceFile writes a file so that a crash leaves the old or the new one; a
// power cut too, where it is to be durable.
func replaceFile(path string, data []byte, durable bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	if !durable {
		return nil
	}
	return syncDir(filepath.Dir(path))
}
