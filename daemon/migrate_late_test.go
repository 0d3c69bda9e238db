package daemon_test

import (
	"testing"

	"github.com/osproxy/osproxy/store"
)

// TestPutsDuringMigrations: a small file whose store was chosen before the source
// was closed holds the end up where it is named there, and else goes elsewhere.
func TestPutsDuringMigrations(t *testing.T) {
	m := newMoving(t)
	m.putSmall(ann, "a", noise(1, 100))
	m.moves("disk", "mem", "1 contents")
	m.target.putting = func(store.Key) error {
		m.target.putting = nil
		id := m.ask("mem", "disk")
		m.waits(m.goOn(id), "waits for 1 objects that are being written")
		return nil
	}
	late := m.putSmall(ann, "late", noise(2, 500))
	m.ended(m.goOn(m.ask("mem", "disk")), "2 contents")
	m.world.reads(ann, late, noise(2, 500))
	m.place.Close(map[string]string{"disk": "mem"}) // what it was told before
	unnamed := m.putSmall(ann, "unnamed", noise(3, 100))
	if e := m.extent(ann, unnamed); e.Store != "disk" {
		t.Errorf("a new blob lies in %s", e.Store)
	}
	must(t, m.db.CloseStore(t.Context(), "disk", "mem"))
	unnamed = m.putSmall(ann, "without a row", noise(4, 100))
	if e := m.extent(ann, unnamed); e.Store != "mem" {
		t.Errorf("a new blob lies in %s", e.Store)
	}
	m.begin(ann, "an upload", noise(5, 5<<20))
	m.moves("disk", "mem", "3 contents")
	m.lies("mem", 4)
	m.end()
}
