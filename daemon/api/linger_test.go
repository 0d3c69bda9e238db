package api

import (
	"io"
	"net"
	"testing"
)

// TestANodeSeesWhyItWasRefused, also where it has sent more of a body before it looks
// than anybody else is given the time for.
func TestANodeSeesWhyItWasRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, side := range []bool{true, false} {
		sender, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c := &tcpConn{TCPConn: accepted.(*net.TCPConn), side: side}
		c.linger.Store(true)
		closed := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c, "no")
			if err2 := c.Close(); err == nil {
				err = err2
			}
			closed <- err
		}()
		sent, failed := 0, error(nil)
		for piece := make([]byte, 1<<20); failed == nil && sent < 64; sent++ {
			_, failed = sender.Write(piece)
		}
		if side {
			if answer, err := io.ReadAll(sender); failed != nil || err != nil || string(answer) != "no" {
				t.Errorf("after %d MiB, %v, it reads %q, %v", sent, failed, answer, err)
			}
		} else if failed == nil {
			t.Error("anybody can have a refused connection kept with 64 MiB")
		}
		if err := sender.Close(); err != nil {
			t.Error(err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
}
