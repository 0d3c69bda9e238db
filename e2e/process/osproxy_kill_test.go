//go:build postgres

package process

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// many are files on three pages, every tenth of which was never merged.
func (o *osproxy) many() {
	o.Helper()
	for n := range 600 {
		data := harness.Content(uint64(n), int64(100+n))
		if n%10 == 0 {
			o.has(o.inParts(fmt.Sprintf("%d.zip", n), 2, data[:50], data[50:]), data)
		} else {
			o.has(o.uploaded(fmt.Sprintf("%d.png", n), data, nil), data)
		}
	}
}

// TestPostgresImportOsproxyKilled: an import that dies between two pages, or
// after one was recorded and before anybody was told, is the same import when it
// is run again.
func TestPostgresImportOsproxyKilled(t *testing.T) {
	server, address := postgres(t, false)
	mortal, err := harness.Build(t.TempDir(), "crashpoints")
	if err != nil {
		t.Fatal(err)
	}
	for point, recorded := range map[string]int{"import.listed:2": 256, "import.recorded:2": 512, "import.recorded:3": 600} {
		t.Run(point, func(t *testing.T) {
			db := "sqlite"
			if point == "import.recorded:2" {
				db = address // where the lease of who died has to be taken over
			}
			o := newOsproxy(t, server, "killed"+point)
			f := newFolders(t, db)
			o.onFolder(f.root)
			o.many()
			p := harness.Start(t, []string{"OSPD_CRASH_AT=" + point}, "", mortal.OSPD, append([]string{"import-osproxy", "--dsn", o.dsn}, f.args()...)...)
			if p.Wait(); !p.Killed() {
				t.Fatalf("it did not die of SIGKILL: %s", p.Stderr())
			}
			exit, _, sum := o.imports(f.args()...)
			o.counts(sum, map[string]int{"imported": 600 - recorded, "already": recorded})
			if exit != 0 || sum["ok"] != true {
				t.Errorf("exit %d: %v", exit, sum)
			}
			d := harness.StartDaemon(t, bin, f.data, "--config", f.config)
			o.holds(d.API())
			if n := len(d.API().Files()); n != 600 {
				t.Errorf("600 rows are %d files", n)
			}
			if put := d.API().MustFile(d.API().PutFile("new", nil), http.StatusCreated); put.UID <= protocol.UID(o.uids) {
				t.Errorf("the uid of a new file is %s, after %d", put.UID, o.uids)
			}
			stop(t, d)
			fsckClean(t, f.data, "--config", f.config)
		})
	}
}

// TestPostgresImportOsproxyInterrupted: an import that is interrupted, here while
// it waits for osproxy's database, says that and nothing of a database that
// failed; the same one goes on.
func TestPostgresImportOsproxyInterrupted(t *testing.T) {
	server, _ := postgres(t, false)
	o := newOsproxy(t, server, "interrupted")
	f := newFolders(t, "sqlite")
	o.onFolder(f.root)
	data := harness.Content(1, 300)
	o.has(o.uploaded("a.png", data, nil), data)
	for says, more := range map[string][]string{"run it again, and it goes on": nil, "nothing was changed": {"--dry-run"}} {
		o.exec("BEGIN")
		o.exec("LOCK TABLE meta_data_info IN ACCESS EXCLUSIVE MODE")
		p := harness.Start(t, nil, "", bin.OSPD, append([]string{"import-osproxy", "--dsn", o.dsn}, f.args(more...)...)...)
		harness.Eventually(t, "that the import waits", func() (waits bool) {
			if err := o.db.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'meta_data_info'::regclass)").Scan(&waits); err != nil {
				t.Fatal(err)
			}
			return waits
		})
		p.Signal(os.Interrupt)
		if exit := p.Wait(); exit != 1 || !strings.Contains(p.Stderr(), "interrupted: ") || !strings.Contains(p.Stderr(), says) || strings.Contains(p.Stderr(), "context") {
			t.Errorf("%v: exit %d, %s", more, exit, p.Stderr())
		}
		o.exec("ROLLBACK")
	}
	if exit, _, sum := o.imports(f.args()...); exit != 0 || sum["imported"] != 1.0 {
		t.Errorf("exit %d: %v", exit, sum)
	}
}

// TestPostgresImportOsproxyMigrates: what was imported moves to a store of
// ospd's own while it is read, and keeps uids and bytes, also where osproxy's
// objects are gone then.
func TestPostgresImportOsproxyMigrates(t *testing.T) {
	server, _ := postgres(t, false)
	o := newOsproxy(t, server, "moves")
	f := newFolders(t, "sqlite")
	o.onFolder(f.root)
	large := harness.Content(1, 9<<20)
	o.has(o.uploaded("large.mp4", large, nil), large)
	o.has(o.inParts("parts.zip", 2, large[:3<<20], large[3<<20:5<<20]), large[:5<<20])
	small := harness.Content(2, 100)
	first := o.has(o.uploaded("small.png", small, nil), small)
	o.has(o.insert(&osproxyRow{uid: first.uid + 1, name: "again.png", bucket: first.bucket, file: first.file, md5: first.md5, size: first.size, status: 1}), small)
	if exit, _, sum := o.imports(f.args()...); exit != 0 {
		t.Fatalf("exit %d: %v", exit, sum)
	}
	objects := tree(t, filepath.Join(f.root, "image"))
	d := harness.StartDaemon(t, bin, f.data, "--config", f.config)
	ans := d.API().JSON(http.MethodPost, "/v1/jobs", map[string]any{"kind": protocol.JobMigrate, "args": map[string]any{"from": "old", "to": "disk"}})
	var j protocol.Job
	if err := json.Unmarshal(ans.Body, &j); err != nil || ans.Status != http.StatusCreated {
		t.Fatalf("migrate: %d %s", ans.Status, ans.Body)
	}
	harness.Eventually(t, "the end of the migration", func() bool {
		o.holds(d.API())
		ans := d.API().Do(http.MethodGet, "/v1/jobs/"+j.ID.String(), nil, 0)
		return json.Unmarshal(ans.Body, &j) == nil && j.State.Ended()
	})
	if j.State != protocol.JobDone {
		t.Errorf("the migration ended as %+v", j)
	}
	if after := tree(t, filepath.Join(f.root, "image")); fmt.Sprint(after) != fmt.Sprint(objects) {
		t.Errorf("osproxy's objects were touched: %v", after)
	}
	for _, bucket := range []string{"image", "video", "archive"} {
		if err := os.RemoveAll(filepath.Join(f.root, bucket)); err != nil {
			t.Fatal(err)
		}
	}
	o.holds(d.API())
	stop(t, d)
	fsckClean(t, f.data, "--config", f.config)
	// The store is emptied: nothing is imported into it any more, and what was
	// imported is there.
	o.uploaded("late.png", small, nil)
	o.exec("UPDATE meta_data_info SET md5 = $1 WHERE uid = $2", md5Of(nil), first.uid)
	exit, rows, sum := o.imports(f.args()...)
	o.counts(sum, map[string]int{"already": 3, "failed": 1, "changed": 1})
	if exit != 7 || len(rows) != 2 {
		t.Errorf("exit %d: %v", exit, rows)
	}
}

// TestPostgresImportOsproxyOfAnOwner: the Files are of the owner that was named,
// and a uid is one File, also of another owner's.
func TestPostgresImportOsproxyOfAnOwner(t *testing.T) {
	server, _ := postgres(t, false)
	o := newOsproxy(t, server, "owned")
	f := newFolders(t, "sqlite")
	o.onFolder(f.root)
	data := harness.Content(1, 3000)
	o.has(o.uploaded("a.png", data, nil), data)
	if exit, _, sum := o.imports(f.args("--owner", "apps")...); exit != 0 {
		t.Errorf("exit %d: %v", exit, sum)
	}
	exit, rows, sum := o.imports(f.args()...)
	o.counts(sum, map[string]int{"failed": 1})
	if exit != 7 || len(rows) != 1 || rows[0]["message"] == "" {
		t.Errorf("exit %d: %v", exit, rows)
	}
	d := harness.StartDaemon(t, bin, f.data, "--config", f.config)
	if files := d.API().Files(); len(files) != 0 {
		t.Errorf("local has %v", files)
	}
	stop(t, d)
	if exit, _, sum := o.imports(f.args("--owner", "apps")...); exit != 0 || sum["already"] != 1.0 {
		t.Errorf("exit %d: %v", exit, sum)
	}
}

// TestPostgresImportOsproxyThroughAPooler: osproxy's database may be reached
// through PgBouncer, by transactions.
func TestPostgresImportOsproxyThroughAPooler(t *testing.T) {
	server, _ := postgres(t, false)
	o := newOsproxy(t, server, "pooled")
	f := newFolders(t, "sqlite")
	o.onFolder(f.root)
	o.many()
	b, err := pgtest.StartBouncer(t.Context(), server.Dir(), pgtest.PerTransaction)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	if o.dsn, err = b.Before(o.dsn, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"imported", "already"} {
		exit, _, sum := o.imports(f.args()...)
		o.counts(sum, map[string]int{want: 600})
		if exit != 0 {
			t.Errorf("exit %d: %v", exit, sum)
		}
	}
}
