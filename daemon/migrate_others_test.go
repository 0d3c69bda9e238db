package daemon_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// TestMigrationsDoNotRunAgainstEachOther: an old one that is tried again while its
// opposite runs is refused, and one that goes on all the same ends in the other's
// favour, however old it is.
func TestMigrationsDoNotRunAgainstEachOther(t *testing.T) {
	m := newMoving(t)
	data := noise(1, 100)
	uid := m.putSmall(ann, "a", data)
	open := m.begin(ann, "open", noise(2, 5<<20))
	old := m.ask("disk", "mem")
	m.waits(m.goOn(old), "waits for 1 open uploads")
	_, err := m.db.CancelJob(t.Context(), meta.AnyOwner, old)
	must(t, err)
	between := m.begin(ann, "between", noise(3, 3*protocol.MinPartSize)) // which lies in the opposite's source
	_, err = m.PutPart(t.Context(), ann, between.UID, 1, upload.Body{Reader: bytes.NewReader(noise(3, 3*protocol.MinPartSize)[:between.PartSize]), Length: between.PartSize})
	must(t, err)
	opposite := m.ask("mem", "disk")
	m.waits(m.goOn(opposite), "waits for 1 open uploads")
	_, err = m.db.RetryJob(t.Context(), meta.AnyOwner, old)
	if protocol.KindOf(err) != protocol.KindConflict || !strings.Contains(err.Error(), "job "+opposite.String()+", which migrates from mem to disk") {
		t.Errorf("a retry beside the opposite: %v", err)
	}
	// One that got past that, since both were asked for at once.
	late, _, err := m.db.Enqueue(t.Context(), meta.NewJob{Kind: protocol.JobMigrate, Subject: "disk>mem", Args: []byte(`{"from": "disk", "to": "mem", "rate": 0}`)})
	must(t, err)
	m.waits(m.goOn(opposite), "waits for 1 open uploads")
	if j := m.jobOf(late); j.State != protocol.JobDead || !strings.Contains(j.Error, "goes first") {
		t.Errorf("the late one is %s: %s", j.State, j.Error)
	}
	must(t, m.Abort(t.Context(), ann, open.UID))
	must(t, m.Abort(t.Context(), ann, between.UID))
	m.ended(m.goOn(opposite), "1 contents")
	_, err = m.db.RetryJob(t.Context(), meta.AnyOwner, old)
	must(t, err)
	m.ended(m.goOn(old), "2 contents") // one of them when it ran first
	m.world.reads(ann, uid, data)
	m.lies("mem", 1)
	m.end()
}

// TestMigrationLooksAgain: each pass sees whether the source is closed for the
// target still, and gives up where it is not.
func TestMigrationLooksAgain(t *testing.T) {
	m := newMoving(t)
	m.putSmall(ann, "a", noise(1, 100))
	m.flipping = func() { must(t, m.db.CloseStore(t.Context(), "mem", "disk")) }
	id := m.ask("disk", "mem")
	if j := m.goOn(id); j.State != protocol.JobDead || !strings.Contains(j.Error, "another migration has one of the stores") {
		t.Errorf("it is %s: %s", j.State, j.Error)
	}
	m.end()
}
