//go:build postgres

package process

import (
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestPostgresImportOsproxyTakenUID: a row whose uid is that of a file of ospd's own
// is refused by its name, and takes nothing from that file.
func TestPostgresImportOsproxyTakenUID(t *testing.T) {
	server, _ := postgres(t, false)
	o := newOsproxy(t, server, "taken")
	f := newFolders(t, "sqlite")
	o.onFolder(f.root)
	d := harness.StartDaemon(t, bin, f.data, "--config", f.config)
	own := d.API().MustFile(d.API().PutFile("own", []byte("own")), http.StatusCreated)
	stop(t, d)
	data := harness.Content(1, 300)
	o.uploaded("taken.png", data, func(r *osproxyRow) { r.uid = int64(own.UID) })
	o.has(o.uploaded("free.png", data, nil), data)
	for range 2 {
		exit, rows, sum := o.imports(f.args()...)
		told := ""
		for _, r := range rows {
			if r["uid"] == own.UID.String() {
				told = r["outcome"] + " " + r["name"]
			}
		}
		if exit != 7 || told != "failed taken.png" {
			t.Errorf("exit %d, %v, %v", exit, rows, sum)
		}
	}
	d = harness.StartDaemon(t, bin, f.data, "--config", f.config)
	o.want[own.UID] = []byte("own")
	o.holds(d.API())
	for _, got := range d.API().Files() {
		if got.UID == own.UID && (got.Name != "own" || got.ETag != own.ETag) {
			t.Errorf("the file of this uid became %+v", got)
		}
	}
	if put := d.API().MustFile(d.API().PutFile("new", []byte("new")), http.StatusCreated); put.UID <= protocol.UID(o.uids) || put.UID <= own.UID {
		t.Errorf("the uid of a new file is %s", put.UID)
	}
	stop(t, d)
	fsckClean(t, f.data, "--config", f.config)
}
