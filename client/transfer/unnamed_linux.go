package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// descriptors is where a file without a name can be found, to be given one.
const descriptors = "/proc/self/fd"

// unnamed is a file in the target's folder that has no name yet: with the
// process that writes it, it is gone.
type unnamed struct {
	*os.File
	folder *os.File
}

// openUnnamed makes one, or gives nil where the system or the file system
// cannot, or could not name it later.
func openUnnamed(t target) *unnamed {
	if _, err := os.Stat(descriptors); err != nil {
		return nil
	}
	dir := filepath.Dir(t.name)
	folder, err := t.root.Open(dir)
	if err != nil {
		return nil
	}
	f, err := t.root.OpenFile(dir, unix.O_TMPFILE|os.O_RDWR, 0o666)
	if err != nil {
		folder.Close()
		return nil
	}
	return &unnamed{f, folder}
}

// link gives the file, whose bytes are synced, its name, unless that is taken
// (fs.ErrExist). The file is to be synced once more after it: on the disk it
// would have no name otherwise, where the folder does not bring that along.
func (u *unnamed) link(name string) error {
	from := filepath.Join(descriptors, strconv.Itoa(int(u.Fd())))
	return unix.Linkat(unix.AT_FDCWD, from, int(u.folder.Fd()), filepath.Base(name), unix.AT_SYMLINK_FOLLOW)
}

func (u *unnamed) close() error { return errors.Join(u.File.Close(), u.folder.Close()) }
