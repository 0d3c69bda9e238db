package metatest

import (
	"os"
	"syscall"
)

// InMemory has this process, and those that it starts, make temporary files in
// memory, where there is room for them.
func InMemory() error {
	const (
		shared = "/dev/shm"
		room   = 4 << 30
	)
	const mayWrite = 2 // W_OK
	var fs syscall.Statfs_t
	if syscall.Access(shared, mayWrite) != nil || syscall.Statfs(shared, &fs) != nil || fs.Bavail*uint64(fs.Bsize) < room {
		return nil
	}
	return os.Setenv("TMPDIR", shared)
}
