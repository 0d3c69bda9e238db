//go:build servers

package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
)

// patience bounds what a visit may take; it only decides how late a broken build
// is found out.
const patience = 5 * time.Minute

// TestDocsPage: a reader opens the page, at its place and at that of the
// predecessor, tries a request out that everybody may make, is refused one that
// needs a token, gives one, and gets the answer. Nothing of that is against the
// page's Content-Security-Policy, nothing is asked of another host, and nothing
// is kept in the browser; and the policy is one: what a stranger's text in the
// page would do is refused.
func TestDocsPage(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	token := strings.TrimSpace(run(t, exec.Command(bin.OSPD, "token", "create", "--data", d.Data, "--owner", "ann", "--scopes", "file:read")))
	for _, at := range []string{"/docs", "/swagger/index.html", "/swagger/", "/behind/a/proxy/docs", "/behind/a/proxy/swagger/index.html"} {
		t.Run(at, func(t *testing.T) {
			server, path := d.URL, at
			if rest, ok := strings.CutPrefix(at, folder); ok {
				server, path = behind(t, d.URL), rest
			}
			got := open(t, server+path, token)
			if len(got.Before) > 0 || len(got.Elsewhere) > 0 || len(got.Errors) > 0 || got.Stored != 0 {
				t.Errorf("against the policy: %q; asked elsewhere: %q; errors: %q; kept in the browser: %d", got.Before, got.Elsewhere, got.Errors, got.Stored)
			}
			if got.Title != "The API of ospd" || got.Operations < 40 {
				t.Errorf("the page %q shows %d operations", got.Title, got.Operations)
			}
			for name, want := range map[string]answer{
				"capabilities": {200, `"block_size": 4194304`}, "filesWithoutToken": {401, `"code": "unauthenticated"`}, "files": {200, `"files": []`},
			} {
				if a := got.Answers[name]; a.Status != want.Status || !strings.Contains(a.Text, want.Text) {
					t.Errorf("%s: %d %s, want %d with %s", name, a.Status, a.Text, want.Status, want.Text)
				}
			}
			refused := got.Violations[len(got.Before):]
			for _, directive := range []string{"script-src-elem: inline", "style-src-attr: inline", "connect-src: http://127.0.0.1:9/"} {
				if !slices.ContainsFunc(refused, func(v string) bool { return strings.HasPrefix(v, directive) }) {
					t.Errorf("the browser refused %q, and not %s", refused, directive)
				}
			}
			if got.Ran {
				t.Error("what the policy forbids happened")
			}
		})
	}
}

// folder is where a proxy has the daemon.
const folder = "/behind/a/proxy"

// behind is a proxy's address of the daemon, below folder. What is asked beside
// that would be another application's, which the token is not for.
func behind(t *testing.T, daemon string) string {
	t.Helper()
	target, err := url.Parse(daemon)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(folder+"/", http.StripPrefix(folder, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/favicon.ico" { // the browser's own
			t.Errorf("a neighbour was asked %s %s", r.Method, r.URL)
		}
		http.NotFound(w, r)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL + folder
}

// visit is what docs.js saw.
type visit struct {
	Title      string
	Operations int
	Answers    map[string]answer
	// Violations are those of the policy, Before those before any was provoked.
	Violations, Before []string
	Elsewhere, Errors  []string
	Stored             int
	Ran                bool
}

type answer struct {
	Status int
	Text   string
}

func open(t *testing.T, page, token string) (v visit) {
	t.Helper()
	if err := json.Unmarshal(inBrowser(t, "docs.js", page, token), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// inBrowser runs a script, whose browser ends with it, and gives what it printed.
func inBrowser(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	chromium := program(t, "OSPD_TEST_CHROMIUM", "chromium", "chromium-browser", "google-chrome")
	cmd := exec.CommandContext(ctx, program(t, "", "node", "nodejs"), append([]string{script, modules(t), chromium}, args...)...)
	// The browser has a profile of its own, and ends when node does, however that
	// ends: it hears of it by the pipe that it is driven through.
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	cmd.WaitDelay = 10 * time.Second
	return []byte(run(t, cmd))
}

func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", filepath.Base(cmd.Path), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// program is what the variable names, or the first of these on PATH.
func program(t *testing.T, variable string, names ...string) string {
	t.Helper()
	if path := os.Getenv(variable); variable != "" && path != "" {
		return path
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("these tests need %s: apt-get install %s", names[0], names[0])
	return ""
}

// modules is the folder with playwright-core: where the environment says, or among
// the tools that .ci/run caches.
func modules(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("OSPD_TEST_PLAYWRIGHT"); path != "" {
		return path
	}
	wanted, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`"playwright-core": "([0-9.]+)"`).FindSubmatch(wanted)
	cache, err := os.UserCacheDir()
	if err != nil || version == nil {
		t.Fatalf("%v, %q", err, version)
	}
	folder := filepath.Join(cache, "osproxy-ci", "playwright-core-"+string(version[1]))
	path := filepath.Join(folder, "node_modules")
	if _, err := os.Stat(filepath.Join(path, "playwright-core")); err != nil {
		t.Fatalf("these tests need playwright-core in $OSPD_TEST_PLAYWRIGHT or %s: %s", path, installing(folder))
	}
	return path
}

func installing(folder string) string {
	return fmt.Sprintf("mkdir -p %s && cp e2e/browser/package*.json %[1]s && npm ci --prefix %[1]s --ignore-scripts", folder)
}
