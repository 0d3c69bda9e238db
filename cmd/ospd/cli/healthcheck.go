package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
)

// healthPatience is how long the daemon may take to answer, unless --timeout
// says otherwise.
const healthPatience = 3 * time.Second

// maxHealth bounds what is read of an answer.
const maxHealth = 64 << 10

type healthcheckOptions struct {
	config  *configFlags
	live    bool
	timeout time.Duration
}

func newHealthcheck(e *env) *cobra.Command {
	o := &healthcheckOptions{}
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the daemon of this machine whether requests should be sent to it",
		Long: "Ask the daemon that the same flags, variables and file describe whether requests\n" +
			"should be sent to it (/readyz): its database and its store work, and it does not\n" +
			"drain. With --live only whether it answers at all (/healthz): for a supervisor\n" +
			"that starts a daemon again that is not healthy, which helps no database.\n\n" +
			"Of the configuration only listen is looked at; an address of all interfaces is\n" +
			"asked on loopback.\n\n" +
			"Exit: 0 healthy, 1 not, with the reasons on standard error, 2 the command line or\n" +
			"the configuration is wrong.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runHealthcheck(cmd.Context(), e, o) },
	}
	o.config = addConfigFlags(cmd)
	f := cmd.Flags()
	f.String("listen", daemon.DefaultConfig().Listen, "`HOST:PORT` of the API, as the daemon has it")
	f.BoolVar(&o.live, "live", false, "ask only whether the daemon answers")
	f.DurationVar(&o.timeout, "timeout", healthPatience, "how long the daemon may take to answer")
	return cmd
}

func runHealthcheck(ctx context.Context, e *env, o *healthcheckOptions) error {
	if o.timeout <= 0 {
		return usageError{fmt.Errorf("healthcheck: --timeout %s is not a time to wait", o.timeout)}
	}
	cfg, err := o.config.read(e)
	if err != nil {
		return err
	}
	address, err := reachedAt(cfg.Listen)
	if err != nil {
		return usageError{err}
	}
	path := "/readyz"
	if o.live {
		path = "/healthz"
	}
	ctx, stop := untilSignal(ctx, e.stderr)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("no answer within %s", o.timeout))
	defer cancel()
	if err := askHealth(ctx, "http://"+address+path); err != nil {
		return fmt.Errorf("not healthy: %w", err)
	}
	return nil
}

// reachedAt is where a process of the same machine finds a daemon that listens
// on listen.
func reachedAt(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("healthcheck: listen: %q is not HOST:PORT", listen)
	}
	if port == "0" {
		return "", fmt.Errorf("healthcheck: listen: of %s nobody but the daemon knows the port; say --listen HOST:PORT", listen)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}

// askHealth is nil where the daemon at the URL says that it is well. It asks
// that address alone, over a connection of its own.
func askHealth(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxHealth}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("ask %s: %w", url, err)
	}
	defer func() { _ = answer.Body.Close() }() // what was to be read was read
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxHealth))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", url, err)
	}
	return judgeHealth(url, answer.StatusCode, body)
}

// judgeHealth reads an answer, which is a daemon's or any other program's.
func judgeHealth(url string, status int, body []byte) error {
	var said struct {
		Status  any      `json:"status"` // a number in a problem
		Reasons []string `json:"reasons"`
		// Where it could not even look, it answers as to any request.
		Detail string `json:"detail"`
	}
	err := json.Unmarshal(body, &said)
	if err == nil && status == http.StatusOK && said.Status == "ok" {
		return nil
	}
	if err == nil && len(said.Reasons) > 0 {
		return errors.New(strings.Join(said.Reasons, "\n"))
	}
	if err == nil && said.Detail != "" {
		return fmt.Errorf("%s answers %d: %s", url, status, said.Detail)
	}
	return fmt.Errorf("%s answers %d, and not as ospd does: does another program listen there?", url, status)
}
