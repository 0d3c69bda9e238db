//go:build unix

package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// spot names this data folder, locked by this process, on this machine since
// it was started: no copy of the folder has the same. "" where that is not
// known.
func spot(data string) string {
	info, err := os.Stat(filepath.Join(data, lockName))
	if err != nil {
		return ""
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s %d:%d", bootID(), s.Dev, s.Ino)
}
