package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/osproxy/osproxy/daemon"
)

// owner is a user other than root, nil where there is no need to be one.
type owner struct{ uid, gid int }

// ownerOf is whose the data folder is that root is about to work in. What root makes
// there the daemon's user could not read. Who made the lock need not be him: where a
// file that the daemon reads is root's, root is.
func ownerOf(cfg daemon.Config) (*owner, error) {
	if os.Geteuid() != 0 || cfg.Data == "" {
		return nil, nil
	}
	files, err := daemon.Belongs(cfg)
	if err != nil {
		return nil, fmt.Errorf("find out whose the data folder is: %w", err)
	}
	var first *owner
	for _, info := range files {
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Uid == 0 {
			return nil, nil
		}
		if first == nil {
			first = &owner{int(st.Uid), int(st.Gid)}
		}
	}
	return first, nil
}

// become has the process act as o, until back is called.
func (o *owner) become() (back func() error, err error) {
	if o == nil {
		return func() error { return nil }, nil
	}
	was, err := syscall.Getgroups()
	if err == nil {
		err = errors.Join(syscall.Setgroups(o.groups()), syscall.Setregid(-1, o.gid), syscall.Setreuid(-1, o.uid))
	}
	if err != nil {
		return nil, fmt.Errorf("act as %s, whose the data folder is: %w; run this as that user", o, err)
	}
	return func() error {
		return errors.Join(syscall.Setreuid(-1, 0), syscall.Setregid(-1, 0), syscall.Setgroups(was))
	}, nil
}

// String names the user, and says the number alone of one who has no name here.
func (o *owner) String() string {
	u, err := user.LookupId(strconv.Itoa(o.uid))
	if err != nil {
		return fmt.Sprintf("user %d", o.uid)
	}
	return fmt.Sprintf("user %s (%d)", u.Username, o.uid)
}

// groups are those that the user has, as far as is known here.
func (o *owner) groups() []int {
	all := []int{o.gid}
	u, err := user.LookupId(strconv.Itoa(o.uid))
	if err != nil {
		return all
	}
	ids, err := u.GroupIds()
	if err != nil {
		return all
	}
	for _, id := range ids {
		if gid, err := strconv.Atoi(id); err == nil && gid != o.gid {
			all = append(all, gid)
		}
	}
	return all
}

// give makes o have a file that root made.
func (o *owner) give(f *os.File) error {
	if o == nil {
		return nil
	}
	return f.Chown(o.uid, o.gid)
}

// folder makes one that o has to itself, where there is none. Those above it that are
// missing are made too, and let others pass: o has to come to it.
func (o *owner) folder(path string) error {
	path = filepath.Clean(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(o.give(f), f.Close())
}
