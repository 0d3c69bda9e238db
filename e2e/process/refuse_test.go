package process

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// The exit codes of ospd that these tests look for (WIRE 13).
const (
	exitStore    = 4
	exitFindings = 7
	exitRunning  = 8
)

func TestSecondDaemonOnTheSameDataRefuses(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	f := api.MustFile(api.PutFile("kept", []byte("kept")), http.StatusCreated)
	exit, said := harness.Refused(t, bin, d.Data)
	if exit <= 0 || said == "" {
		t.Errorf("a second ospd left with %d, saying %q", exit, said)
	}
	if exit, out := harness.Fsck(t, bin, d.Data); exit != exitRunning {
		t.Errorf("fsck beside a running daemon left with %d:\n%s", exit, out)
	}
	api.MustHold(f.UID, []byte("kept"))
	stopClean(t, d)
}

func TestStoreThatIsNotOursIsRefused(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	f := api.MustFile(api.PutFile("kept", []byte("kept")), http.StatusCreated)
	other := harness.StartDaemon(t, bin, t.TempDir())
	d.Stop()
	other.Stop()

	blobs, aside := filepath.Join(d.Data, "blobs"), filepath.Join(d.Data, "aside")
	rename(t, blobs, aside)
	refuse := func(what string) {
		t.Helper()
		if exit, said := harness.Refused(t, bin, d.Data); exit != exitStore || said == "" {
			t.Errorf("%s: exit %d, want %d, saying %q", what, exit, exitStore, said)
		}
	}
	refuse("the store's folder is gone")
	if _, err := os.Stat(blobs); err == nil {
		t.Error("a refused start made the folder")
	}
	if err := os.Mkdir(blobs, 0o700); err != nil {
		t.Fatal(err)
	}
	refuse("the store's folder is empty, as of a disk that is not mounted")
	if err := os.Remove(blobs); err != nil {
		t.Fatalf("a refused start left something in the folder: %v", err)
	}
	rename(t, filepath.Join(other.Data, "blobs"), blobs)
	refuse("the store's folder is another installation's")
	rename(t, blobs, filepath.Join(other.Data, "blobs"))
	rename(t, aside, blobs)

	d.Start()
	d.API().MustHold(f.UID, []byte("kept"))
	stopClean(t, d)
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
