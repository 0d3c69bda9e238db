// Package record is a file layer for store/local that lives in memory, keeps a
// log of everything done to it, and can say what a disk would hold after a
// power cut at any point of that log. Its faults are those of real disks: a
// failed sync drops what it should have written, and a later sync that
// succeeds does not bring it back.
package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/osproxy/osproxy/store/local"
)

// FS is a recording local.FS. Operations are recorded one at a time, in the
// order they took effect.
type FS struct {
	ops sync.Mutex // held for one operation and its hook

	mu     sync.Mutex // guards what follows
	base   *disk      // what was durable when recording began
	now    *disk      // what the running system sees
	log    []Op
	next   inode
	room   int64 // bytes that may still be written, or < 0: no bound
	onOp   func(k int)
	drop   func(Op) bool
	inject func(Op) error
}

var _ local.FS = (*FS)(nil)

// New is an empty folder with plenty of room.
func New() *FS { return from(newDisk()) }

// from begins a recording on what a disk holds.
func from(d *disk) *FS {
	f := &FS{base: d, now: d.clone(), room: -1, next: rootInode + 1}
	for i := range d.nodes {
		f.next = max(f.next, i+1)
	}
	return f
}

// BeganAs reports whether both recordings began with the same folder.
func (f *FS) BeganAs(other *FS) bool { return f.base.same(rootInode, other.base, rootInode) }

// Len is the number of operations recorded.
func (f *FS) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.log)
}

// Log is a copy of the operations recorded.
func (f *FS) Log() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// OnOp has hook called after each operation with the length of the log then.
// No other operation begins before it returns; it may call Len, Log and
// CrashAt, and must not change the FS.
func (f *FS) OnOp(hook func(k int)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onOp = hook
}

// DropSyncs makes the syncs that match do nothing and report success: a test
// that still passes without them proves nothing.
func (f *FS) DropSyncs(match func(Op) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop = match
}

// Inject has an operation fail with what fault returns for it, if that is not
// nil. Fault is called before each operation that changes or syncs something.
// A write that fails has written nothing; a sync that fails has lost what it
// was to write.
func (f *FS) Inject(fault func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inject = fault
}

// SetRoom bounds the bytes by which files may still grow; beyond it writes
// fail with ENOSPC. Removing files gives their bytes back. Below 0: no bound.
func (f *FS) SetRoom(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room = n
}

// Nth is a fault for Inject: the nth operation of a kind from now on, counted
// from 1, fails with err, once.
func Nth(kind Kind, n int, err error) func(Op) error {
	var seen int // Inject's fault is called under the FS's lock
	return func(op Op) error {
		if op.Kind != kind {
			return nil
		}
		if seen++; seen == n {
			return err
		}
		return nil
	}
}

// do runs one operation: prepare checks it and fills in what it will be; then
// it is recorded and takes effect.
func (f *FS) do(op Op, prepare func(*Op) error) (Op, error) {
	f.ops.Lock()
	defer f.ops.Unlock()
	op, k, err := f.record(op, prepare)
	f.mu.Lock()
	hook := f.onOp
	f.mu.Unlock()
	if k > 0 && hook != nil {
		hook(k)
	}
	return op, err
}

// record is the part of do under the lock. k is 0 if nothing was recorded.
func (f *FS) record(op Op, prepare func(*Op) error) (_ Op, k int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := prepare(&op); err != nil {
		return op, 0, &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: err}
	}
	var fault error
	if f.inject != nil {
		fault = f.inject(op)
	}
	if fault != nil {
		fault = &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: fault}
		if !op.sync() {
			return op, 0, fault
		}
		op.Failed = true
	}
	if op.sync() && fault == nil && f.drop != nil && f.drop(op) {
		op.Dropped = true
	}
	if err := f.charge(op); err != nil {
		return op, 0, err
	}
	f.now.apply(op)
	f.log = append(f.log, op)
	return op, len(f.log), fault
}

// charge takes the room an operation needs.
func (f *FS) charge(op Op) error {
	if f.room < 0 {
		return nil
	}
	var grows int64
	switch op.Kind {
	case Write:
		grows = max(0, op.Off+int64(len(op.Data))-int64(len(f.now.nodes[op.Ino].data)))
	case Truncate:
		grows = op.Off - int64(len(f.now.nodes[op.Ino].data))
	case Remove:
		grows = -int64(len(f.now.nodes[op.Ino].data))
	}
	if grows > f.room {
		return &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: syscall.ENOSPC}
	}
	f.room -= grows
	return nil
}

// MakeRoot is local.FS's; the folder is always there.
func (f *FS) MakeRoot() error { return nil }

// HasRoot is local.FS's.
func (f *FS) HasRoot() error { return nil }

// Open is local.FS's.
func (f *FS) Open(name string, flag int) (local.File, error) {
	if flag&os.O_CREATE != 0 {
		op, err := f.do(Op{Kind: Create, Name: name}, func(op *Op) error {
			dir, ino, err := f.now.find(name)
			switch {
			case err != nil:
				return err
			case ino != 0 && flag&os.O_EXCL != 0:
				return fs.ErrExist
			case ino != 0:
				op.Ino = ino
				return errPresent
			}
			op.Dir, op.Ino = dir, f.next
			f.next++
			return nil
		})
		if err != nil && !errors.Is(err, errPresent) {
			return nil, err
		}
		return &file{fs: f, name: name, ino: op.Ino}, nil
	}
	ino, err := f.lookup("open", name)
	if err != nil {
		return nil, err
	}
	return &file{fs: f, name: name, ino: ino}, nil
}

// OpenOS is local.FS's: a copy, in a temporary file, of what the file holds
// now. Later writes do not show in it.
func (f *FS) OpenOS(name string) (*os.File, error) {
	ino, err := f.lookup("open", name)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	data := slices.Clone(f.now.nodes[ino].data)
	f.mu.Unlock()
	temp, err := os.CreateTemp("", "record-*")
	if err != nil {
		return nil, err
	}
	// Where an open file keeps its name (Windows) the copy stays in the
	// folder for temporary files.
	_ = os.Remove(temp.Name())
	if _, err := temp.WriteAt(data, 0); err != nil {
		return nil, fmt.Errorf("copy %s: %w", name, err)
	}
	return temp, nil
}

// Mkdir is local.FS's.
func (f *FS) Mkdir(name string) error {
	_, err := f.do(Op{Kind: Mkdir, Name: name}, func(op *Op) error {
		dir, ino, err := f.now.find(name)
		if err == nil && ino != 0 {
			err = fs.ErrExist
		}
		if err != nil {
			return err
		}
		op.Dir, op.Ino = dir, f.next
		f.next++
		return nil
	})
	return err
}

// Link is local.FS's.
func (f *FS) Link(oldname, newname string) error {
	_, err := f.do(Op{Kind: Link, Name: newname}, func(op *Op) error {
		_, from, err := f.now.find(oldname)
		if err == nil && from == 0 {
			err = fs.ErrNotExist
		}
		if err != nil {
			return err
		}
		dir, ino, err := f.now.find(newname)
		if err == nil && ino != 0 {
			err = fs.ErrExist
		}
		op.Dir, op.Ino = dir, from
		return err
	})
	return err
}

// Remove is local.FS's.
func (f *FS) Remove(name string) error {
	_, err := f.do(Op{Kind: Remove, Name: name}, func(op *Op) error {
		dir, ino, err := f.now.find(name)
		switch {
		case err != nil:
			return err
		case ino == 0:
			return fs.ErrNotExist
		case len(f.now.nodes[ino].names) > 0:
			return syscall.ENOTEMPTY
		}
		op.Dir, op.Ino = dir, ino
		return nil
	})
	return err
}

// SyncDir is local.FS's.
func (f *FS) SyncDir(name string) error {
	_, err := f.do(Op{Kind: SyncDir, Name: name}, func(op *Op) error {
		_, ino, err := f.now.find(name)
		if err == nil && ino == 0 {
			err = fs.ErrNotExist
		}
		op.Ino = ino
		return err
	})
	return err
}

// Stat is local.FS's.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	ino, err := f.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now.info(name, ino), nil
}

// ReadDir is local.FS's.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	ino, err := f.lookup("readdir", name)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var entries []fs.DirEntry
	for n, i := range f.now.nodes[ino].names {
		entries = append(entries, fs.FileInfoToDirEntry(f.now.info(n, i)))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Free is local.FS's.
func (f *FS) Free() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.room < 0 {
		return 1 << 40, nil
	}
	return f.room, nil
}

// Close is local.FS's. The recording stays.
func (f *FS) Close() error { return nil }

func (f *FS) lookup(op, name string) (inode, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ino, err := f.now.find(name)
	if err == nil && ino == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return 0, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return ino, nil
}
