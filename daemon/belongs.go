package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Belongs describes the file that tells whose a data folder is: the lock that whoever
// served it first has made, else the folder, else the nearest above it that is there.
func Belongs(cfg Config) (info fs.FileInfo, path string, err error) {
	for path = filepath.Join(cfg.Data, lockName); ; path = filepath.Dir(path) {
		info, err = os.Stat(path)
		if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return info, path, err
		}
	}
}
