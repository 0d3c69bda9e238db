package predecessor

import (
	"bufio"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
)

// announces sends the header of a request and no more of its body than sent, and
// reads the answer. header are lines.
func (c caller) announces(request, header string, length int64, sent []byte) *http.Response {
	c.t.Helper()
	conn := c.dial()
	if header != "" {
		header = strings.ReplaceAll(strings.Trim(header, "\n"), "\n", "\r\n") + "\r\n"
	}
	if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s\r\n", request, conn.RemoteAddr(), length, header); err != nil {
		c.t.Fatal(err)
	}
	if _, err := conn.Write(sent); err != nil {
		c.t.Fatal(err)
	}
	ans, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		c.t.Fatalf("%s: %v", request, err)
	}
	ans.Body.Close()
	return ans
}

// cutOff sends a PUT of a form whose body ends before its length, and gives the
// status of the answer. Nothing of it is open afterwards.
func (c caller) cutOff(path, contentType string, length int, sent []byte) int {
	c.t.Helper()
	conn := c.dial()
	defer conn.Close()
	_, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", path, conn.RemoteAddr(), contentType, length, sent)
	if err == nil {
		err = conn.(*net.TCPConn).CloseWrite()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	ans, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		c.t.Fatalf("cut off: %v", err)
	}
	ans.Body.Close()
	return ans.StatusCode
}

func (c caller) dial() net.Conn {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.s.d.Addr().String())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
		c.t.Fatal(err)
	}
	return conn
}

// kept lists what lies in the stores of a site.
func (s *site) kept(t *testing.T) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(filepath.Join(s.dir, "data", "blobs"), func(path string, _ fs.DirEntry, err error) error {
		fmt.Fprintln(&list, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}

// descriptors is how many files and connections this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if open, err := os.ReadDir(dir); err == nil {
			return len(open)
		}
	}
	t.Fatal("this system does not tell which files are open")
	return 0
}
