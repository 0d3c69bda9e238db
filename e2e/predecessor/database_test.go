package predecessor

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon"
)

// It switched off TLS to its database, whatever was configured.
func TestA23TLSOfTheDatabaseIsTheOperators(t *testing.T) {
	const cancelRequest, sslRequest, version3 = 80877102, 80877103, 196608
	for mode, want := range map[string]uint32{"require": sslRequest, "verify-full": sslRequest, "disable": version3} {
		server := &askedServer{t: t, first: make(chan uint32, 64)}
		cfg := daemon.DefaultConfig()
		cfg.Listen, cfg.Data = "127.0.0.1:0", t.TempDir()
		cfg.DB = daemon.DatabaseAt("postgres://user:secret@" + server.listen() + "/name?sslmode=" + mode)
		ctx, cancel := context.WithCancel(t.Context())
		var begun []uint32
		done := make(chan error, 1)
		go func() {
			d, err := daemon.New(ctx, cfg, "test", slog.New(slog.DiscardHandler))
			if err == nil {
				err = d.Close()
			}
			done <- err
		}()
		select {
		case code := <-server.first:
			begun = append(begun, code)
		case err := <-done:
			t.Fatalf("sslmode=%s: the server was not asked: %v", mode, err)
		}
		cancel()
		if err := <-done; err == nil {
			t.Errorf("%s: it runs without a database", mode)
		}
		server.l.Close()
		for len(server.first) > 0 {
			begun = append(begun, <-server.first)
		}
		for _, code := range begun {
			if code == cancelRequest && mode == "disable" {
				continue // of what was begun when the daemon was ended
			}
			if code != want {
				t.Errorf("sslmode=%s begins with %d, want %d", mode, code, want)
			}
		}
	}
}

// askedServer speaks no TLS, and keeps what each connection begins with.
type askedServer struct {
	t     *testing.T
	l     net.Listener
	first chan uint32
}

func (s *askedServer) listen() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.l = l
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.refuse(c)
		}
	}()
	s.t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return l.Addr().String()
}

// refuse answers that there is no TLS, after which nothing more may come.
func (s *askedServer) refuse(c net.Conn) {
	defer c.Close()
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return
	}
	s.first <- binary.BigEndian.Uint32(head[4:])
	if _, err := c.Write([]byte("N")); err != nil {
		return
	}
	if n, _ := io.ReadFull(c, head[:]); n > 0 && binary.BigEndian.Uint32(head[4:8]) == 196608 {
		s.first <- 196608
	}
}

// One of its databases was opened and never had tables.
func TestS05OnlyDatabasesThatWorkAreTaken(t *testing.T) {
	for _, address := range []string{"mysql://user@127.0.0.1/name", "mariadb://x", "sqlserver://x", "name"} {
		cfg := daemon.DefaultConfig()
		cfg.DB, cfg.Data = daemon.DatabaseAt(address), t.TempDir()
		err := cfg.Complete()
		if err == nil || !strings.Contains(err.Error(), "sqlite") || !strings.Contains(err.Error(), "Postgres") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
