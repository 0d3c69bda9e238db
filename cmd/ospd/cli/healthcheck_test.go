package cli

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answering is a server that gives the same answer to every request for path,
// and where it listens.
func answering(t *testing.T, path string, status int, body string) (listen string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestHealthcheckJudges(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		code   int
		said   []string
	}{
		{"ready", 200, `{"status":"ok"}`, exitDone, nil},
		{"ready, with a note", 200, `{"status":"ok","notes":["store ali does not answer"]}`, exitDone, nil},
		{"reasons", 503, `{"status":"not ready","reasons":["the database does not answer","draining"]}`, exitOther, []string{"ospd: not healthy: the database does not answer\n", "ospd: draining\n"}},
		{"a problem", 503, `{"type":"about:blank","status":503,"detail":"too many connections","code":"unavailable"}`, exitOther, []string{"answers 503: too many connections"}},
		{"another program", 200, `<html>`, exitOther, []string{"answers 200, and not as ospd does"}},
		{"another program's JSON", 200, `{"status":"UP"}`, exitOther, []string{"not as ospd does"}},
		{"a redirect is not followed", 302, ``, exitOther, []string{"answers 302"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := ospd(t, "healthcheck", "--listen", answering(t, "/readyz", c.status, c.body))
			if code != c.code || stdout != "" || (stderr == "") != (code == exitDone) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			for _, want := range c.said {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr %q does not have %q", stderr, want)
				}
			}
		})
	}
}

// TestHealthcheckAsksTheConfiguredDaemon: where it listens is said by a flag,
// before a variable, before a file, and what else is in them is of no account.
func TestHealthcheckAsksTheConfiguredDaemon(t *testing.T) {
	well, ill := answering(t, "/readyz", 200, `{"status":"ok"}`), answering(t, "/readyz", 503, `{}`)
	file := filepath.Join(t.TempDir(), "ospd.yaml")
	if err := os.WriteFile(file, []byte("listen: "+ill+"\ndefault_store: of another file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(well)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := ospd(t, "healthcheck", "--config", file); code != exitOther || !strings.Contains(stderr, ill) {
		t.Errorf("by the file: exit %d, %q", code, stderr)
	}
	t.Setenv("OSPD_LISTEN", "0.0.0.0:"+port)
	if code, _, stderr := ospd(t, "healthcheck", "--config", file); code != exitDone {
		t.Errorf("by the variable, all interfaces: exit %d, %q", code, stderr)
	}
	if code, _, stderr := ospd(t, "healthcheck", "--listen", ill); code != exitOther || !strings.Contains(stderr, ill) {
		t.Errorf("by the flag: exit %d, %q", code, stderr)
	}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	if code, _, stderr := ospd(t, "healthcheck"); code != exitDone {
		t.Errorf("with a proxy in the environment: exit %d, %q", code, stderr)
	}
	live := answering(t, "/healthz", 200, `{"status":"ok"}`)
	if code, _, stderr := ospd(t, "healthcheck", "--live", "--listen", live); code != exitDone {
		t.Errorf("--live: exit %d, %q", code, stderr)
	}
}

func TestHealthcheckOfNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	silent := l.Addr().String()
	if code, _, stderr := ospd(t, "healthcheck", "--listen", silent, "--timeout", "20ms"); code != exitOther || !strings.Contains(stderr, "no answer within 20ms") {
		t.Errorf("a silent one: exit %d, %q", code, stderr)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := ospd(t, "healthcheck", "--listen", silent); code != exitOther || !strings.Contains(stderr, "refused") {
		t.Errorf("nobody: exit %d, %q", code, stderr)
	}
	for name, args := range map[string][]string{
		"a port that only the daemon knows": {"--listen", "127.0.0.1:0"},
		"no address":                        {"--listen", "here"},
		"no time":                           {"--timeout", "0s"},
		"a file that is not":                {"--config", filepath.Join(t.TempDir(), "none.yaml")},
		"an argument":                       {"now"},
	} {
		if code, _, stderr := ospd(t, append([]string{"healthcheck"}, args...)...); code != exitConfig || !strings.HasPrefix(stderr, "ospd: ") {
			t.Errorf("%s: exit %d, %q", name, code, stderr)
		}
	}
}

func TestHealthcheckReaches(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8888": "127.0.0.1:8888", "localhost:1": "localhost:1", "10.1.2.3:80": "10.1.2.3:80",
		"0.0.0.0:8888": "127.0.0.1:8888", ":8888": "127.0.0.1:8888", "[::]:8888": "[::1]:8888",
	} {
		if got, err := reachedAt(listen); err != nil || got != want {
			t.Errorf("%s is asked at %s, %v; want %s", listen, got, err, want)
		}
	}
}
