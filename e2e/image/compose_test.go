package image

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
)

// compose loads a file of deploy/ as `docker compose -f` does, by the reference
// implementation, with nothing in the environment.
func compose(t *testing.T, name string) *types.Project {
	t.Helper()
	said := test.NewLocal(logrus.StandardLogger())
	t.Cleanup(func() { logrus.StandardLogger().ReplaceHooks(logrus.LevelHooks{}) })
	options, err := cli.NewProjectOptions([]string{filepath.Join(repository, "deploy", name)}, cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range said.AllEntries() {
		t.Errorf("%s: %s", name, entry.Message)
	}
	return project
}

func files() []string { return []string{"compose.single.yaml", "compose.cluster.yaml"} }

// TestComposeIsClosed: what is published is so on loopback, no password is in the
// files, and ospd can do in its container what it has to, and no more.
func TestComposeIsClosed(t *testing.T) {
	for _, name := range files() {
		for _, s := range compose(t, name).Services {
			for _, p := range s.Ports {
				if p.HostIP != "127.0.0.1" {
					t.Errorf("%s: %s publishes %s on %q", name, s.Name, p.Published, p.HostIP)
				}
			}
			for key, value := range s.Environment {
				if regexp.MustCompile(`PASSWORD|SECRET|KEY|TOKEN`).MatchString(key) && !strings.HasSuffix(key, "_FILE") {
					t.Errorf("%s: %s has %s=%s", name, s.Name, key, *value)
				}
			}
			if s.Image != "ospd" {
				if _, tag, ok := strings.Cut(s.Image, ":"); !ok || tag == "latest" {
					t.Errorf("%s: %s takes the image %s, whatever that is by then", name, s.Name, s.Image)
				}
				continue
			}
			if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.User != "" || s.Privileged {
				t.Errorf("%s: %s is not closed", name, s.Name)
			}
			if s.Build == nil || filepath.Clean(s.Build.Context) != absolute(t, repository) {
				t.Errorf("%s: %s is not built from the repository: %+v", name, s.Name, s.Build)
			}
			if s.Restart == "unless-stopped" && (s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) <= time.Minute) {
				t.Errorf("%s: %s is killed before it has drained", name, s.Name)
			}
		}
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// nginxConf is nginx.conf with its upstream's servers at addresses.
func nginxConf(t *testing.T, listen string, servers ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "deploy", "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	project := compose(t, "compose.cluster.yaml")
	next := 0
	conf := regexp.MustCompile(`server (ospd\d+):(\d+)`).ReplaceAllStringFunc(string(text), func(server string) string {
		name, port, _ := strings.Cut(strings.TrimPrefix(server, "server "), ":")
		if _, ok := project.Services[name]; !ok || port != "8888" {
			t.Errorf("nginx sends to %s, which is no service", server)
		}
		next++
		return "server " + servers[(next-1)%len(servers)]
	})
	nodes := 0
	for _, s := range project.Services {
		if slices.Contains(s.Command, "serve") {
			nodes++
		}
	}
	if nodes != 3 || next != nodes {
		t.Errorf("there are %d nodes, and nginx sends to %d", nodes, next)
	}
	if port := project.Services["nginx"].Ports[0].Target; !strings.Contains(conf, fmt.Sprintf("listen %d;", port)) {
		t.Errorf("nginx does not listen on %d, which is published", port)
	}
	conf = strings.Replace(conf, "listen 8080;", "listen "+listen+";", 1)
	return strings.Replace(conf, "pid /tmp/nginx.pid;", "pid "+filepath.Join(t.TempDir(), "pid")+";", 1)
}

// nginx starts one with a configuration, in the foreground.
func nginx(t *testing.T, conf string) {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program = "/usr/sbin/nginx"; exec.Command(program, "-v").Run() != nil {
			t.Fatal("this test needs nginx: apt-get install nginx-light")
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "-t", "-p", dir, "-c", path).CombinedOutput(); err != nil {
		t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "-p", dir, "-c", path, "-g", "daemon off;")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // of a signal
	})
}

// secrets runs what makes them, in folders below dir, and says where a password
// and the configuration are.
func secrets(t *testing.T, dir string) (password, config string) {
	t.Helper()
	cmd := exec.Command("/bin/sh", filepath.Join(repository, "deploy", "secrets.sh"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"SECRETS", "CONFIG", "AUTHORITY"} {
		folder := filepath.Join(dir, strings.ToLower(name))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, name+"="+folder)
	}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("secrets.sh: %v: %s", err, out)
	}
	return filepath.Join(dir, "secrets", "postgres-password"), filepath.Join(dir, "config", "ospd.yaml")
}

// TestSecretsAreKept: what the compose file makes secret is made once, and the
// nodes' configuration has it.
func TestSecretsAreKept(t *testing.T) {
	dir := t.TempDir()
	var before [2]string
	for range 2 {
		var now [2]string
		a, b := secrets(t, dir)
		for i, path := range []string{a, b} {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			now[i] = string(text)
		}
		if len(now[0]) != 40 || !strings.Contains(now[1], "postgres://ospd:"+now[0]+"@postgres:") {
			t.Errorf("a password of %d characters, and a configuration of %d, which has it or not", len(now[0]), len(now[1]))
		}
		if before[0] != "" && now != before {
			t.Error("a second start makes other secrets")
		}
		before = now
		if info, err := os.Stat(b); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the configuration: %v, %v", info, err)
		}
	}
}
