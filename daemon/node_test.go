package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

// TestNodeID: a data folder has one for ever, and what is no id is not taken
// for one.
func TestNodeID(t *testing.T) {
	data := t.TempDir()
	first, err := nodeID(data)
	if err != nil || !nodeForm.MatchString(string(first)) {
		t.Fatalf("%q, %v", first, err)
	}
	// What a crash while it was made would leave.
	path := filepath.Join(data, "node")
	if err := os.WriteFile(path+".new", []byte("0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := nodeID(data); err != nil || again != first {
		t.Errorf("%q, then %q, %v", first, again, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if other, err := nodeID(data); err != nil || other == first {
		t.Errorf("another is %q, %v", other, err)
	}
	for _, text := range []string{"", "\n", "0123", string(first) + "\n\n", "../" + string(first)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if id, err := nodeID(data); err == nil {
			t.Errorf("%q is the id %q", text, id)
		}
	}
	if _, err := nodeID(filepath.Join(data, "missing")); err == nil {
		t.Error("an id was made in no folder")
	}
}

// TestSpot: a folder has one spot, and its copy another.
func TestSpot(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	if s := spot(a); s != "" {
		t.Errorf("a folder that is not locked has the spot %q", s)
	}
	for _, data := range []string{a, b} {
		l, err := lockData(data)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Unlock() }()
	}
	if spot(b) != "" && spot(a) == spot(b) {
		t.Errorf("two folders have the spot %q", spot(a))
	}
}
