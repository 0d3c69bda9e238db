package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"time"
)

// slowly reads a number of URLs at once, each over a connection of its own,
// at a pace and with buffers so small that the server cannot hand an answer to
// the kernel and be done with it.
type slowly struct {
	urls []string
	// piece is read, not more often than every pause.
	piece int
	pause time.Duration
}

// run reads everything; each answer has to be a 200 and complete.
func (s slowly) run(ctx context.Context) error {
	return each(ctx, len(s.urls), len(s.urls), func(ctx context.Context, i int) error {
		target, err := url.Parse(s.urls[i])
		if err != nil {
			return err
		}
		if err := s.read(ctx, target); err != nil {
			return fmt.Errorf("download %d of %d: %w", i+1, len(s.urls), err)
		}
		return nil
	})
}

func (s slowly) read(ctx context.Context, target *url.URL) error {
	dialer := net.Dialer{Control: narrow}
	c, err := dialer.DialContext(ctx, "tcp", target.Host)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(requestFor(target)); err != nil {
		return err
	}
	in := bufio.NewReaderSize(deadlined{c}, s.piece)
	left, _, err := readHead(in)
	if err != nil {
		return err
	}
	next := time.NewTicker(s.pause)
	defer next.Stop()
	for left > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next.C:
		}
		n, err := io.CopyN(io.Discard, in, min(left, int64(s.piece)))
		if err != nil {
			return err
		}
		left -= n
	}
	return nil
}

const receiveBuffer = 16 << 10

// segment is that of Ethernet, with which the kernel holds up to 1 MB of an
// answer for the server. With loopback's 64 KiB it would be up to 4 MB.
const segment = 1448

// narrow makes the buffers of a connection small before it is made, since
// both sides' are sized then.
func narrow(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = errors.Join(
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer),
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, segment))
	})
	return errors.Join(err, failed)
}

// deadlined ends a read for which the server sends nothing.
type deadlined struct{ net.Conn }

func (d deadlined) Read(p []byte) (int, error) {
	if err := d.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return d.Conn.Read(p)
}
