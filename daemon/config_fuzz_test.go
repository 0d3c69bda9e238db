package daemon

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzLoadConfig: a configuration that is accepted says where everything is,
// and completing it again changes nothing.
func FuzzLoadConfig(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "ospd.yaml")
	f.Fuzz(func(t *testing.T, text, environ string) {
		// Written anew: some file systems flush a file that is cut and filled again.
		os.Remove(path)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := LoadConfig(path, strings.Split(environ, "\n"), map[string]any{"data": dir})
		if err != nil {
			return
		}
		again := cfg
		if err := again.Complete(); err != nil || !reflect.DeepEqual(again, cfg) {
			t.Errorf("%q and %q: %+v, and again %+v, %v", text, environ, cfg, again, err)
		}
		for name, s := range cfg.Stores {
			if !filepath.IsAbs(s.Path) {
				t.Errorf("%q and %q: store %s is at %q", text, environ, name, s.Path)
			}
		}
		if _, ok := cfg.Stores[cfg.DefaultStore]; !ok || cfg.Data != dir {
			t.Errorf("%q and %q: %+v", text, environ, cfg)
		}
	})
}
