package profile

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// sample has the form of a token, and no daemon knows it.
const sample = "osp_Ab3dEf6hIj9l_" + "0123456789abcdefghijABCDEFGHIJ0123456789abcdefghi"

// secretPart is what must be printed nowhere.
const secretPart = "0123456789abcdefghij"

func write(t *testing.T, mode os.FileMode, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	tests := []struct {
		name string
		mode os.FileMode
		text string
		want string // in the error; "" is none
	}{
		{"empty", 0o600, "", ""},
		{"comments only", 0o644, "# nothing\n", ""},
		{"a token", 0o600, "profiles: {a: {token: " + sample + "}}", ""},
		{"a token others may read", 0o604, "profiles: {a: {token: " + sample + "}}", "chmod 600 "},
		{"a token the group may read", 0o640, "profiles: {a: {token: " + sample + "}}", "mode is 0640"},
		{"a token the group may write", 0o620, "profiles: {a: {token: " + sample + "}}", "chmod 600 "},
		{"no token, others may read", 0o644, "current: a\nprofiles: {a: {server: http://h:1}}", ""},
		{"a command others may read", 0o644, "profiles: {a: {token_command: pass show osp}}", ""},
		{"a command others may write", 0o666, "profiles: {a: {token_command: pass show osp}}", "chmod 600 "},
		{"both", 0o600, "profiles: {a: {token: " + sample + ", token_command: x}}", "both a token and a token_command"},
		{"unknown key", 0o600, "profiles: {a: {tokens: x}}", "field tokens not found"},
		{"bad name", 0o600, "profiles: {a/b: {}}", "no name of a profile"},
		{"bad current", 0o600, "current: a b", "no name of a profile"},
		{"token for a name", 0o600, "profiles: {" + sample + ": {}}", "no name of a profile"},
		{"token for a key", 0o600, "profiles: {a: {" + sample + ": x}}", "not found in type"},
		{"token for a profile", 0o600, "profiles: {a: " + sample + "}", "cannot unmarshal"},
		{"not YAML", 0o600, "profiles: [" + sample, "line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.mode, tt.text)
			_, err := Load(path)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e, ok := err.(*protocol.Error)
			if !ok || e.Kind != protocol.KindUsage {
				t.Fatalf("%#v, want a usage error", err)
			}
			text := e.Error() + e.Hint
			if !strings.Contains(text, tt.want) || !strings.Contains(text, path) || strings.Contains(text, secretPart) {
				t.Errorf("%q, want %q and the path, and no secret", text, tt.want)
			}
			if err := Update(path, func(*Config) error { return nil }); err == nil {
				t.Error("what cannot be loaded was written over")
			}
		})
	}
}

func TestMissingFileIsEmpty(t *testing.T) {
	c, err := Load(filepath.Join(t.TempDir(), "none"))
	if err != nil || c.Current != "" || c.Profiles != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "config.yaml")
	set := func(c *Config) error {
		c.Current = "a"
		c.Profiles["a"] = Profile{Server: "http://h:1", Token: sample}
		return nil
	}
	if err := Update(path, set); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil || c.Current != "a" || c.Profiles["a"] != (Profile{Server: "http://h:1", Token: sample}) {
		t.Fatalf("%+v, %v", c, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	before, _ := os.ReadFile(path)
	refused := protocol.Errorf(protocol.KindUsage, "no")
	for _, change := range []func(*Config) error{
		func(c *Config) error { c.Current = "b"; return refused },
		func(c *Config) error { c.Profiles["b"] = Profile{Token: "t", TokenCommand: "c"}; return nil },
	} {
		if err := Update(path, change); err == nil {
			t.Error("a change that is refused was made")
		}
	}
	after, _ := os.ReadFile(path)
	if string(after) != string(before) {
		t.Errorf("the file changed to\n%s", after)
	}
}

func TestUpdateKeepsALink(t *testing.T) {
	path := write(t, 0o600, "current: a\n")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := Update(link, func(c *Config) error { c.Current = "b"; return nil }); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if info, lerr := os.Lstat(link); err != nil || lerr != nil || c.Current != "b" || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%+v, %v, %v", c, err, lerr)
	}
}

func TestUpdatesAtOnceLoseNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			if err := Update(path, func(c *Config) error { c.Profiles[fmt.Sprint(i)] = Profile{Server: "http://h"}; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if c, err := Load(path); err != nil || len(c.Profiles) != 8 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	for secret, want := range map[Secret]string{"": "", sample: "osp_Ab3dEf6hIj9l_…", "hunter2": "…", "osp_x": "…",
		"osp_hunter2_y": "…", sample + "0": "…", "x" + sample: "…"} {
		if got := secret.String(); got != want {
			t.Errorf("String of a secret is %q, want %q", got, want)
		}
		value := slog.AnyValue(secret).Resolve().String()
		if text := fmt.Sprintf("%v %+v %#v %s %q", secret, Profile{Token: secret}, secret, secret, secret) + value; secret != "" && strings.Contains(text, secret.Text()) {
			t.Errorf("printed %s", text)
		}
	}
}

func TestReadSecretFile(t *testing.T) {
	tests := []struct {
		name string
		mode os.FileMode
		text string
		want string // in the error; "" is none
	}{
		{"alone", 0o600, sample, ""},
		{"spaces around", 0o400, "\n  " + sample + "\r\n", ""},
		{"empty", 0o600, "\n", "no token"},
		{"two words", 0o600, sample + "\n" + sample, "one word"},
		{"no ASCII", 0o600, "tökén", "one word"},
		{"too long", 0o600, strings.Repeat("x", maxToken+1), "longer"},
		{"others may read", 0o644, sample, "chmod 600"},
		{"the group may read", 0o640, sample, "chmod 600"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.mode, tt.text)
			secret, err := ReadSecretFile(path)
			if tt.want == "" {
				if err != nil || secret.Text() != sample {
					t.Errorf("%v, %v", secret, err)
				}
				return
			}
			if protocol.KindOf(err) != protocol.KindUsage {
				t.Fatalf("%v, want a usage error", err)
			}
			if text := err.Error() + hint(err); !strings.Contains(text, tt.want) || !strings.Contains(text, path) || strings.Contains(text, secretPart) {
				t.Errorf("%q, want %q and the path", text, tt.want)
			}
		})
	}
	if _, err := ReadSecretFile(filepath.Join(t.TempDir(), "none")); protocol.KindOf(err) != protocol.KindUsage {
		t.Errorf("missing: %v", err)
	}
}

func hint(err error) string {
	if e, ok := err.(*protocol.Error); ok {
		return e.Hint
	}
	return ""
}

func TestDefaultPath(t *testing.T) {
	t.Setenv("OSP_HOME", "/x")
	if got := DefaultPath(); got != filepath.Join("/x", "config.yaml") {
		t.Error(got)
	}
	t.Setenv("OSP_HOME", "")
	if got := DefaultPath(); !strings.HasSuffix(got, filepath.Join("osp", "config.yaml")) {
		t.Error(got)
	}
}
