//go:build postgres

package process

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/docs/schema/schematest"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// moving is an installation that moves from SQLite to Postgres: two files, and
// one that is half sent.
type moving struct {
	*testing.T
	data, address      string
	osp                *harness.OSP
	large, small, half string
	uids               map[protocol.UID]string
	last               protocol.UID
}

func newMoving(t *testing.T) *moving {
	t.Helper()
	m := &moving{T: t, data: filepath.Join(t.TempDir(), "data"), uids: map[protocol.UID]string{}}
	_, m.address = postgres(t, false)
	m.large, m.half = filepath.Join(t.TempDir(), "large"), filepath.Join(t.TempDir(), "half")
	m.small = harness.WriteFile(t, "small", harness.Content(3, 1000))
	harness.WriteContent(t, m.large, 1, 9<<20)
	harness.WriteContent(t, m.half, 2, killSize)
	d := harness.StartDaemon(t, bin, m.data)
	m.osp = harness.NewOSP(t, bin, d.URL)
	m.put(m.large)
	m.put(m.small)
	killAt(t, m.osp, d.URL, harness.Up, killSize/2, "put", m.half)
	if exit, out := ospd(t, m.data, m.address, "metadata", "copy"); exit != 8 {
		t.Errorf("under the daemon: %d: %s", exit, out)
	}
	stop(t, d)
	return m
}

func (m *moving) put(path string) {
	m.Helper()
	r := m.osp.Put(path)
	m.keep(r.UID, path)
}

// keep expects that a uid is greater than all before.
func (m *moving) keep(uid protocol.UID, path string) {
	m.Helper()
	if uid <= m.last {
		m.Errorf("uid %s comes after %s", uid, m.last)
	}
	m.last, m.uids[uid] = uid, path
}

// holds expects every file under its uid.
func (m *moving) holds() {
	m.Helper()
	for uid, path := range m.uids {
		to := filepath.Join(m.TempDir(), uid.String())
		m.osp.Get(uid, to)
		if harness.SumFile(m.T, to) != harness.SumFile(m.T, path) {
			m.Errorf("%s came back as something else", path)
		}
	}
}

func (m *moving) copy(args ...string) (exit int, p *harness.Process) {
	m.Helper()
	p = harness.Start(m.T, []string{"OSPD_DB=" + m.address}, "", bin.OSPD, append([]string{"metadata", "copy", "--data", m.data}, args...)...)
	return p.Wait(), p
}

// TestPostgresMetadataCopy: an installation goes on where it was on SQLite, and
// the database it came from does not.
func TestPostgresMetadataCopy(t *testing.T) {
	m := newMoving(t)
	exit, p := m.copy("--json")
	if exit != 0 {
		t.Fatalf("copy: %d: %s", exit, p.Stderr())
	}
	schemas, err := schematest.Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := schemas.Check("copied_metadata.json", []byte(p.Stdout())); err != nil || !strings.Contains(p.Stdout(), `{"table":"files","rows":3}`) {
		t.Errorf("it printed %s: %v", p.Stdout(), err)
	}
	m.servesNoMore()
	d := harness.StartDaemon(t, bin, m.data, "--db", m.address)
	m.osp.Server = d.URL
	m.holds()
	r := resumed(t, m.osp, 1)
	if r.Outcome != "resumed" || r.ResumedBytes == 0 {
		t.Errorf("the half-sent put: %+v", r)
	}
	m.keep(r.UID, m.half)
	m.put(harness.WriteFile(t, "another", harness.Content(4, 2000)))
	m.holds()
	stop(t, d)
	if exit, out := ospd(t, m.data, m.address, "fsck", "--read-data"); exit != 0 {
		t.Errorf("fsck: %d: %s", exit, out)
	}
	if exit, p := m.copy(); exit != 3 || !strings.Contains(p.Stderr(), "was moved to this database already") || p.Stdout() != "" {
		t.Errorf("copied again: %d: %s", exit, p.Stderr())
	}
}

// servesNoMore expects that nothing uses the SQLite database.
func (m *moving) servesNoMore() {
	m.Helper()
	if exit, said := harness.Refused(m.T, bin, m.data); exit != 3 || !strings.Contains(said, "was moved to ospd at ") {
		m.Errorf("serve: %d: %s", exit, said)
	}
	for _, args := range [][]string{{"fsck"}, {"gc"}, {"token", "create", "--owner", "o", "--scopes", "admin"}} {
		if exit, out := ospd(m.T, m.data, "sqlite", args...); exit != 3 || !strings.Contains(out, "was moved to ospd at ") {
			m.Errorf("%v: %d: %s", args, exit, out)
		}
	}
}

// TestPostgresMetadataBack: an installation whose metadata was moved serves
// from SQLite again, when that is asked for.
func TestPostgresMetadataBack(t *testing.T) {
	m := newMoving(t)
	exit, p := m.copy()
	if exit != 0 || !strings.Contains(p.Stdout(), "read every row back") || strings.Contains(p.Stdout()+p.Stderr(), m.address) {
		t.Fatalf("copy: %d: %s%s", exit, p.Stdout(), p.Stderr())
	}
	m.servesNoMore()
	if exit, out := ospd(t, m.data, "sqlite", "metadata", "back"); exit != 2 || !strings.Contains(out, "--lose-changes") {
		t.Errorf("back: %d: %s", exit, out)
	}
	m.servesNoMore()
	// Not while the configuration has ospd served from there.
	if exit, out := ospd(t, m.data, m.address, "metadata", "back", "--lose-changes"); exit != 2 || !strings.Contains(out, "db: sqlite") || strings.Contains(out, m.address) {
		t.Errorf("back: %d: %s", exit, out)
	}
	m.servesNoMore()
	if exit, out := ospd(t, m.data, "sqlite", "metadata", "back", "--lose-changes"); exit != 0 || !strings.Contains(out, "Drop the database ospd at ") {
		t.Errorf("back: %d: %s", exit, out)
	}
	d := harness.StartDaemon(t, bin, m.data)
	m.osp.Server = d.URL
	m.holds()
	m.keep(resumed(t, m.osp, 1).UID, m.half)
	m.put(harness.WriteFile(t, "another", harness.Content(4, 2000)))
	m.holds()
	stop(t, d)
	if exit, out := harness.Fsck(t, bin, m.data, "--read-data"); exit != 0 {
		t.Errorf("fsck: %d: %s", exit, out)
	}
}
