//go:build unix

package local

import (
	"io/fs"
	"syscall"
)

// inode numbers a file within its disk, 0 where that is not known.
func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}
