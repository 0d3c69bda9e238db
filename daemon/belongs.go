package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Belongs describes the files that tell whose a data folder is: those that whoever
// serves it has made, the lock first, and of these every one that he has to read.
// Where none is there it is the folder, else the nearest above it that is there.
func Belongs(cfg Config) (found []fs.FileInfo, err error) {
	for _, path := range []string{filepath.Join(cfg.Data, lockName), filepath.Join(cfg.Data, nodeFile), cfg.databasePath()} {
		if found, err = alsoThere(found, path); err != nil {
			return nil, err
		}
	}
	for path := cfg.Data; len(found) == 0; path = filepath.Dir(path) {
		if found, err = alsoThere(found, path); err != nil || path == filepath.Dir(path) {
			return found, err
		}
	}
	return found, nil
}

func alsoThere(found []fs.FileInfo, path string) ([]fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil {
		return append(found, info), nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return found, err
}
