package browser

import (
	"encoding/json"
	"os"
	"testing"
)

// TestLock: what is installed is one version by its sum, from whichever registry
// a machine has: the lock names none.
func TestLock(t *testing.T) {
	var wanted struct{ Dependencies map[string]string }
	var lock struct {
		Packages map[string]struct{ Version, Resolved, Integrity string }
	}
	for name, into := range map[string]any{"package.json": &wanted, "package-lock.json": &lock} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if len(wanted.Dependencies) != 1 || len(lock.Packages) != 2 {
		t.Errorf("%d packages are wanted and %d locked", len(wanted.Dependencies), len(lock.Packages)-1)
	}
	for name, version := range wanted.Dependencies {
		p := lock.Packages["node_modules/"+name]
		if p.Version != version || p.Integrity == "" || p.Resolved != "" {
			t.Errorf("%s %s is locked as %+v", name, version, p)
		}
	}
}
