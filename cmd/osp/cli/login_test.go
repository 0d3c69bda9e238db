package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/cmd/osp/profile"
	"github.com/osproxy/osproxy/protocol"
)

// Tokens of the form a daemon makes, and what of them must be printed nowhere.
const (
	goodToken  = "osp_Good00000000_" + secretPart + "0123456789abcdefghijABCDEFGHIJ0"
	writeToken = "osp_Write0000000_" + secretPart + "0123456789abcdefghijABCDEFGHIJ0"
	badToken   = "osp_Bad000000000_" + secretPart + "0123456789abcdefghijABCDEFGHIJ0"
	secretPart = "sEcReTsEcReTsEcReT"
)

// guarded is a daemon that asks for a token: it lists no files for goodToken,
// forbids that to writeToken, and knows no other.
type guarded struct {
	*httptest.Server
	open bool

	mu   sync.Mutex
	seen []string // Authorization, of each request but for capabilities
}

func newGuarded(t *testing.T) *guarded {
	g := &guarded{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/capabilities" {
			caps := protocol.Capabilities{ServerID: strings.Repeat("ab", 16), OneShotMax: protocol.OneShotMax, Features: []string{protocol.FeatureTokens}}
			if g.open {
				caps.Features = nil
			}
			_ = json.NewEncoder(w).Encode(caps)
			return
		}
		g.mu.Lock()
		g.seen = append(g.seen, r.Header.Get("Authorization"))
		g.mu.Unlock()
		switch token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); {
		case g.open || token == goodToken:
			_ = json.NewEncoder(w).Encode(protocol.FileList{})
		case token == writeToken:
			problem(w, protocol.KindForbidden)
		default:
			problem(w, protocol.KindUnauthenticated)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func problem(w http.ResponseWriter, kind protocol.Kind) {
	p := protocol.Errorf(kind, "made up").Problem("req-1")
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// machine is one user's osp, run after run.
type machine struct {
	home string
	env  environment
	// all is everything that was ever printed.
	all bytes.Buffer
}

func newMachine(t *testing.T) *machine {
	m := &machine{home: t.TempDir(), env: environment{}}
	t.Setenv("OSP_HOME", m.home)
	return m
}

func (m *machine) osp(ctx context.Context, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	s := newSession(strings.NewReader(stdin), &out, &errs, m.env)
	code = s.run(ctx, args)
	m.all.Write(out.Bytes())
	m.all.Write(errs.Bytes())
	return code, out.String(), errs.String()
}

// is fails unless the run ends so, and prints all the words.
func (m *machine) is(t *testing.T, code int, stdin string, args []string, words ...string) string {
	t.Helper()
	got, stdout, stderr := m.osp(t.Context(), stdin, args...)
	if got != code {
		t.Fatalf("osp %q: exit %d, want %d\n%s%s", args, got, code, stdout, stderr)
	}
	for _, w := range words {
		if !strings.Contains(stdout+stderr, w) {
			t.Fatalf("osp %q printed\n%s%s\nwithout %q", args, stdout, stderr, w)
		}
	}
	return stdout
}

func (m *machine) config() string { return filepath.Join(m.home, "config.yaml") }

// quiet fails when any run printed a token.
func (m *machine) quiet(t *testing.T) {
	t.Helper()
	if strings.Contains(m.all.String(), secretPart) {
		t.Errorf("a token was printed:\n%s", m.all.String())
	}
}

func words(line string) []string { return strings.Fields(line) }

func TestLoginLogout(t *testing.T) {
	g, m := newGuarded(t), newMachine(t)
	m.is(t, 6, "", words("ls --server "+g.URL), "osp login --server "+g.URL, "request req-1")
	m.is(t, 0, "\n "+goodToken+"\n", words("login --server "+g.URL), "osp_Good00000000_…", "profile default")
	if info, err := os.Stat(m.config()); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	// Server and token are now the profile's.
	m.is(t, 0, "", words("ls -vv"), "GET /v1/files: 200")
	m.is(t, 0, writeToken, words("login -p w --server "+g.URL), "osp profile use w")
	m.is(t, 6, "", words("ls -p w"), "Use a token that allows it: osp login --profile w")
	list := m.is(t, 0, "", words("profile list"))
	if want := fmt.Sprintf("* default  %s  token osp_Good00000000_…\n  w        %[1]s  token osp_Write0000000_…\n", g.URL); list != want {
		t.Errorf("list is\n%swant\n%s", list, want)
	}
	m.is(t, 0, "", words("profile use w"))
	m.is(t, 0, "", words("profile show"), "profile  w\n", "osp_Write0000000_…")
	m.is(t, 0, "", words("profile list --json"),
		`{"name":"default","current":false,"server":"`+g.URL+`","token":"osp_Good00000000_…","token_command":false}`, `"current":true`)
	m.is(t, 0, "", words("logout -p default"), "forgotten")
	m.is(t, 6, "", words("ls -p default"), "osp login --profile default")
	m.is(t, 0, "", words("logout -p default"), "holds no token")
	m.quiet(t)
	data, err := os.ReadFile(m.config())
	if err != nil || strings.Contains(string(data), goodToken) || !strings.Contains(string(data), writeToken) {
		t.Errorf("%s, %v", data, err)
	}
}

func TestLoginThatIsRefusedStoresNothing(t *testing.T) {
	g, m := newGuarded(t), newMachine(t)
	m.is(t, 6, badToken, words("login --server "+g.URL), "does not know this token", "ospd token create")
	m.is(t, 2, "", words("login --server "+g.URL), "no token")
	m.is(t, 2, "two words", words("login --server "+g.URL), "one word")
	m.is(t, 2, goodToken, words("login --server localhost"), "URL")
	m.is(t, 2, goodToken, []string{"login", "-p", "a b", "--server", g.URL}, "no name of a profile")
	m.is(t, 5, goodToken, words("login --server http://127.0.0.1:1"))
	if _, err := os.Stat(m.config()); !os.IsNotExist(err) {
		t.Errorf("something was stored: %v", err)
	}
	g.open = true
	m.is(t, 0, badToken, words("login --server "+g.URL), "warning", "lets everybody in")
	m.quiet(t)
}

func TestLoginLeavesATokenCommand(t *testing.T) {
	g, m := newGuarded(t), newMachine(t)
	const text = "profiles: {default: {token_command: echo x}}\n"
	if err := os.WriteFile(m.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m.is(t, 2, goodToken, words("login --server "+g.URL), "token_command", m.config())
	if data, err := os.ReadFile(m.config()); err != nil || string(data) != text {
		t.Errorf("%s, %v", data, err)
	}
}

func TestWhereValuesComeFrom(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(writeToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const config = "current: a\nprofiles:\n  a: {server: \"http://a:1\", token: " + goodToken + "}\n" +
		"  b: {server: \"http://b:1\", token_command: \"echo " + badToken + "\"}\n  c: {token: " + goodToken + "}\n"
	const good = "osp_Good00000000_…"
	tests := []struct {
		name                   string
		env                    environment
		args                   string
		profile, server, token setting
	}{
		{"the current profile", nil, "", setting{"a", "current in CONFIG"}, setting{"http://a:1", "profile a"}, setting{good, "profile a"}},
		{"flag", nil, "-p b", setting{"b", "flag --profile"}, setting{"http://b:1", "profile b"}, setting{"…", "token_command of profile b"}},
		{"variable", environment{"OSP_PROFILE": "b"}, "", setting{"b", "variable OSP_PROFILE"}, setting{"http://b:1", "profile b"}, setting{"…", "token_command of profile b"}},
		{"flag before variable", environment{"OSP_PROFILE": "b"}, "-p a", setting{"a", "flag --profile"}, setting{"http://a:1", "profile a"}, setting{good, "profile a"}},
		{"token by variable", environment{"OSP_TOKEN": writeToken, "OSP_TOKEN_FILE": "/missing"}, "", setting{"a", "current in CONFIG"},
			setting{"http://a:1", "profile a"}, setting{"osp_Write0000000_…", "variable OSP_TOKEN"}},
		{"token by file", environment{"OSP_TOKEN_FILE": file}, "-p b", setting{"b", "flag --profile"},
			setting{"http://b:1", "profile b"}, setting{"osp_Write0000000_…", "variable OSP_TOKEN_FILE"}},
		{"empty variables are none", environment{"OSP_TOKEN": "", "OSP_TOKEN_FILE": "", "OSP_PROFILE": "", "OSP_SERVER": ""}, "",
			setting{"a", "current in CONFIG"}, setting{"http://a:1", "profile a"}, setting{good, "profile a"}},
		{"a stored token stays with its server", nil, "--server http://evil:1", setting{"a", "current in CONFIG"},
			setting{"http://evil:1", "flag --server"}, setting{"", "nowhere (that of profile a is for http://a:1 only)"}},
		{"and so does a command", environment{"OSP_SERVER": "http://evil:1"}, "-p b", setting{"b", "flag --profile"},
			setting{"http://evil:1", "variable OSP_SERVER"}, setting{"", "nowhere (that of profile b is for http://b:1 only)"}},
		{"the same server, spelled otherwise", nil, "--server HTTP://A:1/", setting{"a", "current in CONFIG"},
			setting{"HTTP://A:1/", "flag --server"}, setting{good, "profile a"}},
		{"a profile without server", environment{"OSP_SERVER": "http://x:1"}, "-p c", setting{"c", "flag --profile"},
			setting{"http://x:1", "variable OSP_SERVER"}, setting{good, "profile c"}},
		{"default server", nil, "-p c", setting{"c", "flag --profile"}, setting{client.DefaultServer, "default"}, setting{good, "profile c"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t)
			m.env = tt.env
			if err := os.WriteFile(m.config(), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			out := m.is(t, 0, "", words("profile show --effective --json "+tt.args))
			var got effectiveLine
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatal(err)
			}
			tt.profile.From = strings.Replace(tt.profile.From, "CONFIG", m.config(), 1)
			if want := (effectiveLine{m.config(), tt.profile, tt.server, tt.token}); got != want {
				t.Errorf("effective\n%+v, want\n%+v", got, want)
			}
			m.is(t, 0, "", words("profile show --effective "+tt.args), tt.server.Value+"  ("+tt.server.From+")")
			m.quiet(t)
		})
	}
}

func TestNothingIsStored(t *testing.T) {
	m := newMachine(t)
	m.is(t, 0, "", words("profile show --effective"), "default  (default)", client.DefaultServer+"  (default)", "(nowhere)")
	if out := m.is(t, 0, "", words("profile list")); out != "" {
		t.Errorf("listed %q", out)
	}
	m.is(t, 2, "", words("profile show"), "there is no profile default")
	m.is(t, 2, "", words("profile show x"), "there is no profile x")
	m.is(t, 2, "", words("profile use x"), "there is no profile x")
	m.is(t, 2, "", words("profile use"), "NAME is missing")
	m.is(t, 2, "", words("profile frob"), `no verb "profile frob"`)
	m.is(t, 2, "", words("ls -p x"), "there is no profile x (named by flag --profile)", "osp login -p x")
	m.is(t, 2, "", words("logout -p x"), "there is no profile x")
	m.is(t, 0, "", words("logout"), "holds no token")
	m.is(t, 2, "", words("ls --limit -1"), "--limit")
	m.env = environment{"OSP_PROFILE": "y"}
	m.is(t, 2, "", words("put x --json"), "there is no profile y (named by variable OSP_PROFILE)", `"type":"summary"`)
}

func TestFilesThatOthersMayReadAreRefused(t *testing.T) {
	g, m := newGuarded(t), newMachine(t)
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(m.config(), "profiles: {default: {server: \""+g.URL+"\", token: "+goodToken+"}}", 0o644)
	for _, line := range []string{"ls", "put x", "login", "logout", "profile list", "profile show", "profile use default", "profile show --effective"} {
		m.is(t, 2, goodToken, words(line), "chmod 600 "+m.config())
	}
	file := filepath.Join(m.home, "token")
	write(file, goodToken, 0o640)
	write(m.config(), "profiles: {default: {server: \""+g.URL+"\"}}", 0o644) // no token in it
	m.env = environment{"OSP_TOKEN_FILE": file}
	m.is(t, 2, "", words("ls"), "OSP_TOKEN_FILE", "chmod 600 "+file)
	write(file, goodToken, 0o600)
	m.is(t, 0, "", words("ls"))
	m.env = environment{"OSP_TOKEN_FILE": file, "OSP_TOKEN": badToken}
	m.is(t, 6, "", words("ls"), "Correct what OSP_TOKEN gives", "osp login")
	m.quiet(t)
	if !slices.Contains(g.seen, "Bearer "+goodToken) || len(g.seen) != 2 {
		t.Errorf("%d requests", len(g.seen))
	}
}

func TestStoredTokenIsNotSentElsewhere(t *testing.T) {
	g, elsewhere, m := newGuarded(t), newGuarded(t), newMachine(t)
	m.is(t, 0, goodToken, words("login --server "+g.URL))
	m.is(t, 6, "", words("ls --server "+elsewhere.URL), "The token of profile default is for "+g.URL)
	if !slices.Equal(elsewhere.seen, []string{""}) {
		t.Errorf("another server was sent a token")
	}
}

func TestTokenCommand(t *testing.T) {
	t.Run("runs once", func(t *testing.T) {
		ran := filepath.Join(t.TempDir(), "ran")
		c := newTokenCommand("cat; echo x >>"+ran+"; echo ' "+goodToken+" '", "p", &console{err: &bytes.Buffer{}})
		var running sync.WaitGroup
		for range 8 {
			running.Go(func() {
				if token, err := c.token(t.Context()); token != goodToken || err != nil {
					t.Errorf("%q, %v", token, err)
				}
			})
		}
		running.Wait()
		if data, err := os.ReadFile(ran); err != nil || string(data) != "x\n" {
			t.Errorf("ran %q, %v", data, err)
		}
	})
	for line, want := range map[string]string{
		"echo why >&2; exit 3": "failed",
		"true":                 "no token",
		"echo a b":             "one word",
		"yes | head -c 100000": "printed no token",
		"sleep 100":            "gave no token within",
		"sleep 100 & wait":     "gave no token within",
	} {
		t.Run(line, func(t *testing.T) {
			var errs bytes.Buffer
			c := newTokenCommand(line, "p", &console{err: &errs})
			if strings.Contains(line, "sleep") {
				c.limit = 50 * time.Millisecond
			}
			_, err := c.token(t.Context())
			if protocol.KindOf(err) != protocol.KindUnauthenticated || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), line) {
				t.Errorf("%v, want %q", err, want)
			}
			if _, again := c.token(t.Context()); again != err {
				t.Errorf("the second time: %v", again)
			}
			if strings.Contains(line, "why") && errs.String() != "why\n" {
				t.Errorf("standard error is %q", errs.String())
			}
		})
	}
	t.Run("a stop is not remembered", func(t *testing.T) {
		c := newTokenCommand("sleep 0.2; echo "+goodToken, "p", &console{err: &bytes.Buffer{}})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if _, err := c.token(ctx); err == nil {
			t.Error("a stopped run has a token")
		}
		if token, err := c.token(t.Context()); token != goodToken || err != nil {
			t.Errorf("%q, %v", token, err)
		}
	})
}

func TestProfileWithTokenCommand(t *testing.T) {
	g, m := newGuarded(t), newMachine(t)
	config := func(command string) {
		t.Helper()
		err := profile.Update(m.config(), func(c *profile.Config) error {
			c.Profiles["default"] = profile.Profile{Server: g.URL, TokenCommand: command}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	config("echo " + goodToken)
	m.is(t, 0, "", words("ls"))
	m.is(t, 0, "", words("profile list"), "token from its token_command")
	config("echo " + badToken)
	m.is(t, 6, "", words("ls"), "Correct what token_command of profile default gives")
	config("exit 3")
	m.is(t, 6, "", words("put --json "+m.config()), `"code":"unauthenticated"`, `"exit":6`, "exit status 3")
	m.quiet(t)
}
