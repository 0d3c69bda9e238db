//go:build !postgres

package meta_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// A process makes tokens in the database of another that writes all the time:
// both go on, and each sees what the other wrote.
func TestTokenFromAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	db, err := meta.Open(t.Context(), meta.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := db.SaveAnswer(t.Context(), "alice", meta.Idempotency{Key: fmt.Sprint(i), UID: 1}); err != nil {
				t.Errorf("write beside the other process: %v", err)
				return
			}
		}
	})
	var want string
	for i := range 3 {
		token := fmt.Sprintf("t%d", i)
		got := startChild(t, path, token)
		if want == "" {
			id, ierr := db.ServerID(t.Context())
			pepper, perr := db.TokenPepper(t.Context())
			if ierr != nil || perr != nil {
				t.Fatal(ierr, perr)
			}
			want = fmt.Sprintf("%s %x", id, pepper)
		}
		if got != want {
			t.Errorf("the other process saw %q, this one %q", got, want)
		}
		if _, found, err := db.TokenByID(t.Context(), token); err != nil || !found {
			t.Errorf("token %s: %v, %v", token, found, err)
		}
	}
	close(stop)
	wg.Wait()
	if err := db.CheckDatabase(t.Context()); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + "-wal"); !os.IsNotExist(err) {
		t.Errorf("the log is still there: %v", err)
	}
}

// Processes that find no database make one together.
func TestProcessesMakeOneDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	const count = 6
	var seen [count]string
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() { seen[i] = startChild(t, path, fmt.Sprintf("t%d", i)) })
	}
	wg.Wait()
	for _, s := range seen {
		if s != seen[0] || s == "" {
			t.Errorf("one saw %q, another %q", seen[0], s)
		}
	}
	db, err := meta.Open(t.Context(), meta.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	list, err := db.Tokens(t.Context(), protocol.Owner(""))
	if err != nil || len(list) != count {
		t.Errorf("%d tokens of %d, %v", len(list), count, err)
	}
}

// startChild runs child in a process of its own and gives what it printed.
func startChild(t *testing.T, path, token string) string {
	out, _ := startLoggedChild(t, path, token)
	return out
}
