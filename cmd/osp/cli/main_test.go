package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// osp runs one command line in a session of its own, away from the state of
// whoever runs the tests.
func osp(ctx context.Context, t *testing.T, env environment, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("OSP_HOME", t.TempDir())
	var out, errs bytes.Buffer
	s := newSession(strings.NewReader(""), &out, &errs, env)
	code = s.run(ctx, args)
	return code, out.String(), errs.String()
}

func TestWrongUsageDoesNothing(t *testing.T) {
	tests := []struct {
		name string
		env  environment
		args []string
		want string // in the message
	}{
		{"no verb", nil, nil, "osp: a verb is missing"},
		{"unknown verb", nil, []string{"frob"}, `there is no verb "frob"`},
		{"verb nearly right", nil, []string{"putt"}, "try:  osp put"},
		{"unknown flag", nil, []string{"put", "--frob", "x"}, "osp: put: unknown flag: --frob"},
		{"flag without value", nil, []string{"put", "x", "--name"}, "--name"},
		{"no file", nil, []string{"put"}, "FILE is missing"},
		{"hash of nothing", nil, []string{"hash"}, "FILE is missing"},
		{"unknown hash", nil, []string{"hash", "a", "--algo", "crc"}, "--algo is content_hash, sha256 or md5"},
		{"hash of stdin twice", nil, []string{"hash", "-", "a", "-"}, "given twice"},
		{"verify of nothing", nil, []string{"verify"}, "UID is missing"},
		{"verify of three", nil, []string{"verify", "7", "a", "b"}, "too many arguments"},
		{"verify of stdin", nil, []string{"verify", "7", "-"}, "cannot be compared"},
		{"no uid", nil, []string{"get"}, "UID or PREFIX is missing"},
		{"bad uid", nil, []string{"get", "007"}, `"007" is not a uid`},
		{"second uid bad", nil, []string{"rm", "-y", "7", "x"}, `"x" is not a uid`},
		{"stdin twice", nil, []string{"put", "-", "-"}, "given twice"},
		{"name for two", nil, []string{"put", "a", "b", "--name", "n"}, "--name names one file"},
		{"name for a folder", nil, []string{"put", "-r", "a", "--name", "n"}, "--name names one file"},
		{"name for a list", nil, []string{"put", "--files-from", "a", "--name", "n"}, "--name names one file"},
		{"list and file from stdin", nil, []string{"put", "-", "--files-from", "-"}, "given twice"},
		{"NUL without a list", nil, []string{"put", "a", "-0"}, "--files-from"},
		{"list that is not there", nil, []string{"put", "--files-from", "nowhere"}, "the list of files cannot be read"},
		{"bad pattern", nil, []string{"put", "a", "--exclude", "a["}, `--exclude: "a[" is no pattern: a [ is not closed`},
		{"bad pattern from the environment", environment{"OSP_INCLUDE": "a\nb\\"}, []string{"put", "a"}, "--include: "},
		{"patterns that are not there", nil, []string{"put", "a", "--exclude-from", "nowhere"}, "--exclude-from: open nowhere"},
		{"meta without value", nil, []string{"put", "a", "--meta", "k"}, "--meta is KEY=VALUE"},
		{"meta twice", nil, []string{"put", "a", "--meta", "k=1", "--meta", "k=2"}, "twice"},
		{"expires in words", nil, []string{"put", "a", "--expires", "soon"}, "--expires is a time"},
		{"expired already", nil, []string{"put", "a", "--expires", "2020-01-01T00:00:00Z"}, "in the past"},
		{"no jobs", nil, []string{"put", "a", "-j", "0"}, "--jobs must be 1 to 64"},
		{"too many parts", nil, []string{"get", "7", "-c", "65"}, "--parts must be 1 to 64"},
		{"too many connections", nil, []string{"put", "a", "--connections", "1000"}, "--connections"},
		{"negative retries", nil, []string{"put", "a", "--retries", "-1"}, "--retries"},
		{"no time for retries", nil, []string{"put", "a", "--retry-max-elapsed", "0s"}, "--retry-max-elapsed must be more than 0"},
		{"unknown rate", nil, []string{"put", "a", "--bwlimit", "fast"}, "--bwlimit is a number of bytes a second"},
		{"rate without a unit", nil, []string{"get", "7", "--bwlimit", "20"}, "--bwlimit must be 8.0 KiB to"},
		{"half a pair of rates", nil, []string{"get", "7", "--bwlimit", "1M:"}, "--bwlimit"},
		{"bad rate in variable", environment{"OSP_BWLIMIT": "x:off"}, []string{"put", "a"}, "--bwlimit"},
		{"negative timeout", nil, []string{"put", "a", "--timeout", "-1s"}, "--timeout"},
		{"no interval", nil, []string{"put", "a", "--progress-interval", "0s"}, "--progress-interval"},
		{"unknown progress", nil, []string{"put", "a", "--progress", "disco"}, `not "disco"`},
		{"unknown if-exists", nil, []string{"get", "7", "--if-exists", "maybe"}, "--if-exists is"},
		{"contradiction", nil, []string{"get", "7", "-f", "--if-exists", "skip"}, "contradict"},
		{"no such folder", nil, []string{"get", "7", "-o", "nowhere/"}, "not a folder"},
		{"SHA-256 too short", nil, []string{"get", "7", "--sha256", "abcd"}, "--sha256 is a SHA-256 in 64 hexadecimal digits"},
		{"SHA-256 not hex", nil, []string{"get", "7", "--sha256", strings.Repeat("g", 64)}, "--sha256 is a SHA-256 in 64 hexadecimal digits"},
		{"SHA-256 of two", nil, []string{"get", "7", "8", "--sha256", strings.Repeat("a", 64)}, "--sha256 is of one file, but 2 are given"},
		{"SHA-256 for put", nil, []string{"put", "a", "--sha256=" + strings.Repeat("a", 64)}, "--sha256"},
		{"two into one file", nil, []string{"get", "7", "8", "-o", "nowhere"}, "not a folder"},
		{"tree to stdout", nil, []string{"get", "-r", "a", "-o", "-"}, "-o is a folder"},
		{"sum of a tree", nil, []string{"get", "-r", "a", "--sha256", strings.Repeat("0", 64)}, "--sha256 is of one file"},
		{"tree and if-exists", nil, []string{"get", "-r", "a", "--if-exists", "maybe"}, "--if-exists is"},
		{"no prefix", nil, []string{"get", "-r"}, "UID or PREFIX is missing"},
		{"prefix that is no name", nil, []string{"get", "-r", "../a"}, "this name is not allowed"},
		{"empty prefix", nil, []string{"get", "-r", ""}, "it is empty"},
		{"json of an answer", nil, []string{"api", "GET", "/", "--json"}, "--json has no meaning"},
		{"a request to nowhere", nil, []string{"api", "GET"}, "say METHOD and PATH"},
		{"two bodies", nil, []string{"api", "PUT", "/", "-d", "a", "-f", "a=b"}, "one body, but there are --data and --field"},
		{"a body from the environment", environment{"OSP_DATA": "a"}, []string{"api", "GET", "/"}, "GET has no body"},
		{"a length without a body", nil, []string{"api", "PUT", "/", "-H", "Content-Length: 3"}, "of no use without a body"},
		{"a length that is known", nil, []string{"api", "PUT", "/", "-H", "Content-Length: 3", "-d", "abc"}, "is known"},
		{"a length that is none", nil, []string{"api", "PUT", "/", "-H", "Content-Length: x", "--input", "-"}, "is a number of bytes"},
		{"json of bytes", nil, []string{"cat", "7", "--json"}, "--json cannot"},
		{"json of bytes by get", nil, []string{"get", "7", "-o", "-", "--json"}, "--json cannot"},
		{"rm with nobody to ask", nil, []string{"rm", "7"}, "try:  Add -y."},
		{"resume of three", nil, []string{"resume", "a", "b", "c"}, "too many arguments"},
		{"transfers without verb", nil, []string{"transfers"}, "a verb is missing"},
		{"transfers unknown verb", nil, []string{"transfers", "frob"}, `"transfers frob"`},
		{"bad transfer id", nil, []string{"transfers", "show", "x"}, "not the id of a transfer"},
		{"negative age", nil, []string{"transfers", "prune", "--older-than", "-1h"}, "--older-than"},
		{"server is no URL", nil, []string{"put", "a", "--server", "localhost"}, "URL"},
		{"help about nothing", nil, []string{"help", "frob"}, `no help about "frob"`},
		{"bad variable", environment{"OSP_TIMEOUT": "soon"}, []string{"put", "a"}, `OSP_TIMEOUT: "soon" is not a value of --timeout`},
		{"bad switch", environment{"OSP_QUIET": "perhaps"}, []string{"put", "a"}, "OSP_QUIET"},
		{"bad count", environment{"OSP_VERBOSE": "much"}, []string{"put", "a"}, "OSP_VERBOSE"},
		{"value refused", environment{"OSP_PROGRESS": "disco"}, []string{"put", "a"}, "disco"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := osp(t.Context(), t, tt.env, tt.args...)
			if code != exitUsage || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit %d, stderr %q; want exit 2 and %q", code, stderr, tt.want)
			}
			if !strings.HasPrefix(stderr, "osp: ") || strings.Contains(stderr, "osp::") {
				t.Errorf("stderr %q", stderr)
			}
			jsonAsked := strings.Contains(strings.Join(tt.args, " "), "--json")
			if !jsonAsked && stdout != "" {
				t.Errorf("stdout %q, want nothing", stdout)
			}
		})
	}
}

func TestFailureToStartStillGivesASummary(t *testing.T) {
	const want = `{"v":1,"type":"summary","ok":false,"exit":2,"items":0,"done":0,"failed":0,"bytes":0,` +
		`"sent_bytes":0,"resumed_bytes":0,"instant_bytes":0,"elapsed_ms":`
	tests := []struct {
		name string
		env  environment
		args []string
		want string
	}{
		{"bad flag before --json", nil, []string{"put", "--frob", "--json"}, want},
		{"bad flag after --json", nil, []string{"--json", "put", "--frob"}, want},
		{"missing argument", nil, []string{"put", "--json=true"}, want},
		{"unknown verb", nil, []string{"frob", "--json"}, want},
		{"bad variable", environment{"OSP_JSON": "1", "OSP_RETRIES": "x"}, []string{"put", "a"}, want},
		{"bad json variable", environment{"OSP_JSON": "si"}, []string{"put", "a"}, ""},
		{"json switched off", environment{"OSP_JSON": "1"}, []string{"put", "--json=false", "--frob"}, ""},
		{"after the end of flags", nil, []string{"put", "--frob", "--", "--json"}, ""},
		{"verb that prints objects", nil, []string{"stat", "--json"}, ""},
		{"rm off a terminal", nil, []string{"rm", "7", "--json"}, want},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, _ := osp(t.Context(), t, tt.env, tt.args...)
			if code != exitUsage || !strings.HasPrefix(stdout, tt.want) || strings.Count(stdout, "\n") != strings.Count(tt.want, "{") {
				t.Errorf("exit %d, stdout %q, want exit 2 and %q", code, stdout, tt.want)
			}
		})
	}
}

func TestFlagBeforeVariableBeforeDefault(t *testing.T) {
	tests := []struct {
		name string
		env  environment
		args []string
		want string // what the refusal of --progress quotes
	}{
		{"flag wins", environment{"OSP_PROGRESS": "env"}, []string{"--progress", "flag"}, `"flag"`},
		{"variable", environment{"OSP_PROGRESS": "env"}, nil, `"env"`},
		{"empty variable is none", environment{"OSP_PROGRESS": "", "OSP_IF_EXISTS": "env"}, nil, "--if-exists"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, stderr := osp(t.Context(), t, tt.env, append([]string{"get", "7"}, tt.args...)...)
			if !strings.Contains(stderr, tt.want) {
				t.Errorf("stderr %q, want %s", stderr, tt.want)
			}
		})
	}
}

func TestServerFromEnvironment(t *testing.T) {
	code, _, stderr := osp(t.Context(), t, environment{"OSP_SERVER": "http://127.0.0.1:1", "OSP_RETRIES": "0"}, "stat", "7")
	if code != 5 || !strings.Contains(stderr, "127.0.0.1:1") {
		t.Errorf("exit %d, stderr %q, want 5 and the address of the variable", code, stderr)
	}
}

func TestAStoppedVerbSaysWhy(t *testing.T) {
	tests := []struct {
		reason *protocol.Error
		code   int
	}{
		{stopReason(syscall.SIGINT), 130},
		{stopReason(syscall.SIGTERM), 143},
	}
	for _, tt := range tests {
		ctx, stop := context.WithCancelCause(t.Context())
		stop(tt.reason)
		code, stdout, stderr := osp(ctx, t, nil, "put", "a", "b", "--json")
		if code != tt.code || strings.Count(stdout, `"type":"result"`) != 2 || stderr != "" {
			t.Errorf("exit %d, stdout %q, stderr %q, want exit %d and two results", code, stdout, stderr, tt.code)
		}
	}
	if code, _, stderr := osp(t.Context(), t, nil, "stat", "7", "--timeout", "1ns"); code != 124 || !strings.Contains(stderr, "--timeout") {
		t.Errorf("exit %d, stderr %q, want 124", code, stderr)
	}
}

func TestResultsThatCannotBeWrittenAreAFailure(t *testing.T) {
	var errs bytes.Buffer
	s := newSession(strings.NewReader(""), failing{}, &errs, nil)
	if code := s.run(t.Context(), []string{"version"}); code != exitOther || !strings.Contains(errs.String(), "disk full") {
		t.Errorf("exit %d, stderr %q, want 1 and the reason", code, errs.String())
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestSecondSignalDoesNotWait(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	signals := make(chan os.Signal, 2)
	signals <- os.Interrupt
	signals <- syscall.SIGTERM
	if code := await(ctx, stop, nil, signals); code != exitTerminated || exitOf(context.Cause(ctx)) != exitInterrupted {
		t.Errorf("exit %d with cause %v, want 143 of the second after an interrupt by the first", code, context.Cause(ctx))
	}
}

func TestMainReturnsTheExitCode(t *testing.T) {
	if code := Main([]string{"version"}, strings.NewReader(""), io.Discard, io.Discard, nil); code != exitDone {
		t.Errorf("version: exit %d", code)
	}
	if code := Main([]string{"frob"}, strings.NewReader(""), io.Discard, io.Discard, nil); code != exitUsage {
		t.Errorf("frob: exit %d", code)
	}
}

func TestHelpGoesToStandardOutput(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help"}, {"help", "put"}, {"put", "-h"}, {"help", "exit-codes"}, {"help", "environment"}, {"--version"}} {
		code, stdout, stderr := osp(t.Context(), t, nil, args...)
		if code != exitDone || stdout == "" || stderr != "" {
			t.Errorf("%q: exit %d, stdout %d bytes, stderr %q", args, code, len(stdout), stderr)
		}
	}
}

func TestEveryFlagIsInTheEnvironmentTopic(t *testing.T) {
	_, text, _ := osp(t.Context(), t, nil, "help", "environment")
	names := map[string]bool{"OSP_TOKEN": true, "OSP_TOKEN_FILE": true, "OSP_HOME": true}
	for _, cmd := range verbs(t) {
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { names[variable(f.Name)] = true })
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { names[variable(f.Name)] = true })
	}
	if len(names) < 30 {
		t.Errorf("there are %d variables", len(names))
	}
	for name := range names {
		if !strings.Contains(text, "  "+name+" ") {
			t.Errorf("%s is not listed", name)
		}
	}
}
