package harness

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Slow takes a file piece by piece, over a connection on which hardly anything is
// under way.
type Slow struct {
	conn net.Conn
	body io.Reader
	hash hash.Hash
	left int64
}

// OpenSlow asks the daemon at an address, or a URL, for a file of that size, and
// reads no more than the header.
func OpenSlow(server string, uid protocol.UID, size int64) (*Slow, error) {
	address := strings.TrimPrefix(server, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Slow{conn: conn, hash: sha256.New(), left: size}
	if err := s.ask(address, uid); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *Slow) ask(address string, uid protocol.UID) error {
	err := s.conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	if err == nil {
		err = s.conn.SetDeadline(time.Now().Add(4 * Patience))
	}
	if err == nil {
		_, err = fmt.Fprintf(s.conn, "GET /v1/files/%s/content HTTP/1.1\r\nHost: %s\r\n\r\n", uid, address)
	}
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(s.conn, 4096), nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || resp.ContentLength != s.left {
		return fmt.Errorf("answered %s with %d bytes", resp.Status, resp.ContentLength)
	}
	s.body = io.TeeReader(resp.Body, s.hash)
	return nil
}

// Take reads the next n bytes.
func (s *Slow) Take(n int64) error {
	m, err := io.CopyN(io.Discard, s.body, n)
	s.left -= m
	return err
}

// Rest reads all that was not taken, which makes the whole file the one of that
// digest.
func (s *Slow) Rest(want [sha256.Size]byte) error {
	if err := s.Take(s.left); err != nil {
		return fmt.Errorf("%d bytes before the end: %w", s.left, err)
	}
	if [sha256.Size]byte(s.hash.Sum(nil)) != want {
		return errors.New("other bytes came")
	}
	return nil
}

// Close gives up what was not taken.
func (s *Slow) Close() { _ = s.conn.Close() }

// Slowly has so many read a file at once, no faster than the slowest of them, and
// compares what a few of them get. Where all are in its middle, it calls middle,
// if there is one.
func Slowly(t testing.TB, server string, uid protocol.UID, content []byte, readers int, middle func()) {
	t.Helper()
	const piece = 64 << 10
	all := make([]*Slow, readers)
	defer func() {
		for _, s := range all {
			if s != nil {
				s.Close()
			}
		}
	}()
	size, want := int64(len(content)), sha256.Sum256(content)
	each(t, readers, func(i int) (err error) {
		all[i], err = OpenSlow(server, uid, size)
		return err
	})
	for range 4 {
		each(t, readers, func(i int) error { return all[i].Take(piece) })
	}
	if middle != nil {
		middle()
	}
	each(t, readers, func(i int) error {
		defer all[i].Close() // what stands still longer is no part of the test
		if i%50 != 0 {
			return nil
		}
		return all[i].Rest(want)
	})
}

// each does it n times at once.
func each(t testing.TB, n int, do func(i int) error) {
	t.Helper()
	var running sync.WaitGroup
	errs := make([]error, n)
	for i := range errs {
		running.Go(func() { errs[i] = do(i) })
	}
	running.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("reader %d: %v", i, err)
		}
	}
}
