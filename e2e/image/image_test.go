package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

const repository = "../.."

// TestDockerfileLint: BuildKit's own parser and linter have nothing to say.
func TestDockerfileLint(t *testing.T) {
	warn := func(rule, description, _, message string, at []parser.Range) {
		t.Errorf("Dockerfile:%d: %s: %s (%s)", at[0].Start.Line, rule, message, description)
	}
	all, err := stages(filepath.Join(repository, "Dockerfile"), warn)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if version == nil || all[0].BaseName != "golang:"+string(version[1]) {
		t.Errorf("the build stage is from %s, and go.mod wants go %s", all[0].BaseName, version)
	}
}

// TestImage: the image as the Dockerfile makes it does what the documents say of
// it, as its user and with nothing but what is in it.
func TestImage(t *testing.T) {
	image, err := Build(repository, t.TempDir(), map[string]string{"VERSION": "v1.2.3", "COMMIT": "abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("files", func(t *testing.T) { checkFiles(t, image) })
	t.Run("config", func(t *testing.T) { checkConfig(t, image) })
	t.Run("programs", func(t *testing.T) {
		c := newContainer(t, image)
		for _, program := range []string{"osp", "ospd"} {
			if got := c.run("/usr/bin/"+program, "version"); !strings.HasPrefix(got, program+" v1.2.3 abcdef ") {
				t.Errorf("%s version: %q", program, got)
			}
		}
	})
	t.Run("life", func(t *testing.T) { checkLife(t, image) })
	t.Run("compose", func(t *testing.T) { checkCompose(t, image) })
	t.Run("cluster", func(t *testing.T) { checkCluster(t, image) })
}

// checkFiles: the image has these files, programs that need no library, and
// nothing that others may write.
func checkFiles(t *testing.T, image *Image) {
	var files, owned []string
	err := filepath.WalkDir(image.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name := "/" + strings.TrimPrefix(strings.TrimPrefix(path, image.Root), "/")
		if !entry.IsDir() {
			files = append(files, name)
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && entry.IsDir() {
			owned = append(owned, name)
		}
		if info.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s can be written by others: %s", name, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/etc/group", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt", "/usr/bin/osp", "/usr/bin/ospd"}; !slices.Equal(files, want) {
		t.Errorf("the image has %v, want %v", files, want)
	}
	if want := []string{"/tmp", "/var/lib/ospd"}; !slices.Equal(owned, want) {
		t.Errorf("its user has %v, want %v", owned, want)
	}
	for _, program := range []string{"osp", "ospd"} {
		f, err := elf.Open(filepath.Join(image.Root, "usr/bin", program))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range f.Progs {
			if part.Type == elf.PT_INTERP {
				t.Errorf("%s needs a loader, so it is not static", program)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func checkConfig(t *testing.T, image *Image) {
	c := image.Config
	if !regexp.MustCompile(`^[1-9]\d+:[1-9]\d+$`).MatchString(c.User) {
		t.Errorf("USER %q is not a number that is not root's: an engine that refuses root cannot tell", c.User)
	}
	if !slices.Equal(c.Volumes, []string{"/var/lib/ospd"}) || !slices.Contains(c.Env, "OSPD_DATA=/var/lib/ospd") {
		t.Errorf("volumes %v, environment %v: what is kept would go with the container", c.Volumes, c.Env)
	}
	if !slices.Equal(c.Ports, []string{"8888"}) || !slices.Contains(c.Env, "OSPD_LISTEN=0.0.0.0:8888") {
		t.Errorf("ports %v, environment %v", c.Ports, c.Env)
	}
	if c.StopSignal != "SIGTERM" || !slices.Equal(c.Entrypoint, []string{"/usr/bin/ospd"}) || !slices.Equal(c.Health, []string{"/usr/bin/ospd", "healthcheck"}) {
		t.Errorf("%+v", c)
	}
	for label, want := range map[string]string{"title": "ospd", "licenses": "Apache-2.0", "version": "v1.2.3", "revision": "abcdef"} {
		if got := c.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
}

// checkLife is that of a container: it has no token and does not serve everybody,
// gets one, serves, is healthy, keeps files over a restart, and stops when told.
func checkLife(t *testing.T, image *Image) {
	port := freePort(t)
	c := newContainer(t, image, "OSPD_LISTEN=0.0.0.0:"+port, "OSP_SERVER=http://127.0.0.1:"+port)
	refused := c.ospd()
	if exit := refused.wait(t); exit != 2 || !strings.Contains(refused.errors.String(), "ospd token create") {
		t.Fatalf("without a token: exit %d: %s", exit, refused.errors.String())
	}
	token := c.ospd("token", "create", "--owner", "ann", "--scopes", "file:read,file:write")
	if exit := token.wait(t); exit != 0 {
		t.Fatalf("token create: exit %d: %s", exit, token.errors.String())
	}
	c.env = append(c.env, "OSP_TOKEN="+strings.TrimSpace(token.out.String()))

	data := bytes.Repeat([]byte("what is kept"), 300_000)
	if err := os.WriteFile(filepath.Join(image.Root, "tmp/sent"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	uid := ""
	for round := range 2 {
		daemon := c.ospd()
		healthy(t, c, daemon)
		if round == 0 {
			uid = c.run("/usr/bin/osp", "put", "-q", "/tmp/sent")
		}
		got := fmt.Sprintf("/tmp/got%d", round)
		c.run("/usr/bin/osp", "get", uid, "-o", got)
		if back, err := os.ReadFile(filepath.Join(image.Root, got)); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%d bytes came back of %d, %v", len(back), len(data), err)
		}
		if err := daemon.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if exit := daemon.wait(t); exit != 0 {
			t.Errorf("told to stop: exit %d: %s", exit, daemon.errors.String())
		}
		if exit, said := c.health(); exit != 1 {
			t.Errorf("the health of a stopped container: exit %d: %s", exit, said)
		}
	}
}

// healthy waits until the health check says that the daemon is well.
func healthy(t *testing.T, c *container, daemon *process) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case <-daemon.done:
			t.Fatalf("ospd ended: %s", daemon.errors.String())
		default:
		}
		if exit, _ := c.health(); exit == 0 {
			return
		}
	}
	t.Fatal("the daemon does not become healthy")
}

// checkCompose runs what the compose files have run in the image: the first token,
// and nginx before a daemon.
func checkCompose(t *testing.T, image *Image) {
	port := freePort(t)
	single := compose(t, "compose.single.yaml")
	c := newContainer(t, image, "OSPD_LISTEN=0.0.0.0:"+port, "OSPD_DATA=/tmp/data")
	token := c.ospd(single.Services["token"].Command...)
	if exit := token.wait(t); exit != 0 {
		t.Fatalf("token: exit %d: %s", exit, token.errors.String())
	}
	if again := c.ospd(single.Services["token"].Command...); again.wait(t) != 0 || again.out.Len() > 0 {
		t.Errorf("the token again: %s%s", again.out.String(), again.errors.String())
	}
	daemon := c.ospd(single.Services["ospd"].Command...)
	healthy(t, c, daemon)

	listen := "127.0.0.1:" + freePort(t)
	// Of the three nodes one is gone.
	nginx(t, nginxConf(t, listen, "127.0.0.1:"+freePort(t), "127.0.0.1:"+port, "127.0.0.1:"+port))
	data := bytes.Repeat([]byte("through a proxy"), 1_000_000) // parts of 8 MiB, more than nginx allows by default
	if err := os.WriteFile(filepath.Join(image.Root, "tmp/large"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "OSP_TOKEN="+strings.TrimSpace(token.out.String()), "OSP_SERVER=http://"+listen)
	uid := c.run("/usr/bin/osp", "put", "-q", "/tmp/large")
	for range 20 {
		if status := fetched(t, "http://"+listen+"/healthz"); status != http.StatusOK {
			t.Errorf("a read while one node is gone: %d", status)
		}
	}
	c.run("/usr/bin/osp", "get", uid, "-o", "/tmp/large-back")
	if back, err := os.ReadFile(filepath.Join(image.Root, "tmp/large-back")); err != nil || !bytes.Equal(back, data) {
		t.Errorf("%d bytes came back of %d, %v", len(back), len(data), err)
	}
	c.run("/usr/bin/osp", "rm", "-y", uid)
	if err := daemon.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if exit := daemon.wait(t); exit != 0 {
		t.Errorf("told to stop: exit %d: %s", exit, daemon.errors.String())
	}
}

// checkCluster: the certificate and the configuration that the compose file has
// made for a node are what ospd takes.
func checkCluster(t *testing.T, image *Image) {
	cluster := compose(t, "compose.cluster.yaml")
	authority := filepath.Join(image.Root, "authority")
	if err := errors.Join(os.MkdirAll(authority, 0o700), give(authority, &[2]int{65532, 65532})); err != nil {
		t.Fatal(err)
	}
	node := cluster.Services["ospd1"]
	c := newContainer(t, image, "OSPD_CLUSTER__ADVERTISE="+*node.Environment["OSPD_CLUSTER__ADVERTISE"])
	if certificate := c.ospd(cluster.Services["certificate1"].Command...); certificate.wait(t) != 0 {
		t.Fatalf("certificate1: %s", certificate.errors.String())
	}
	_, config := secrets(t, t.TempDir())
	path := node.Command[slices.Index(node.Command, "--config")+1]
	if err := copyFile(config, filepath.Join(image.Root, path), &[2]int{65532, 65532}); err != nil {
		t.Fatal(err)
	}
	// What reads a configuration whole, and then finds no store of that name.
	try := c.ospd("store", "test", "none", "--config", path)
	if exit := try.wait(t); exit != 2 || !strings.Contains(try.errors.String(), "there are minio") {
		t.Errorf("the configuration of a node: exit %d: %s", exit, try.errors.String())
	}
}

// fetched is the status of a GET.
func fetched(t *testing.T, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close() // the status is all
	return answer.StatusCode
}
