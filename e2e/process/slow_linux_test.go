package process

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

const (
	slowReaders = 1000
	// slowPiece is what each reader takes at a time.
	slowPiece = 64 << 10
	// mostMemory is the target for the daemon's peak at that many downloads,
	// and sameMemory what two peaks may differ in that are the same: a garbage
	// collection here or there.
	mostMemory = 96 << 20
	sameMemory = 16 << 20
)

// TestMemoryIsFlatOverSlowDownloads: what 1,000 downloads that hardly move cost
// the daemon does not depend on the size of the file.
func TestMemoryIsFlatOverSlowDownloads(t *testing.T) {
	needDescriptors(t, 2*slowReaders+200)
	small := slowPeak(t, protocol.BlockSize)
	large := slowPeak(t, 16*protocol.BlockSize)
	t.Logf("peak with files of 4 MiB: %.1f MB, of 64 MiB: %.1f MB", float64(small)/1e6, float64(large)/1e6)
	if most := max(small, large); most > mostMemory {
		t.Errorf("the daemon took %d bytes, more than %d", most, mostMemory)
	}
	if large > small+sameMemory {
		t.Errorf("the daemon took %d bytes for files of 4 MiB and %d for files of 64 MiB", small, large)
	}
}

// slowPeak is the most memory a daemon takes while so many readers are all in
// the middle of a file of that size.
func slowPeak(t *testing.T, size int64) int64 {
	d := harness.StartDaemon(t, bin, t.TempDir())
	content := harness.Content(uint64(size), size)
	uid := d.API().MustUpload("slow", content).UID
	if exit := d.Stop(); exit != 0 {
		t.Fatalf("exit %d:\n%s", exit, d.Stderr())
	}
	d.Start() // what the upload took is no part of it

	readers := make([]*slowReader, slowReaders)
	each(readers, func(i int) error {
		r, err := openSlow(d.URL, uid, size)
		readers[i] = r
		return err
	}, t)
	for range 4 {
		each(readers, func(i int) error { return readers[i].take(slowPiece) }, t)
	}
	peak := harness.PeakMemory(t, d.PID())
	want := sha256.Sum256(content)
	each(readers, func(i int) error {
		defer readers[i].conn.Close()
		if i%100 != 0 {
			return nil
		}
		if err := readers[i].take(size - readers[i].taken); err != nil {
			return err
		}
		if readers[i].sum() != want {
			return fmt.Errorf("reader %d got other bytes", i)
		}
		return nil
	}, t)
	stopClean(t, d)
	return peak
}

// each does the same for every reader at once.
func each(readers []*slowReader, do func(i int) error, t *testing.T) {
	t.Helper()
	var running sync.WaitGroup
	errs := make([]error, len(readers))
	for i := range readers {
		running.Go(func() { errs[i] = do(i) })
	}
	running.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("reader %d: %v", i, err)
		}
	}
}

// slowReader takes a file piece by piece, over a connection on which hardly
// anything is under way.
type slowReader struct {
	conn  net.Conn
	body  io.Reader
	hash  interface{ Sum([]byte) []byte }
	taken int64
}

// openSlow asks for the file and reads no more than the header.
func openSlow(url string, uid protocol.UID, size int64) (*slowReader, error) {
	address := strings.TrimPrefix(url, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	err = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(4 * harness.Patience))
	}
	if err == nil {
		_, err = fmt.Fprintf(conn, "GET /v1/files/%s/content HTTP/1.1\r\nHost: %s\r\n\r\n", uid, address)
	}
	if err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 4096), nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || resp.ContentLength != size {
		return nil, fmt.Errorf("answered %s with %d bytes", resp.Status, resp.ContentLength)
	}
	h := sha256.New()
	return &slowReader{conn: conn, hash: h, body: io.TeeReader(resp.Body, h)}, nil
}

func (r *slowReader) take(n int64) error {
	m, err := io.CopyN(io.Discard, r.body, n)
	r.taken += m
	return err
}

func (r *slowReader) sum() [32]byte { return [32]byte(r.hash.Sum(nil)) }

// needDescriptors raises the limit of open files, for this process and those it
// starts.
func needDescriptors(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < n {
		t.Fatalf("this test needs %d open files, and %d are allowed: ulimit -Hn %d", n, limit.Max, n)
	}
	if limit.Cur < n {
		limit.Cur = n
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}
}
