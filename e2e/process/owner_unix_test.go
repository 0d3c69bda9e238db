//go:build unix

package process

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// nobody is a user whom a service may run as, where root runs the tests: what the
// tests' own user makes is that user's anyway.
const nobody = 65534

// TestWhatCommandsMakeIsTheDaemons: root runs commands in the data folder of a daemon
// that another user runs, and leaves nothing that this one could not read.
func TestWhatCommandsMakeIsTheDaemons(t *testing.T) {
	dir, err := os.MkdirTemp("", "ospd-owner")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	whose := os.Geteuid()
	data, certs := filepath.Join(dir, "data"), filepath.Join(dir, "etc", "certs")
	if err := os.Mkdir(data, 0o711); err != nil {
		t.Fatal(err)
	}
	if whose == 0 {
		whose = nobody
		if err := os.Chown(data, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	authority := filepath.Join(t.TempDir(), "authority") // which root alone can read
	for _, args := range [][]string{
		{"peer-cert", "--ca", authority, "--out", certs},
		{"peer-cert", "--ca", authority},
		{"token", "create", "--owner", "app", "--scopes", "file:read"},
		{"keys", "rotate"}, {"fsck"}, {"gc"}, {"store", "test", "disk"},
	} {
		p := harness.Start(t, nil, "", bin.OSPD, append(args, "--data", data)...)
		if exit := p.Wait(); exit != 0 {
			t.Errorf("%v: exit %d: %s", args, exit, p.Stderr())
		}
	}
	belong(t, data, whose)
	belong(t, certs, whose) // with the folder, which was not there
	if above, err := os.Stat(filepath.Dir(certs)); err != nil || whose != os.Geteuid() && above.Mode().Perm()&0o011 != 0o011 {
		t.Errorf("nobody comes to the certificates: %v, %v", above, err)
	}
}

// belong checks that all of a folder is a user's.
func belong(t *testing.T, root string, whose int) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		seen++
		if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != whose {
			t.Errorf("%s is of user %d, want %d", path, uid, whose)
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("%d seen, %v", seen, err)
	}
}
