package transfer

import (
	"os"

	"golang.org/x/sys/unix"
)

// beginWriteback has the system begin to write n bytes of f from off to the
// disk, so that less is left for the sync. Whether that works the sync says.
func beginWriteback(f *os.File, off, n int64) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _ = unix.SyncFileRange(int(fd), off, n, unix.SYNC_FILE_RANGE_WRITE) })
}
