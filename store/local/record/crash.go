package record

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
)

// Variant says what of the unsynced a power cut leaves. What was synced is
// kept by all of them.
type Variant int

const (
	// Lost keeps nothing that was not synced: no bytes, no length, no names.
	Lost Variant = iota
	// Empty keeps names, and of files what was synced.
	Empty
	// Zeros keeps names and lengths; bytes that were not synced are zeros.
	Zeros
	// Torn keeps a random subset of names and of 4 KiB pieces of writes; a
	// file is as long as the last piece kept, or as it was meant to be.
	Torn
	// Kept keeps everything, as when only the process dies.
	Kept
)

// Variants are all of them, for tests that try each.
func Variants() []Variant { return []Variant{Lost, Empty, Zeros, Torn, Kept} }

func (v Variant) String() string {
	return [...]string{"lost", "empty", "zeros", "torn", "kept"}[v]
}

// piece is the unit in which a disk writes or does not.
const piece = 4096

// CrashAt is the folder as it may be found after a power cut that came when
// the log had k operations. Seed chooses among the outcomes of Torn. The
// result records anew, from nothing.
func (f *FS) CrashAt(k int, v Variant, seed uint64) *FS {
	f.mu.Lock()
	log, base := f.log, f.base
	f.mu.Unlock()
	if k < 0 || k > len(log) {
		panic(fmt.Sprintf("record: crash at %d of %d operations", k, len(log)))
	}
	r := replay{disk: base.clone(), pending: map[inode][]Op{}}
	for _, op := range log[:k] {
		r.apply(op)
	}
	r.cut(v, rand.New(rand.NewPCG(seed, uint64(k))))
	return from(r.disk)
}

// replay is what a log made durable, and what it did not.
type replay struct {
	disk    *disk          // the durable state
	pending map[inode][]Op // unsynced operations on each file or directory, in order
}

func (r *replay) apply(op Op) {
	switch op.Kind {
	case Mkdir:
		r.disk.nodes[op.Ino] = &node{dir: true, names: map[string]inode{}}
		r.pending[op.Dir] = append(r.pending[op.Dir], op)
	case Create:
		r.disk.nodes[op.Ino] = &node{}
		r.pending[op.Dir] = append(r.pending[op.Dir], op)
	case Link, Remove:
		r.pending[op.Dir] = append(r.pending[op.Dir], op)
	case Write, Truncate:
		r.pending[op.Ino] = append(r.pending[op.Ino], op)
	case SyncFile, SyncDir:
		if op.Dropped {
			return
		}
		if !op.Failed {
			for _, p := range r.pending[op.Ino] {
				r.keep(p)
			}
		}
		delete(r.pending, op.Ino)
	}
}

// keep makes one pending operation part of the durable state.
func (r *replay) keep(op Op) {
	switch op.Kind {
	case Mkdir, Create, Link:
		r.disk.nodes[op.Dir].names[path.Base(op.Name)] = op.Ino
	case Remove:
		delete(r.disk.nodes[op.Dir].names, path.Base(op.Name))
	case Write:
		r.disk.nodes[op.Ino].write(op.Data, op.Off)
	case Truncate:
		r.disk.nodes[op.Ino].truncate(op.Off)
	}
}

// cut decides what becomes of everything pending.
func (r *replay) cut(v Variant, rnd *rand.Rand) {
	for _, ino := range slices.Sorted(maps.Keys(r.pending)) {
		for _, op := range r.pending[ino] {
			switch {
			case v == Kept:
				r.keep(op)
			case v == Lost:
			case v == Torn:
				r.tear(op, rnd)
			case op.Kind != Write:
				r.keep(op)
			case v == Zeros:
				r.disk.nodes[ino].grow(op.Off + int64(len(op.Data)))
			}
		}
	}
}

// tear keeps op or not, a write piece by piece.
func (r *replay) tear(op Op, rnd *rand.Rand) {
	if op.Kind != Write {
		if rnd.IntN(2) == 0 {
			r.keep(op)
		}
		return
	}
	n := r.disk.nodes[op.Ino]
	for off := op.Off; off < op.Off+int64(len(op.Data)); {
		end := min((off/piece+1)*piece, op.Off+int64(len(op.Data)))
		if rnd.IntN(2) == 0 {
			n.write(op.Data[off-op.Off:end-op.Off], off)
		}
		off = end
	}
	if rnd.IntN(2) == 0 {
		n.grow(op.Off + int64(len(op.Data)))
	}
}
