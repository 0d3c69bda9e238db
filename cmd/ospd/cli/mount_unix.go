//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"syscall"
)

// isMount reports whether another file system is mounted at path: beside it is
// not where it is.
func isMount(path string) bool {
	here, err := os.Stat(path)
	if err != nil {
		return false
	}
	above, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return false
	}
	a, ok := here.Sys().(*syscall.Stat_t)
	b, also := above.Sys().(*syscall.Stat_t)
	return ok && also && a.Dev != b.Dev
}
