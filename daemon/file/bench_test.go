package file

import (
	"net"
	"testing"
)

// BenchmarkGet serves 256 MiB to a reader on the loopback, as the checks of
// each mode leave it.
func BenchmarkGet(b *testing.B) {
	for _, mode := range []VerifyMode{VerifyAlways, VerifyFirst, VerifyOff} {
		b.Run(string(mode), func(b *testing.B) {
			w := newBench(b, "local", mode)
			const size = 64 * bs
			uid := w.put(noise(size))
			conn := drained(b)
			b.SetBytes(size)
			for b.Loop() {
				c, err := w.svc.Open(b.Context(), owner, uid)
				must(b, err)
				must(b, c.WriteRange(b.Context(), conn, 0, size))
				must(b, c.Close())
			}
		})
	}
}

// drained is a connection of which the other end reads everything.
func drained(b *testing.B) net.Conn {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 1<<20)
		for {
			if _, err := conn.Read(buf); err != nil {
				return
			}
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	must(b, err)
	b.Cleanup(func() {
		_ = conn.Close()
		<-done
		_ = l.Close()
	})
	return conn
}
