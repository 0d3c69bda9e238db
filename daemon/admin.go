package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// admin serves metrics and profiles to this machine.
type admin struct {
	l    net.Listener
	http *http.Server
	log  *slog.Logger
	done chan struct{} // closed when serve has ended, nil before it began
}

// newAdmin listens on a loopback address or a unix socket; addr "" makes none.
func newAdmin(addr string, reg *prometheus.Registry, log *slog.Logger) (*admin, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := listenAdmin(addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return &admin{l: l, log: log, http: &http.Server{
		Handler: fromThisMachine(mux), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}}, nil
}

// fromThisMachine refuses requests under a foreign name: a web page may have one
// that resolves to this machine.
func fromThisMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		overTCP := r.Context().Value(http.LocalAddrContextKey).(net.Addr).Network() == "tcp"
		if overTCP && host != "localhost" && (err != nil || !ip.IsLoopback()) {
			http.Error(w, "this listener answers to localhost only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func listenAdmin(addr string) (net.Listener, error) {
	path, unix := strings.CutPrefix(addr, "unix:")
	if !unix {
		return net.Listen("tcp", addr)
	}
	// The data lock is held: a socket that is there was left by a crash.
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o600)
}

// serve serves in a goroutine of its own until close.
func (a *admin) serve() {
	a.done = make(chan struct{})
	go func() {
		defer close(a.done)
		if err := a.http.Serve(a.l); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("the admin listener ended", "err", err)
		}
	}()
}

func (a *admin) close() error {
	if a.done == nil {
		return a.l.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := a.http.Shutdown(ctx)
	if err != nil {
		err = a.http.Close()
	}
	<-a.done
	return err
}
