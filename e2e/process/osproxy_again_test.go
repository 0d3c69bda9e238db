//go:build postgres

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// merges does what osproxy does with a file that was parts so far.
func (o *osproxy) merges(r *osproxyRow, root string, data []byte) {
	o.Helper()
	for n := range r.parts {
		if err := os.Remove(filepath.Join(root, r.bucket, fmt.Sprintf("%d_%d", r.uid, n+1))); err != nil {
			o.Fatal(err)
		}
	}
	o.put(r.bucket, r.file, "", data)
	o.exec("DELETE FROM multi_part_info WHERE storage_uid = $1", r.uid)
	o.exec("UPDATE meta_data_info SET multi_part = false WHERE uid = $1", r.uid)
}

// replaces puts other bytes for a row.
func (o *osproxy) replaces(r *osproxyRow, data []byte) {
	o.Helper()
	o.put(r.bucket, r.file, "", data)
	o.exec("UPDATE meta_data_info SET md5 = $1, storage_size = $2 WHERE uid = $3", md5Of(data), len(data), r.uid)
	o.has(r, data)
}

// TestPostgresImportOsproxyAgain: what osproxy did with a file after an import,
// another import has, whether the digest job of the File has run or not.
func TestPostgresImportOsproxyAgain(t *testing.T) {
	server, address := postgres(t, false)
	for name, db := range map[string]string{"sqlite": "sqlite", "postgres": address} {
		for _, served := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " served ", served), func(t *testing.T) {
				if db != "sqlite" && served {
					return // one database is one installation
				}
				o := newOsproxy(t, server, fmt.Sprint("again_", name, served))
				f := newFolders(t, db)
				o.onFolder(f.root)
				o.again(f, served)
			})
		}
	}
}

// TestPostgresImportOsproxyMerged: a file that osproxy merged after an import
// comes to lie on its one object, also while its parts are there yet, and stays.
func TestPostgresImportOsproxyMerged(t *testing.T) {
	server, _ := postgres(t, false)
	for _, md5 := range []string{"check", "ignore"} {
		o := newOsproxy(t, server, "merged_"+md5)
		f := newFolders(t, "sqlite")
		o.onFolder(f.root)
		data := harness.Content(1, 300)
		r := o.has(o.inParts("kept.zip", 2, data[:100], data[100:]), data)
		if exit, _, sum := o.imports(f.args("--md5", md5)...); exit != 0 {
			t.Fatalf("exit %d: %v", exit, sum)
		}
		d := harness.StartDaemon(t, bin, f.data, "--config", f.config)
		o.summed(d.API())
		stop(t, d)
		o.put(r.bucket, r.file, "", data)
		o.exec("UPDATE meta_data_info SET multi_part = false WHERE uid = $1", r.uid)
		for _, outcome := range []string{"updated", "already"} {
			_, _, sum := o.imports(f.args("--md5", md5)...)
			o.counts(sum, map[string]int{outcome: 1})
		}
		for n := range r.parts {
			if err := os.Remove(filepath.Join(f.root, r.bucket, fmt.Sprintf("%d_%d", r.uid, n+1))); err != nil {
				t.Fatal(err)
			}
		}
		d = harness.StartDaemon(t, bin, f.data, "--config", f.config)
		o.holds(d.API())
		o.summed(d.API())
		stop(t, d)
		_, _, sum := o.imports(f.args("--md5", md5)...)
		o.counts(sum, map[string]int{"already": 1})
	}
}

func (o *osproxy) again(f folders, served bool) {
	o.Helper()
	data := harness.Content(1, 300)
	parts := o.has(o.inParts("merged.zip", 2, data[:100], data[100:]), data)
	longer := o.has(o.uploaded("longer.png", data[:50], nil), data[:50])
	other := o.has(o.uploaded("other.png", data[:60], nil), data[:60])
	o.has(o.uploaded("odd.png", data[:60], func(r *osproxyRow) { r.md5 = "" }), data[:60])
	lost := o.has(o.uploaded("lost.png", data[:70], nil), data[:70])
	if exit, _, sum := o.imports(f.args()...); exit != 0 || sum["imported"] != 5.0 {
		o.Fatalf("exit %d: %v", exit, sum)
	}
	if served {
		d := harness.StartDaemon(o.T, bin, f.data, "--config", f.config)
		harness.Eventually(o.T, "the digests of all files", func() bool {
			for _, f := range d.API().Files() {
				if f.Digest == nil || f.MD5 == nil {
					return false
				}
			}
			return true
		})
		stop(o.T, d)
	}
	exit, _, sum := o.imports(f.args()...)
	o.counts(sum, map[string]int{"already": 5})
	if exit != 0 {
		o.Errorf("exit %d: %v", exit, sum)
	}
	o.merges(parts, f.root, data)
	o.replaces(longer, data[100:200])
	o.replaces(other, data[140:200])
	o.exec("UPDATE meta_data_info SET storage_name = $1 WHERE uid = $2", "nowhere.png", lost.uid)
	if err := os.Remove(filepath.Join(f.root, lost.bucket, lost.file)); err != nil {
		o.Fatal(err)
	}
	delete(o.want, protocol.UID(lost.uid))
	for _, more := range [][]string{{"--dry-run"}, nil} {
		exit, rows, sum := o.imports(f.args(more...)...)
		want := map[string]int{"already": 1, "updated": 3, "changed": 1}
		if sum["updated"] == 4.0 && served {
			want["already"], want["updated"] = 0, 4 // its bytes were kept in the object that is replaced
		}
		o.counts(sum, want)
		if exit != 7 || len(rows) != 1 || rows[0]["outcome"] != "changed" || sum["ok"] != false {
			o.Errorf("exit %d: %v", exit, rows)
		}
	}
	_, _, sum = o.imports(f.args()...)
	o.counts(sum, map[string]int{"already": 4, "changed": 1})
	d := harness.StartDaemon(o.T, bin, f.data, "--config", f.config)
	o.holds(d.API())
	harness.Eventually(o.T, "the digests of the files that are read", func() bool {
		for _, f := range d.API().Files() {
			if _, ok := o.want[f.UID]; ok && (f.Digest == nil || f.MD5 == nil) {
				return false
			}
		}
		return true
	})
	o.holds(d.API())
	stop(o.T, d)
}
