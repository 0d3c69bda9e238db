package image

import (
	"debug/elf"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

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
