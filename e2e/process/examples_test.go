//go:build servers

package process

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// exampleOf is the indented block of README.md that begins so, with the address
// of a daemon in place of the usual one.
func exampleOf(t *testing.T, url, beginning string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var block strings.Builder
	for line := range strings.Lines(string(text)) {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case block.Len() == 0 && (!indented || !strings.HasPrefix(code, beginning)):
		case indented:
			block.WriteString(code)
		case line == "\n":
			block.WriteString(line)
		default:
			example := strings.TrimSpace(block.String()) + "\n"
			if lines := strings.Count(example, "\n"); lines > 25 {
				t.Errorf("the example %q has %d lines, and is to have 25 at most", beginning, lines)
			}
			return strings.ReplaceAll(example, "http://127.0.0.1:8888", url)
		}
	}
	t.Fatalf("README.md has no example that begins with %q", beginning)
	return ""
}

// runExample runs a program in the folder, and gives what it printed.
func runExample(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("the examples of README.md need %s; scripts/need-servers.sh says how to get it: %v", program, err)
	}
	p := harness.Start(t, []string{"NO_PROXY=*", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off"}, dir, path, args...)
	if exit := p.Wait(); exit != 0 {
		t.Fatalf("%s left with %d:\n%s%s", program, exit, p.Stdout(), p.Stderr())
	}
	return p.Stdout()
}

var exampleReport, examplePhoto = harness.Content(1, 5000), harness.Content(2, 70_000)

// exampleFolder has the two files that the examples are about.
func exampleFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{"report.pdf": exampleReport, "photo.jpg": examplePhoto} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// onlyPhoto: the report was deleted, and what was put by the link is there, as
// the example says that it was listed.
func onlyPhoto(t *testing.T, d *harness.Daemon, printed string) {
	t.Helper()
	files := d.API().Files()
	if len(files) != 1 || files[0].Name != "inbox/photo.jpg" {
		t.Fatalf("the daemon has %+v", files)
	}
	d.API().MustHold(files[0].UID, examplePhoto)
	if !strings.Contains(printed, files[0].UID.String()) || !strings.Contains(printed, files[0].Name) {
		t.Errorf("the list it printed: %q", printed)
	}
}

func exampleFile(t *testing.T, dir, name string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != string(want) {
		t.Errorf("%s has %d bytes and is to have %d, those of the file (%v)", name, len(got), len(want), err)
	}
}

func TestExampleCurl(t *testing.T) {
	d, dir := harness.StartDaemon(t, bin, t.TempDir()), exampleFolder(t)
	script := harness.WriteFile(t, "example.sh", []byte(exampleOf(t, d.URL, "ospd=")))
	onlyPhoto(t, d, runExample(t, dir, "sh", "-eu", script))
	exampleFile(t, dir, "first", exampleReport[:100])
	exampleFile(t, dir, "copy.pdf", exampleReport)
	stopClean(t, d)
}

func TestExamplePython(t *testing.T) {
	d, dir := harness.StartDaemon(t, bin, t.TempDir()), exampleFolder(t)
	end := "open('first', 'wb').write(first)\nopen('copy.pdf', 'wb').write(copy)\n"
	script := harness.WriteFile(t, "example.py", []byte(exampleOf(t, d.URL, "import json")+end))
	onlyPhoto(t, d, runExample(t, dir, "python3", script))
	exampleFile(t, dir, "first", exampleReport[:100])
	exampleFile(t, dir, "copy.pdf", exampleReport)
	stopClean(t, d)
}

// The Go example is a function. What calls it, and what the file imports, is
// here.
const exampleGo = `package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

func main() {
	report, err := os.ReadFile("report.pdf")
	if err != nil {
		log.Fatal(err)
	}
	c, err := CLIENT
	if err != nil {
		log.Fatal(err)
	}
	if err := example(context.Background(), c, report); err != nil {
		log.Fatal(err)
	}
}

`

// clientOf is how README.md says that a client of a daemon is made.
func clientOf(t *testing.T, url string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile("`(client\\.New\\([^`]+\\))`").FindSubmatch(text)
	if made == nil {
		t.Fatal("README.md does not say how a client is made")
	}
	return strings.ReplaceAll(string(made[1]), "http://127.0.0.1:8888", url)
}

func TestExampleGo(t *testing.T) {
	d, dir := harness.StartDaemon(t, bin, t.TempDir()), exampleFolder(t)
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go .*$`).FindString(string(module))
	for name, text := range map[string]string{
		"go.mod": fmt.Sprintf("module example.com/application\n\n%s\n\nrequire github.com/osproxy/osproxy v0.0.0\n\nreplace github.com/osproxy/osproxy => %s\n", version, root),
		"go.sum": string(sums), "main.go": strings.Replace(exampleGo, "CLIENT", clientOf(t, d.URL), 1) + exampleOf(t, d.URL, "func example("),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runExample(t, dir, "go", "build", "-o", "application", ".")
	runExample(t, dir, "go", "vet", ".")
	printed := runExample(t, dir, filepath.Join(dir, "application"))
	links := regexp.MustCompile(`/l/\S+`).FindAllString(printed, -1)
	if !strings.Contains(printed, string(exampleReport[:100])) || len(links) != 2 {
		t.Fatalf("it printed %q", printed)
	}
	api := d.API()
	if ans := api.Do(http.MethodGet, links[0], nil, 0); ans.Status != http.StatusNotFound {
		t.Errorf("the link of the file that was deleted answers %d", ans.Status)
	}
	api.Require(api.Do(http.MethodPut, links[1], strings.NewReader(string(examplePhoto)), int64(len(examplePhoto))), http.StatusCreated)
	onlyPhoto(t, d, printed+api.Files()[0].UID.String()+" inbox/photo.jpg")

	for _, size := range []int{0, 1, 99} {
		short := t.TempDir()
		if err := os.WriteFile(filepath.Join(short, "report.pdf"), exampleReport[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if printed := runExample(t, short, filepath.Join(dir, "application")); !strings.HasPrefix(printed, string(exampleReport[:size])+"\nto get it:") {
			t.Errorf("with a file of %d bytes it printed %q", size, printed)
		}
	}
	stopClean(t, d)
}
