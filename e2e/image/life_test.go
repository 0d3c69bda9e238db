package image

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
