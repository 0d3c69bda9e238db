//go:build servers && linux

package process

import (
	"fmt"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// TestImportOsproxyObjects: of each storage that osproxy keeps objects in they
// are files of ospd's: where each of its buckets is one, where its buckets are
// folders of one, and where there is one bucket of its alone.
func TestImportOsproxyObjects(t *testing.T) {
	server, _ := postgres(t, false)
	for _, at := range storages(t) {
		t.Run(at.name, func(t *testing.T) { importOsproxyObjects(t, newOsproxy(t, server, at.name), at) })
	}
}

func importOsproxyObjects(t *testing.T, o *osproxy, at storage) {
	buckets := map[string]storage{"image": at, "video": at.emptied(t), "rest": at.emptied(t)}
	o.put = func(bucket, name, mediaType string, data []byte) {
		switch bucket {
		case "archive":
			buckets["rest"].put(t, bucket+"/"+name, mediaType, data)
		case "unknown":
			buckets["rest"].put(t, name, mediaType, data)
		default:
			buckets[bucket].put(t, name, mediaType, data)
		}
	}
	small, large := harness.Content(1, 3000), harness.Content(2, 9<<20)
	first := o.has(o.uploaded("图 1.png", small, nil), small)
	o.has(o.insert(&osproxyRow{uid: first.uid + 1, name: "again.png", bucket: first.bucket, file: first.file, md5: first.md5, size: first.size, status: 1, kind: "image/png"}), small)
	o.has(o.uploaded("film.mp4", large, nil), large)
	o.has(o.inParts("set.zip", 3, large[:6<<20], large[6<<20:6<<20+7], large[8<<20:]), append(append([]byte(nil), large[:6<<20+7]...), large[8<<20:]...))
	o.has(o.uploaded("note.txt", small, nil), small)
	o.has(o.uploaded("empty.txt", nil, nil), nil)
	o.uploaded("lost.png", small, func(r *osproxyRow) { r.file = "lost.png" })
	o.uploaded("short.mp4", small, func(r *osproxyRow) { r.size = 2999 })
	stores := fmt.Sprintf("  disk: {type: local, path: %q}\n", t.TempDir())
	for name, s := range buckets {
		stores += fmt.Sprintf("  %s: %s\n", name, s.config(s.url))
	}
	config := harness.WriteFile(t, "ospd.yaml", []byte("v0_access: {owner: local, from: [127.0.0.0/8]}\ndefault_store: disk\nstores:\n"+stores))
	data := t.TempDir()
	args := []string{"--config", config, "--data", data, "--store", "image=image", "--store", "video=video"}
	want := map[string]int{"imported": 6, "missing": 1, "other_size": 1}
	if exit, _, sum := o.imports(append(args, "--dry-run")...); exit != 7 || sum["failed"] != 3.0 {
		t.Errorf("where nobody said where the rest is: exit %d: %v", exit, sum)
	}
	args = append(args, "--store", "rest")
	exit, rows, sum := o.imports(args...)
	o.counts(sum, want)
	if exit != 7 {
		t.Fatalf("exit %d: %v", exit, rows)
	}
	_, _, sum = o.imports(args...)
	o.counts(sum, map[string]int{"already": 6, "missing": 1, "other_size": 1})
	d := harness.StartDaemon(t, bin, data, "--config", config)
	o.holds(d.API())
	o.inV0(d.API())
	harness.Eventually(t, "the digests of all files", func() bool {
		for _, f := range d.API().Files() {
			if f.Digest == nil || f.MD5 == nil {
				return false
			}
		}
		return true
	})
	o.holds(d.API())
	o.inV0(d.API())
	for _, f := range d.API().Files() {
		if *f.MD5 != md5Of(o.want[f.UID]) {
			t.Errorf("%s has MD5 %s", f.Name, *f.MD5)
		}
	}
	stop(t, d)
	fsckClean(t, data, "--config", config)
}
