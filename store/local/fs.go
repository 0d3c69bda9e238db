package local

import (
	"io"
	"io/fs"
	"os"
)

// FS is the file layer under the backend: every byte and name of the store
// goes through it, so that a recording one can replay power cuts. Names are
// slash-separated and relative to the store's folder; "." is the folder.
// Errors satisfy errors.Is with fs.ErrNotExist, fs.ErrExist and syscall's
// ENOSPC and EDQUOT. All methods are safe for concurrent use.
type FS interface {
	// MakeRoot makes the store's folder, and missing parents, durably.
	MakeRoot() error
	// HasRoot is nil if the store's folder is there, else fs.ErrNotExist.
	HasRoot() error
	// Open opens a file with the O_ flags of package os, mode 0600.
	Open(name string, flag int) (File, error)
	// OpenOS opens a file for reading as a file of the operating system.
	OpenOS(name string) (*os.File, error)
	// Mkdir makes a directory, mode 0700.
	Mkdir(name string) error
	// Link gives a file a second name and never replaces one.
	Link(oldname, newname string) error
	// Remove removes a file.
	Remove(name string) error
	// Stat describes name itself, not what a symbolic link leads to.
	Stat(name string) (fs.FileInfo, error)
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Free is the room left, in bytes, for an unprivileged writer.
	Free() (int64, error)
	// Close releases the folder.
	Close() error
}

// File is an open file of an FS.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Size is the file's length now.
	Size() (int64, error)
	// Flush starts writing the range to the disk and does not wait.
	Flush(off, n int64)
	// Truncate cuts the file to size bytes.
	Truncate(size int64) error
	// Sync makes the file's bytes and length durable (fdatasync).
	Sync() error
	Close() error
}
