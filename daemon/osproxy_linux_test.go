package daemon

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/open"
)

// TestOsproxyForetellsMark: a dry run ends where its user may not put a mark into
// the folder, and puts none where he may.
func TestOsproxyForetellsMark(t *testing.T) {
	dir, err := os.MkdirTemp("", "mark") // others pass through its parent
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := local.New(local.Config{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	st := store.New("old", b, store.Options{})
	t.Cleanup(func() { st.Close() })
	for mode, want := range map[fs.FileMode]error{0o555: fs.ErrPermission, 0o777: nil} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		go func() {
			// The thread is another user's, and ends with this function.
			runtime.LockOSThread()
			if os.Getuid() == 0 {
				if _, _, errno := syscall.RawSyscall(syscall.SYS_SETREUID, 65534, ^uintptr(0), 0); errno != 0 {
					got <- errno
					return
				}
			}
			got <- foretellMark(t.Context(), st, open.Config{Type: "local", Path: dir}, "me")
		}()
		if err := <-got; !errors.Is(err, want) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}
