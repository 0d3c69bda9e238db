package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/store/open"
)

func TestDefaults(t *testing.T) {
	dir := t.TempDir()
	cfg, err := LoadConfig("", nil, map[string]any{"data": dir})
	if err != nil {
		t.Fatal(err)
	}
	want := open.Config{Type: "local", Path: filepath.Join(dir, "blobs")}
	if cfg.Listen != "127.0.0.1:8888" || cfg.DefaultStore != "disk" || len(cfg.Stores) != 1 || cfg.Stores["disk"] != want ||
		cfg.AdminListen != "" || cfg.VerifyReads != file.VerifyFirst || cfg.DrainTimeout != time.Minute {
		t.Errorf("defaults are %+v", cfg)
	}
	if d, s := cfg.Digests, cfg.Scrub; d.Stores != "local" || d.Rate != 64<<20 || s.Period != 30*24*time.Hour || s.Rate != 32<<20 {
		t.Errorf("defaults are %+v, %+v", d, s)
	}
}

// Digests are of the stores that are folders unless somebody says otherwise.
func TestDigestStores(t *testing.T) {
	for stores, want := range map[string]string{"local": "disk", "all": "ali disk", "none": ""} {
		c := Config{Digests: DigestConfig{Stores: stores}, Stores: map[string]open.Config{"disk": {Type: "local"}, "ali": {Type: "oss"}}}
		got := c.digestStores()
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s are %q", stores, got)
		}
	}
}

// TestPrecedence: a flag goes before the environment, that before the file.
func TestPrecedence(t *testing.T) {
	path := write(t, `
listen: 127.0.0.1:1001
admin_listen: 127.0.0.1:1002
drain_timeout: 5s
default_store: b
stores:
  a: {type: local, path: /srv/a}
  b: {type: local, path: /srv/b}
`)
	environ := []string{
		"OSPD_LISTEN=127.0.0.1:2001", "OSPD_ADMIN_LISTEN=127.0.0.1:2002", "OSPD_STORES__A__PATH=/mnt/a",
		// What a container platform sets for a service of that name.
		"OSPD_SERVICE_HOST=10.0.0.1", "OSPD_PORT_8888_TCP_ADDR=10.0.0.1", "OSPD_PORT=tcp://10.0.0.1:8888",
	}
	cfg, err := LoadConfig(path, environ, map[string]any{"listen": "127.0.0.1:3001"})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{cfg.Listen, cfg.AdminListen, cfg.DrainTimeout.String(), cfg.Stores["a"].Path, cfg.Stores["b"].Path, cfg.DefaultStore}
	want := []string{"127.0.0.1:3001", "127.0.0.1:2002", "5s", "/mnt/a", "/srv/b", "b"}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestOrigins: what browsers send as Origin is what is written.
func TestOrigins(t *testing.T) {
	want := []string{"https://app.example.com", "http://localhost:3000", "http://[::1]:8080", "https://xn--fsqu00a.cn:8443", "*"}
	text := "cors:\n  origins: ['" + strings.Join(want, "', '") + "']\n"
	cfg, err := LoadConfig(write(t, text), nil, map[string]any{"data": t.TempDir()})
	if err != nil || !slices.Equal(cfg.CORS.Origins, want) {
		t.Errorf("got %q, %v", cfg.CORS.Origins, err)
	}
	cfg, err = LoadConfig("", []string{"OSPD_CORS__ORIGINS=" + strings.Join(want, ",")}, map[string]any{"data": t.TempDir()})
	if err != nil || !slices.Equal(cfg.CORS.Origins, want) {
		t.Errorf("from the environment: %q, %v", cfg.CORS.Origins, err)
	}
}

func TestRefusedConfigs(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"unknown key":               {"lisen: 127.0.0.1:1", "lisen"},
		"unknown key of a store":    {"stores: {a: {type: local, path: /a, pth: /b}}", "pth"},
		"not YAML":                  {"listen: [", "read "},
		"no port":                   {"listen: 127.0.0.1", "HOST:PORT"},
		"a name":                    {"listen: example.com:80", "HOST:PORT"},
		"a public URL that is none": {"public_url: files.example.com", "public_url"},
		"admin for all":             {"admin_listen: 0.0.0.0:80", "loopback"},
		"another database":          {"db: mysql://user:hunter2@host/name", "neither sqlite nor"},
		"no database":               {"db: ''", "neither sqlite nor"},
		"a password for an address": {"db: hunter2", "neither sqlite nor"},
		"a password with a slash":   {"db: postgres://user:hun/ter2@host/name", "%XX"},
		"a database without a name": {"db: postgres://user:hunter2@host", "names no database"},
		"a pool of none":            {"db: postgres://user:hunter2@host/name?pool_max_conns=0", "pool_max_conns"},
		"a list of databases":       {"db: [postgres://user:hunter2@host/name, sqlite]", "db"},
		"keys of a database":        {"db: {address: postgres://user:hunter2@host/name}", "db"},
		"a store of a later day":    {"stores: {a: {type: s3, path: /a}}", "s3"},
		"a relative path":           {"stores: {a: {type: local, path: blobs}}", "absolute"},
		"two stores, one folder":    {"default_store: a\nstores: {a: {type: local, path: /a}, b: {type: local, path: /a/}}", "where those of store a lie"},
		"no default":                {"stores: {a: {type: local, path: /a}, b: {type: local, path: /b}}", "default_store is missing"},
		"reads sometimes":           {"verify_reads: sometimes", "always"},
		"no time to drain":          {"drain_timeout: 0s", "drain_timeout"},
		"not a time":                {"drain_timeout: soon", "drain_timeout"},
		"a job of no kind":          {"jobs: {concurrency: {frob: 2}}", "expire"},
		"no jobs at once":           {"jobs: {concurrency: {scrub: 0}}", "jobs.concurrency.scrub"},
		"a negative size":           {"max_size: -1", "max_size"},
		"an origin with a path":     {"cors: {origins: [https://app.example.com/]}", "write https://app.example.com"},
		"a page's address":          {"cors: {origins: [https://app.example.com/login]}", "write https://app.example.com"},
		"an origin in capitals":     {"cors: {origins: [https://App.example.com]}", "write https://app.example.com"},
		"an origin's usual port":    {"cors: {origins: [https://app.example.com:443]}", "write https://app.example.com"},
		"an origin without scheme":  {"cors: {origins: [app.example.com]}", "is not an origin"},
		"an origin of a family":     {"cors: {origins: ['https://*.example.com']}", "is not an origin"},
		"an origin with a user":     {"cors: {origins: [https://ann@example.com]}", "is not an origin"},
		"an origin of files":        {"cors: {origins: ['file://']}", "is not an origin"},
		"an origin without host":    {"cors: {origins: ['http://:80']}", "is not an origin"},
		"an origin in Chinese":      {"cors: {origins: [https://例子.cn]}", "xn--"},
		"nobody's origin":           {"cors: {origins: ['null']}", "nobody"},
		"an empty origin":           {"cors: {origins: ['']}", "is not an origin"},
		"two origins in one":        {"cors: {origins: ['https://a.example, https://b.example']}", "is not an origin"},
		"digests of what":           {"digests: {stores: some}", "digests.stores"},
		"a negative rate":           {"digests: {rate: -1}", "digests.rate"},
		"a scrub in the past":       {"scrub: {period: -1h}", "scrub.period"},
		"a scrub at no rate":        {"scrub: {rate: -1}", "scrub.rate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadConfig(write(t, c.text), nil, map[string]any{"data": t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error that says %q", err, c.says)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2@")) {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

// TestEverythingWrongIsNamed: an operator mends all at once.
func TestEverythingWrongIsNamed(t *testing.T) {
	_, err := LoadConfig(write(t, "listen: nowhere\nverify_reads: never\ndrain_timeout: -1s"), nil, nil)
	for _, key := range []string{"listen", "verify_reads", "drain_timeout"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ospd.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
