//go:build unix

package pgtest

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Set gives the server a setting from its next Run on.
func (s *Server) Set(name, value string) { s.settings[name] = value }

// Write writes a file into the server's folder of data, which the server may
// read and nobody else.
func (s *Server) Write(name string, data []byte) error {
	path := filepath.Join(s.data(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil || s.as == nil {
		return err
	}
	return os.Chown(path, int(s.as.Uid), int(s.as.Gid))
}

// Listen runs the server, which does not run, so that it is reached at
// addresses of this machine too, at the port that it gives.
func (s *Server) Listen(ctx context.Context, hosts ...string) (port string, err error) {
	s.Set("listen_addresses", strings.Join(hosts, ","))
	for range 5 { // a port that is free may be taken by others before it is ours
		if port, err = freePort(ctx, hosts[0]); err != nil {
			return "", err
		}
		s.Set("port", port)
		// URL knows one port, which is part of the socket's name.
		usual := filepath.Join(s.dir, ".s.PGSQL.5432")
		if err := os.Remove(usual); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		if err := os.Symlink(".s.PGSQL."+port, usual); err != nil {
			return "", err
		}
		if err = s.Run(ctx); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			return port, err
		}
	}
	return "", err
}

func freePort(ctx context.Context, host string) (string, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return strconv.Itoa(port), l.Close()
}

// Outside is an address of this machine that is not loopback, "" where it has
// none.
func Outside() (string, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String(), nil
		}
	}
	return "", nil
}
