//go:build postgres

package process

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// summed expects that digest jobs found the MD5 of all files that are wanted.
func (o *osproxy) summed(api *harness.API) {
	o.Helper()
	harness.Eventually(o.T, "the digests of all files", func() bool {
		for _, f := range api.Files() {
			if f.Digest == nil || f.MD5 == nil {
				return false
			}
		}
		return true
	})
	for _, f := range api.Files() {
		if data, ok := o.want[f.UID]; ok && *f.MD5 != md5Of(data) {
			o.Errorf("%s has MD5 %s", f.Name, *f.MD5)
		}
	}
}

// wrongly are files whose rows have MD5s of something else: of an object, of
// parts, and of nothing.
func (o *osproxy) wrongly() (uids []protocol.UID) {
	o.Helper()
	wrong := func(r *osproxyRow) { r.md5 = md5Of([]byte("x")) }
	data := harness.Content(1, 70_000)
	parts := o.has(o.inParts("set.zip", 2, data[:100], data[100:]), data)
	o.exec("UPDATE meta_data_info SET md5 = $1 WHERE uid = $2", md5Of([]byte("x")), parts.uid)
	one := o.has(o.uploaded("a.png", data[:300], wrong), data[:300])
	return []protocol.UID{protocol.UID(parts.uid), protocol.UID(one.uid)}
}

// TestPostgresImportOsproxyWithoutMD5s: with --md5 ignore files are what their
// bytes are, whatever MD5 osproxy has, from the first import on, and those that
// were not read for it since are read again.
func TestPostgresImportOsproxyWithoutMD5s(t *testing.T) {
	server, address := postgres(t, false)
	for name, db := range map[string]string{"sqlite": "sqlite", "postgres": address} {
		t.Run(name, func(t *testing.T) {
			o := newOsproxy(t, server, "md5_"+name)
			f := newFolders(t, db)
			o.onFolder(f.root)
			wrong := o.wrongly()
			right := harness.Content(2, 500)
			o.has(o.uploaded("right.png", right, nil), right)
			if exit, _, sum := o.imports(f.args()...); exit != 0 {
				t.Fatalf("exit %d: %v", exit, sum)
			}
			d := harness.StartDaemon(t, bin, f.data, "--config", f.config)
			for _, uid := range wrong {
				harness.Eventually(t, "that it has another MD5 is found", func() bool { return d.API().Content(uid).Status == http.StatusInternalServerError })
			}
			harness.Eventually(t, "that the other has its own is found", func() bool {
				for _, f := range d.API().Files() {
					if f.Name == "right.png" {
						return f.Digest != nil && f.MD5 != nil
					}
				}
				return false
			})
			stop(t, d)
			// From the start without: also of what is nothing, and of a row without.
			o.has(o.uploaded("empty.bin", nil, func(r *osproxyRow) { r.md5 = md5Of(right) }), nil)
			o.has(o.uploaded("none.png", right[:9], func(r *osproxyRow) { r.md5 = "" }), right[:9])
			later := o.has(o.uploaded("later.png", right[:99], func(r *osproxyRow) { r.md5 = md5Of(right) }), right[:99])
			ignoring := func(more ...string) []string { return f.args(append(more, "--md5", "ignore")...) }
			for _, more := range [][]string{{"--dry-run"}, nil} {
				exit, rows, sum := o.imports(ignoring(more...)...)
				o.counts(sum, map[string]int{"imported": 3, "updated": 2, "already": 1})
				if exit != 0 || len(rows) != 0 {
					t.Errorf("exit %d: %v", exit, rows)
				}
			}
			_, _, sum := o.imports(ignoring()...)
			o.counts(sum, map[string]int{"already": 6})
			d = harness.StartDaemon(t, bin, f.data, "--config", f.config)
			o.holds(d.API())
			o.summed(d.API())
			o.holds(d.API())
			stop(t, d)
			// Other bytes of the same size are seen by the object.
			o.put(later.bucket, later.file, "", right[100:199])
			o.has(later, right[100:199])
			exit, rows, sum := o.imports(ignoring()...)
			o.counts(sum, map[string]int{"already": 5, "updated": 1})
			if exit != 0 {
				t.Errorf("exit %d: %s", exit, fmt.Sprint(rows))
			}
			d = harness.StartDaemon(t, bin, f.data, "--config", f.config)
			o.summed(d.API())
			o.holds(d.API())
			stop(t, d)
			fsckClean(t, f.data, "--read-data", "--config", f.config)
		})
	}
}
