package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestDatabase: file, environment and flag name a database alike.
func TestDatabase(t *testing.T) {
	const address = "postgres://ospd:hunter2@db.example.com:5433/files?pool_max_conns=7"
	data := t.TempDir()
	for name, load := range map[string]func() (Config, error){
		"the file": func() (Config, error) {
			return LoadConfig(write(t, "db: "+address), nil, map[string]any{"data": data})
		},
		"the environment": func() (Config, error) {
			return LoadConfig(write(t, "db: sqlite"), []string{"OSPD_DB=" + address, "OSPD_DB__ADDRESS=x"}, map[string]any{"data": data})
		},
		"a flag": func() (Config, error) {
			return LoadConfig("", []string{"OSPD_DB=sqlite"}, map[string]any{"data": data, "db": address})
		},
	} {
		cfg, err := load()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m := cfg.metadata(quiet()); m.URL != address || m.Path != "" {
			t.Errorf("%s: opens %q and %q", name, m.URL, m.Path)
		}
		if got := cfg.DB.String(); got != "postgres database files at db.example.com:5433" {
			t.Errorf("%s: is called %q", name, got)
		}
	}
	cfg, err := LoadConfig("", []string{"OSPD_DB=" + address}, map[string]any{"data": data, "db": "sqlite"})
	if m := cfg.metadata(quiet()); err != nil || m.URL != "" || m.Path != cfg.databasePath() || cfg.DB != (Database{}) {
		t.Errorf("sqlite opens %q and %q, %v", m.URL, m.Path, err)
	}
}

// TestDatabaseIsNotPrinted: nothing that prints or logs a configuration, or
// what holds one, prints the password in it, nor what else is in an address
// that cannot be read.
func TestDatabaseIsNotPrinted(t *testing.T) {
	for _, address := range []string{"postgres://ospd:hunter2@db/files", "postgres://ospd:hunter2@db:port/files", "postgres://db/files?password=hunter2", "hunter2"} {
		cfg := DefaultConfig()
		cfg.DB = DatabaseAt(address)
		for _, what := range []any{cfg, &cfg, cfg.DB, &cfg.DB, []Config{cfg}, map[string]Database{"db": cfg.DB}, &Daemon{cfg: cfg}, struct{ db Database }{cfg.DB}} {
			var all strings.Builder
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%T", "%t", "%e", "%c", "%U", "%p"} {
				fmt.Fprintf(&all, verb+"\n", what)
			}
			fmt.Fprintln(&all, what)
			if text, err := json.Marshal(what); err == nil {
				all.Write(text)
			}
			if _, daemon := what.(*Daemon); !daemon {
				if text, err := yaml.Marshal(what); err == nil {
					all.Write(text)
				}
			}
			var log bytes.Buffer
			for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
				slog.New(h).Info("configured", "what", what)
			}
			all.Write(log.Bytes())
			for _, secret := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"), fmt.Sprintf("%d", []byte("hunter2"))} {
				if strings.Contains(all.String(), secret) {
					t.Errorf("%T of %q prints %q:\n%s", what, address, secret, all.String())
				}
			}
		}
	}
}
