package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

// globals are the flags every verb has.
type globals struct {
	profile     string
	server      string
	json        bool
	quiet       bool
	verbose     int
	progress    string
	interval    time.Duration
	timeout     time.Duration
	retries     int
	retryFor    time.Duration
	connections int
	bwlimit     string
	// up and down are what bwlimit says, in bytes a second; 0 is no limit.
	up, down int64
}

// Words of --progress.
const (
	progressAuto  = "auto"
	progressBar   = "bar"
	progressPlain = "plain"
	progressNone  = "none"
)

// Bounds of the numbers a user may give. They keep a typing error from
// opening thousands of connections; no honest use comes near them.
const (
	maxConnections = 256
	maxRetries     = 1000
)

func (g *globals) add(f *pflag.FlagSet) {
	f.StringVarP(&g.profile, "profile", "p", "", "`NAME` of the profile to take server and token from (see osp profile)")
	f.StringVar(&g.server, "server", client.DefaultServer, "`URL` of the daemon")
	f.BoolVar(&g.json, "json", false, "print results as JSON, one object a line")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "print only what a script needs: uids, paths, errors")
	f.CountVarP(&g.verbose, "verbose", "v", "say on standard error how each file was done; -vv: every request too")
	f.StringVar(&g.progress, "progress", progressAuto, "`HOW` to show progress: auto, bar, plain or none")
	f.DurationVar(&g.interval, "progress-interval", 10*time.Second, "least `TIME` between two plain progress lines")
	f.DurationVar(&g.timeout, "timeout", 0, "`TIME` after which to give up, keeping state (0: never)")
	f.IntVar(&g.retries, "retries", 8, "how often one request is tried again")
	f.DurationVar(&g.retryFor, "retry-max-elapsed", transfer.DefaultRetryMaxElapsed, "`TIME` for which one request is tried again")
	f.IntVar(&g.connections, "connections", 16, "requests in flight at once, over all files")
	f.StringVar(&g.bwlimit, "bwlimit", rateOff, "`RATE` in bytes a second, over all connections: 20M, 1.5MiB, UP:DOWN or off")
}

// check refuses values that parse but mean nothing.
func (g *globals) check() error {
	switch g.progress {
	case progressAuto, progressBar, progressPlain, progressNone:
	default:
		return usagef("--progress is auto, bar, plain or none, not %q", g.progress)
	}
	switch {
	case g.interval <= 0:
		return usagef("--progress-interval must be more than 0")
	case g.timeout < 0:
		return usagef("--timeout must not be negative")
	case g.retries < 0 || g.retries > maxRetries:
		return usagef("--retries must be 0 to %d", maxRetries)
	case g.retryFor <= 0:
		return usagef("--retry-max-elapsed must be more than 0; --retries 0 tries nothing again")
	}
	if err := between("--connections", g.connections, maxConnections); err != nil {
		return err
	}
	var err error
	g.up, g.down, err = rates(g.bwlimit)
	return err
}

// addFailIfEmpty adds the flag with which a verb that found nothing to work on
// ends with exitNothing.
func addFailIfEmpty(f *pflag.FlagSet, fail *bool) {
	f.BoolVar(fail, "fail-if-empty", false, "exit 10, not 0, when there is nothing to do")
}

// between refuses a number outside 1 to most.
func between(flag string, n, most int) error {
	if n < 1 || n > most {
		return usagef("%s must be 1 to %d", flag, most)
	}
	return nil
}

// usagef makes a usage error: exit 2, nothing was done.
func usagef(format string, args ...any) *protocol.Error {
	return protocol.Errorf(protocol.KindUsage, format, args...)
}

// environment is the process's environment as it was given to Main.
type environment map[string]string

func parseEnvironment(list []string) environment {
	env := environment{}
	for _, kv := range list {
		// Windows keeps variables such as "=C:" that begin with the sign.
		if name, value, ok := strings.Cut(kv, "="); ok && name != "" {
			env[name] = value
		}
	}
	return env
}

// variable is the name under which a flag is read from the environment.
func variable(flag string) string {
	return "OSP_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment is a flag to which it matters where a value comes from.
type fromEnvironment interface{ SetFromEnvironment(value string) }

// apply sets every flag that was not given on the command line from its
// variable, where that is set and not empty. A flag that takes several values
// has one a line. A value that does not parse names its variable.
func (e environment) apply(flags *pflag.FlagSet) error {
	var bad error
	flags.VisitAll(func(f *pflag.Flag) {
		value := e[variable(f.Name)]
		if bad != nil || f.Changed || value == "" || notVariable(f.Name) {
			return
		}
		if ranked, ok := f.Value.(fromEnvironment); ok {
			ranked.SetFromEnvironment(value)
			return
		}
		values := []string{value}
		if _, several := f.Value.(pflag.SliceValue); several {
			values = strings.Split(strings.TrimRight(value, "\n"), "\n")
		}
		for _, v := range values {
			if err := flags.Set(f.Name, v); err != nil {
				bad = usagef("%s: %q is not a value of --%s", variable(f.Name), v, f.Name)
				return
			}
		}
	})
	return bad
}

// notVariable are the flags that are commands in themselves: cobra adds them.
func notVariable(flag string) bool { return flag == "help" || flag == "version" }

// wantsJSON finds out whether --json was asked for when the command line could
// not be parsed: whoever reads the output as JSON must get a summary even then.
func wantsJSON(args []string, env environment) bool {
	want, _ := strconv.ParseBool(env["OSP_JSON"])
	for _, a := range args {
		if a == "--" {
			break
		}
		if a == "--json" {
			want = true
		} else if v, ok := strings.CutPrefix(a, "--json="); ok {
			want, _ = strconv.ParseBool(v)
		}
	}
	return want
}

// expiryOf reads when something expires: a time in RFC 3339, or how long from
// now on as a Go duration or a number of days ("30d"). "" is never. what is how
// messages call it.
func expiryOf(what, s string, now time.Time) (*protocol.Time, error) {
	if s == "" {
		return nil, nil
	}
	bad := usagef("%s is a time like 2026-11-22T10:00:00Z or a duration like 24h or 30d, not %q", what, s)
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		d, err := time.ParseDuration(s)
		if days, isDays := strings.CutSuffix(s, "d"); isDays {
			var n int
			n, err = strconv.Atoi(days)
			if n > 36500 {
				return nil, bad
			}
			d = time.Duration(n) * 24 * time.Hour
		}
		if err != nil {
			return nil, bad
		}
		at = now.Add(d)
	}
	if !at.After(now) {
		return nil, usagef("%s %s is in the past", what, s)
	}
	t := protocol.TimeOf(at)
	return &t, nil
}

// metadata reads the values of --meta.
func metadata(pairs []string) (map[string]string, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	meta := map[string]string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usagef("--meta is KEY=VALUE, not %q", pair)
		}
		if _, twice := meta[key]; twice {
			return nil, usagef("--meta gives %q twice", key)
		}
		meta[key] = value
	}
	return meta, nil
}
