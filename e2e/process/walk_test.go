//go:build servers

package process

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
)

// TestWalkFromOneNodeToThree does what docs/operations.md says, block by block,
// and gets every file under its uid after each of them, from every node there is.
// What the page waits for comes sooner here.
func TestWalkFromOneNodeToThree(t *testing.T) {
	w := newWalk(t)
	for _, b := range blocksOf(t, filepath.Join("..", "..", "docs", "operations.md")) {
		w.do(b)
		w.holds()
	}
	if len(w.files) < 4 || len(w.running()) != 2 || w.daemons["first"] != nil {
		t.Fatalf("the walk ended with %d nodes and %d files", len(w.running()), len(w.files))
	}
	for node, d := range w.running() {
		if exit := w.stop(node, d); exit != 0 {
			t.Errorf("%s left with %d:\n%s", node, exit, d.Stderr())
		}
	}
	if said := w.sh("second", "ospd fsck --read-data --config /etc/ospd/ospd.yaml"); strings.Contains(said, "UNCHECKED") {
		w.Errorf("of the node that was taken out is left: %s", said)
	}
}

// block is a fenced block of a page: its language and its lines.
type block struct{ language, text string }

func blocksOf(t *testing.T, path string) (blocks []block) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split("\n"+string(page), "\n```") {
		if i%2 == 1 {
			language, text, _ := strings.Cut(part, "\n")
			blocks = append(blocks, block{language, text + "\n"})
		}
	}
	return blocks
}

// walk is whom the page tells what to do: the machines it names are folders here
// and addresses of loopback.
type walk struct {
	*testing.T
	dir     string
	world   *strings.Replacer
	env     []string
	daemons map[string]*harness.Process
	files   map[string]string // by uid, the path of what was put
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{T: t, dir: t.TempDir(), daemons: map[string]*harness.Process{}, files: map[string]string{}}
	_, address := postgres(t, false)
	s3 := s3server.Start(t, s3server.MinIO())
	world := []string{
		"postgres://ospd:PASSWORD@10.0.0.9:5432/ospd", address,
		"http://10.0.0.8:9000", s3.Endpoint, "bucket: files", "bucket: " + s3.Bucket(t),
		"access_key_id: KEY", "access_key_id: " + s3.AccessKeyID, "secret_access_key: SECRET", "secret_access_key: " + s3.SecretAccessKey,
		"/mnt/authority", filepath.Join(w.dir, "authority"),
	}
	for _, port := range []string{"8888", "9101"} {
		for node := 1; node <= 3; node++ {
			world = append(world, fmt.Sprintf("10.0.0.%d:%s", node, port), freeAddress(t))
		}
	}
	w.world = strings.NewReplacer(world...)
	w.env = []string{"PATH=" + filepath.Dir(bin.OSP) + ":" + os.Getenv("PATH"), "OSP_HOME=" + filepath.Join(w.dir, "home"), "OSP_PROGRESS=none", "OSPD_SWEEP_INTERVAL=500ms",
		w.on("first", "OSP_SERVER=http://10.0.0.1:8888"), w.on("first", "OSP_TOKEN_FILE=/etc/ospd/token")}
	return w
}

// freeAddress is one of loopback at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// on is a text of the page where the machines are those of the walk.
func (w *walk) on(node, text string) string {
	root := filepath.Join(w.dir, node)
	return strings.NewReplacer("/etc/ospd", root+"/etc", "/var/lib/ospd", root+"/data", "/srv/blobs", root+"/blobs", "sleep 60", "sleep 0.2").Replace(w.world.Replace(text))
}

// nodeOf is the machine that a comment names, the first where it names none.
func nodeOf(comment string) string {
	if _, node, ok := strings.Cut(comment, " on the "); ok {
		return strings.Fields(node)[0]
	}
	return "first"
}

func (w *walk) do(b block) {
	w.Helper()
	switch b.language {
	case "yaml":
		comment, _, _ := strings.Cut(b.text, "\n")
		node := nodeOf(comment)
		path, _, _ := strings.Cut(w.on(node, strings.TrimPrefix(comment, "# ")), " ")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			w.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(w.on(node, b.text)), 0o600); err != nil {
			w.Fatal(err)
		}
	case "sh":
		for line := range strings.Lines(b.text) {
			w.line(strings.TrimSpace(line))
		}
	default:
		w.Fatalf("nothing is known of blocks of %q", b.language)
	}
}

// line does one line of a shell.
func (w *walk) line(line string) {
	w.Helper()
	node := nodeOf(line)
	words := strings.Fields(line)
	switch {
	case words[0] == "systemctl":
		w.service(words[1], node)
	case words[0] == "export":
		for _, v := range words[1:] {
			if !slices.Contains(w.env, w.on(node, v)) {
				w.Errorf("%s: the walk is with %q", line, w.env)
			}
		}
	case strings.HasPrefix(line, "osp put "):
		path := harness.WriteFile(w.T, words[2], harness.Content(1, 9<<20))
		w.put("first", path)
	default:
		w.sh(node, line)
	}
}

func (w *walk) sh(node, line string) string {
	w.Helper()
	p := harness.Start(w.T, w.env, w.dir, "/bin/sh", "-euc", w.on(node, line))
	if exit := p.Wait(); exit != 0 {
		w.Fatalf("%s: exit %d\n%s%s", line, exit, p.Stdout(), p.Stderr())
	}
	return p.Stdout()
}

func (w *walk) put(node, path string) {
	w.Helper()
	w.files[strings.TrimSpace(w.sh(node, fmt.Sprintf("osp put -q %s --server http://10.0.0.%d:8888", path, numbers()[node])))] = path
}

// numbers are the last ones of the addresses of the machines.
func numbers() map[string]int { return map[string]int{"first": 1, "second": 2, "third": 3} }

// service does what systemctl does.
func (w *walk) service(verb, node string) {
	w.Helper()
	if d := w.daemons[node]; verb != "start" && d != nil {
		if exit := w.stop(node, d); exit != 0 {
			w.Fatalf("ospd on the %s node left with %d:\n%s", node, exit, d.Stderr())
		}
	}
	if verb == "stop" {
		return
	}
	ready := filepath.Join(w.TempDir(), "ready")
	d := harness.Start(w.T, w.env, w.dir, bin.OSPD, "--config", w.on(node, "/etc/ospd/ospd.yaml"), "--ready-file", ready)
	harness.Eventually(w.T, "ospd on the "+node+" node is ready\n"+d.Stderr(), func() bool {
		select {
		case <-d.Done():
			w.Fatalf("ospd on the %s node ended with %d:\n%s", node, d.Wait(), d.Stderr())
		default:
		}
		_, err := os.Stat(ready)
		return err == nil
	})
	w.daemons[node] = d
	w.put(node, harness.WriteFile(w.T, fmt.Sprint("file", len(w.files)), harness.Content(uint64(10+len(w.files)), 100_000)))
}

func (w *walk) stop(node string, d *harness.Process) int {
	d.Signal(os.Interrupt)
	delete(w.daemons, node)
	return d.Wait()
}

func (w *walk) running() map[string]*harness.Process { return maps.Clone(w.daemons) }

// holds gets every file from every node.
func (w *walk) holds() {
	w.Helper()
	for node, n := range numbers() {
		if w.daemons[node] == nil {
			continue
		}
		for uid, path := range w.files {
			to := filepath.Join(w.TempDir(), uid)
			w.sh(node, fmt.Sprintf("osp get %s -o %s --server http://10.0.0.%d:8888", uid, to, n))
			if harness.SumFile(w.T, to) != harness.SumFile(w.T, path) {
				w.Errorf("%s came back from the %s node as something else", path, node)
			}
		}
	}
}
