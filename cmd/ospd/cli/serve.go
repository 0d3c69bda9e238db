package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/osproxy/osproxy/daemon"
)

type serveOptions struct {
	config    *configFlags
	readyFile string
	verbose   bool
}

func newServe(e *env) *cobra.Command {
	o := &serveOptions{}
	def := daemon.DefaultConfig()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API until SIGTERM or SIGINT, then drain",
		Long: "Serve the API until SIGTERM or SIGINT, then drain: requests in flight finish,\n" +
			"new ones are told to come back. A second signal exits at once; nothing that\n" +
			"was acknowledged is lost either way.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runServe(cmd.Context(), e, o) },
	}
	o.config = addConfigFlags(cmd)
	f := cmd.Flags()
	f.String("listen", def.Listen, "`HOST:PORT` of the API; port 0 takes a free one")
	f.String("admin-listen", "", "`HOST:PORT` on loopback, or unix:/path, for /metrics and /debug/pprof")
	f.Bool("insecure", false, "listen off loopback although everybody who reaches the listener may do everything")
	f.String("drain-timeout", def.DrainTimeout.String(), "how long requests in flight may take to finish")
	f.StringVar(&o.readyFile, "ready-file", "", "write the URL to `FILE` once serving (for scripts and tests)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log at debug level")
	return cmd
}

func runServe(ctx context.Context, e *env, o *serveOptions) error {
	cfg, err := o.config.load(e)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, e.stderr)
	defer stop()
	log := newLogger(e.stderr, o.verbose)
	d, err := daemon.New(ctx, cfg, version().Version, log)
	if err != nil {
		return err
	}
	log.Info("serving", "url", d.URL(), "data", cfg.Data, "db", cfg.DB, "version", version().Version)
	if err := announce(e, o, cfg, d); err != nil {
		return closing(d, err)
	}
	return d.Run(ctx)
}

func closing(d *daemon.Daemon, err error) error {
	if cerr := d.Close(); cerr != nil {
		return fmt.Errorf("%w; then closing: %w", err, cerr)
	}
	return err
}

// untilSignal is a context that ends with the first SIGTERM or SIGINT. The
// second one exits the process at once, with the code of a drain that did not
// finish.
func untilSignal(ctx context.Context, stderr io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ended:
			return
		}
		select {
		case <-signals:
			fmt.Fprintln(stderr, "ospd: second signal: exiting without draining")
			os.Exit(exitDrain)
		case <-ended:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(ended)
		cancel()
	}
}

// announce tells whoever started the daemon where it is.
func announce(e *env, o *serveOptions, cfg daemon.Config, d *daemon.Daemon) error {
	if o.readyFile != "" {
		if err := writeReady(o.readyFile, d.URL()); err != nil {
			return err
		}
	}
	if isTerminal(e.stdout) {
		fmt.Fprintf(e.stdout, "ospd serves %s\ndata in    %s\ntry        osp --server %s put FILE\n", d.URL(), cfg.Data, d.URL())
	}
	return nil
}

// writeReady makes the file appear whole.
func writeReady(path, url string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".ready-*")
	if err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	_, err = tmp.WriteString(url + "\n")
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	return nil
}

// newLogger logs text for people and JSON for everything else.
func newLogger(w io.Writer, verbose bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: slog.LevelInfo}
	if verbose {
		opts.Level = slog.LevelDebug
	}
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
