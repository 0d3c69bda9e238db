//go:build unix

package transfer

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// A pipe that nobody writes into can be given up while it is opened.
func TestHashOfAPipeCanBeInterrupted(t *testing.T) {
	path := fifo(t)
	ctx, stop := context.WithCancelCause(t.Context())
	stop(protocol.Errorf(protocol.KindInterrupted, "interrupted"))
	_, err := Hash(ctx, HashRequest{Path: path, Algorithm: AlgorithmDigest}, nil)
	wantKind(t, err, protocol.KindInterrupted)
	// The open that was left behind ends whenever it comes to it: this
	// descriptor, of which no File is made, stays for the life of the test.
	if _, err := syscall.Open(path, syscall.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
}

func TestHashOfAPipe(t *testing.T) {
	path := fifo(t)
	written := make(chan error)
	go func() { written <- os.WriteFile(path, []byte("abc"), 0) }()
	res, err := Hash(t.Context(), HashRequest{Path: path, Algorithm: AlgorithmDigest}, nil)
	if err := <-written; err != nil {
		t.Error(err)
	}
	if err != nil || *res.Digest != digestOf([]byte("abc")) || res.Size != 3 {
		t.Errorf("%+v, %v", res, err)
	}
}

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
