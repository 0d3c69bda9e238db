package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store/open"
)

func config(t *testing.T) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Listen, cfg.Data, cfg.DrainTimeout = "127.0.0.1:0", filepath.Join(t.TempDir(), "data"), 10*time.Second
	return Located(t, cfg)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// running is a daemon at work; stop ends it and gives what Run returned.
func running(t *testing.T, cfg Config) (d *Daemon, stop func() error) {
	t.Helper()
	d, err := New(t.Context(), cfg, "test", quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return d, stop
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func stageOf(err error) Stage {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Stage
	}
	return ""
}

func TestServesAndStops(t *testing.T) {
	cfg := config(t)
	cfg.AdminListen = "127.0.0.1:0"
	d, stop := running(t, cfg)
	if status, body := get(t, d.URL()+"/readyz"); status != http.StatusOK {
		t.Errorf("readyz is %d: %s", status, body)
	}
	_, first := get(t, d.URL()+"/v1/capabilities")
	status, body := get(t, "http://"+d.admin.l.Addr().String()+"/metrics")
	if status != http.StatusOK || !strings.Contains(body, "ospd_http_requests_total") {
		t.Errorf("metrics are %d: %.200s", status, body)
	}
	foreign, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.admin.l.Addr().String()+"/debug/pprof/heap", nil)
	if err != nil {
		t.Fatal(err)
	}
	foreign.Host = "evil.example"
	if status, _ := do(t, foreign); status != http.StatusForbidden {
		t.Errorf("a foreign name gets %d from the admin listener", status)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	d, _ = running(t, cfg)
	if _, again := get(t, d.URL()+"/v1/capabilities"); again != first {
		t.Errorf("after a restart the daemon is another: %s, then %s", first, again)
	}
}

// TestFeatures: what a daemon says it can do goes by its configuration.
func TestFeatures(t *testing.T) {
	for scope, want := range map[meta.Scope]string{meta.ScopeOwner: `"features":["probe","instant"]`, meta.ScopeOff: `"features":["probe"]`} {
		cfg := config(t)
		cfg.Instant = scope
		d, _ := running(t, cfg)
		if _, caps := get(t, d.URL()+"/v1/capabilities"); !strings.Contains(caps, want) {
			t.Errorf("instant %s: %s", scope, caps)
		}
	}
}

// TestPublicURL: through a proxy the daemon is asked under the proxy's name.
func TestPublicURL(t *testing.T) {
	cfg := config(t)
	cfg.PublicURL = "https://files.example.com"
	d, _ := running(t, cfg)
	for host, want := range map[string]int{"files.example.com": http.StatusOK, "other.example.com": http.StatusForbidden} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL()+"/v1/capabilities", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if status, body := do(t, req); status != want {
			t.Errorf("%s: %d, want %d: %s", host, status, want, body)
		}
	}
}

func TestStartingStops(t *testing.T) {
	used := config(t)
	running(t, used)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		change func(cfg *Config)
		stage  Stage
	}{
		"a wrong configuration":  {func(cfg *Config) { cfg.Listen = "nowhere" }, StageConfig},
		"a listener for all":     {func(cfg *Config) { cfg.Listen = "0.0.0.0:0" }, StageConfig},
		"a daemon on the folder": {func(cfg *Config) { cfg.Data = used.Data }, StageLock},
		"a port that is taken":   {func(cfg *Config) { cfg.Listen = taken.Addr().String() }, StageListener},
		"an admin port taken":    {func(cfg *Config) { cfg.AdminListen = taken.Addr().String() }, StageListener},
		"a store of another": {func(cfg *Config) {
			cfg.Stores = map[string]open.Config{"disk": {Type: "local", Path: filepath.Join(used.Data, "blobs")}}
		}, StageStore},
		"a database that is none": {func(cfg *Config) { spoil(t, cfg) }, StageDatabase},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t)
			c.change(&cfg)
			d, err := New(t.Context(), cfg, "test", quiet())
			if err == nil {
				t.Fatal(errors.Join(errors.New("it started"), d.Close()))
			}
			if got := stageOf(err); got != c.stage {
				t.Errorf("stopped at %q, want %q: %v", got, c.stage, err)
			}
		})
	}
}

// spoil has a file that is no database be where SQLite's is to be.
func spoil(t *testing.T, cfg *Config) {
	t.Helper()
	cfg.DB = Database{}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Data, "meta.db"), []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestUnmountedStore: a folder that was used before and is empty now is an
// unmounted disk, not a new store.
func TestUnmountedStore(t *testing.T) {
	cfg := config(t)
	_, stop := running(t, cfg)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	blobs := filepath.Join(cfg.Data, "blobs")
	if err := os.Rename(blobs, blobs+".away"); err != nil {
		t.Fatal(err)
	}
	if d, err := New(t.Context(), cfg, "test", quiet()); stageOf(err) != StageStore {
		t.Errorf("started on an unmounted store: %v, %v", d, err)
	}
	if err := os.Rename(blobs+".away", blobs); err != nil {
		t.Fatal(err)
	}
	running(t, cfg)
}

// TestReadyzNamesTheStore: a store that loses its mark at work is not used in
// silence.
func TestReadyzNamesTheStore(t *testing.T) {
	cfg := config(t)
	d, _ := running(t, cfg)
	mark := filepath.Join(cfg.Data, "blobs", "STORE")
	if err := os.Rename(mark, mark+".away"); err != nil {
		t.Fatal(err)
	}
	if status, body := get(t, d.URL()+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "store disk") {
		t.Errorf("readyz is %d: %s", status, body)
	}
	if status, _ := get(t, d.URL()+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz is %d", status)
	}
}

func TestUnixAdmin(t *testing.T) {
	cfg := config(t)
	socket := filepath.Join(t.TempDir(), "admin.sock")
	cfg.AdminListen = "unix:" + socket
	for range 2 { // the second start finds what a crash would leave
		_, stop := running(t, cfg)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
		res, err := client.Get("http://admin/metrics")
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckNeedsAStoppedInstallation(t *testing.T) {
	cfg := config(t)
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(t.Context(), cfg, true, quiet()); stageOf(err) != StageDatabase {
		t.Errorf("checked what is not there: %v", err)
	}
	if _, err := os.Stat(cfg.Data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the check made the data folder: %v", err)
	}
	_, stop := running(t, cfg)
	if _, err := Check(t.Context(), cfg, true, quiet()); stageOf(err) != StageLock {
		t.Errorf("checked under a daemon: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	report, err := Check(t.Context(), cfg, true, quiet())
	if err != nil || !report.Clean() {
		t.Errorf("an empty installation: %+v, %v", report, err)
	}
}
