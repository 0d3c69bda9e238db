//go:build postgres

package daemon

import (
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/store/open"
)

// TestPostgresBytesOnTwoDisks: what a node alone has is all that lies on its
// disks, of which it may have several.
func TestPostgresBytesOnTwoDisks(t *testing.T) {
	cfg := joining(t, config(t))
	cfg.Stores = map[string]open.Config{}
	for _, name := range []string{"disk", "more"} {
		cfg.Stores[name] = open.Config{Type: "local", Path: filepath.Join(t.TempDir(), name)}
	}
	for name, size := range map[string]int{"disk": 100, "more": 7} {
		cfg.DefaultStore = name
		d, stop := running(t, cfg)
		uploadTo(t, d, make([]byte, size))
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	d, _ := running(t, cfg)
	eventually(t, func() bool {
		n := d.ofNode(t, d)
		return n.HeldBytes != nil && *n.HeldBytes == 107
	})
}
