package record

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Kind is what an operation does.
type Kind string

// The operations a log holds.
const (
	Mkdir    Kind = "mkdir"
	Create   Kind = "create"
	Link     Kind = "link"
	Remove   Kind = "remove"
	Write    Kind = "write"
	Truncate Kind = "truncate"
	SyncFile Kind = "fdatasync"
	SyncDir  Kind = "fsync directory"
)

// Op is one recorded operation.
type Op struct {
	Kind Kind
	Name string // as it was given; of a Link the new name
	Ino  inode  // the file or directory it is about
	Dir  inode  // the directory whose names it changes, if any
	Off  int64  // Write: where; Truncate: the length
	Data []byte // Write: what

	Dropped bool // a sync that did nothing and reported success
	Failed  bool // a sync that failed and lost what it was to write
}

func (op Op) sync() bool { return op.Kind == SyncFile || op.Kind == SyncDir }

// inode numbers files and directories; 0 is none.
type inode int

const rootInode inode = 1

// node is a file or a directory.
type node struct {
	dir   bool
	data  []byte
	names map[string]inode
}

// disk is the state of a folder.
type disk struct{ nodes map[inode]*node }

func newDisk() *disk {
	return &disk{nodes: map[inode]*node{rootInode: {dir: true, names: map[string]inode{}}}}
}

func (d *disk) clone() *disk {
	c := &disk{nodes: make(map[inode]*node, len(d.nodes))}
	for i, n := range d.nodes {
		c.nodes[i] = &node{dir: n.dir, data: slices.Clone(n.data), names: maps.Clone(n.names)}
	}
	return c
}

// errPresent stops the recording of a create that finds its file there.
var errPresent = errors.New("present")

// find gives the directory of name and the inode under name, 0 if none.
func (d *disk) find(name string) (dir, ino inode, err error) {
	if !fs.ValidPath(name) {
		return 0, 0, fs.ErrInvalid
	}
	dir, ino = rootInode, rootInode
	if name == "." {
		return dir, ino, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if ino == 0 || !d.nodes[ino].dir {
			return 0, 0, fs.ErrNotExist
		}
		dir, ino = ino, d.nodes[ino].names[part]
	}
	return dir, ino, nil
}

// apply makes op take effect, durable or not.
func (d *disk) apply(op Op) {
	base := path.Base(op.Name)
	switch op.Kind {
	case Mkdir:
		d.nodes[op.Ino] = &node{dir: true, names: map[string]inode{}}
		d.nodes[op.Dir].names[base] = op.Ino
	case Create:
		d.nodes[op.Ino] = &node{}
		d.nodes[op.Dir].names[base] = op.Ino
	case Link:
		d.nodes[op.Dir].names[base] = op.Ino
	case Remove:
		delete(d.nodes[op.Dir].names, base)
	case Write:
		d.nodes[op.Ino].write(op.Data, op.Off)
	case Truncate:
		d.nodes[op.Ino].truncate(op.Off)
	}
}

// write puts p at off; a gap reads as zeros.
func (n *node) write(p []byte, off int64) {
	n.grow(off + int64(len(p)))
	copy(n.data[off:], p)
}

// grow extends a file with zeros to at least size.
func (n *node) grow(size int64) {
	if more := size - int64(len(n.data)); more > 0 {
		n.data = append(n.data, make([]byte, more)...)
	}
}

// truncate makes a file exactly size bytes long.
func (n *node) truncate(size int64) {
	n.grow(size)
	n.data = n.data[:size]
}

// info describes an inode under a name.
func (d *disk) info(name string, ino inode) fs.FileInfo {
	n := d.nodes[ino]
	return info{name: path.Base(name), size: int64(len(n.data)), dir: n.dir}
}

// info is an fs.FileInfo; the disk keeps no times.
type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

// same reports whether a folder here and one of another disk hold the same names
// with the same bytes.
func (d *disk) same(dir inode, other *disk, there inode) bool {
	a, b := d.nodes[dir], other.nodes[there]
	if a.dir != b.dir || len(a.names) != len(b.names) || !bytes.Equal(a.data, b.data) {
		return false
	}
	for name, ino := range a.names {
		if to, ok := b.names[name]; !ok || !d.same(ino, other, to) {
			return false
		}
	}
	return true
}
