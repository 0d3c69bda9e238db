package fsck_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/daemon/fsck"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// foreign is a file whose bytes are an object that was in the storage before:
// of its blocks nothing is known.
func (w *world) foreign(b *mem.Backend, name string, data []byte) protocol.UID {
	w.t.Helper()
	must(w.t, b.PutForeign(w.t.Context(), name, "", data))
	return w.inPlace(name, int64(len(data)))
}

// On an object store foreign objects are no findings, whether files use them or
// not, but one that a file uses and that has gone, or become shorter, is; and our
// own objects are checked as in a folder.
func TestObjectStore(t *testing.T) {
	b := mem.New()
	w := newWorldOn(t, b)
	data := noise(1, 2*bs+5)
	lost := w.put(data, bs)
	w.put(noise(2, 1000))
	shorter, gone := w.foreign(b, "theirs/a", noise(3, 500)), w.foreign(b, "theirs/b", noise(4, 500))
	w.foreign(b, "theirs/c", noise(5, 500))
	must(t, b.PutForeign(t.Context(), "nobody's", "", nil))
	if r := w.run(true); !r.Clean() || r.Counts.BlocksRead != 4 || r.Counts.Objects != 3 {
		t.Fatalf("%+v", r)
	}
	must(t, b.PutForeign(t.Context(), "theirs/a", "", noise(3, 499)))
	must(t, w.store.Delete(t.Context(), store.ForeignKey("theirs/b")))
	must(t, w.store.Delete(t.Context(), store.Key(w.blobs[lost][1].Key)))
	var got []string
	for _, f := range w.run(false).Findings {
		for _, uid := range f.UIDs {
			got = append(got, string(f.Kind)+" "+uid.String())
		}
	}
	want := []string{string(fsck.KindMissing) + " " + gone.String(), string(fsck.KindMissing) + " " + lost.String(), string(fsck.KindTruncated) + " " + shorter.String()}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// In a folder that holds files which were there before, and that files use,
// others are no strays; what lies among the objects of ospd's own is.
func TestFolderWithForeignFiles(t *testing.T) {
	w := newWorld(t)
	w.put(noise(1, 1000))
	must(t, os.WriteFile(w.file("theirs"), noise(2, 500), 0o600))
	must(t, os.WriteFile(w.file("other"), nil, 0o600))
	if r := w.run(true); len(r.Findings) != 2 {
		t.Fatalf("before: %+v", r.Findings)
	}
	w.inPlace("theirs", 500)
	if r := w.run(true); !r.Clean() {
		t.Errorf("%+v", r.Findings)
	}
	stray := string(w.key(1).Dir()) + "/notes.txt"
	must(t, os.WriteFile(w.file(stray), nil, 0o600))
	if r := w.run(false); len(r.Findings) != 1 || r.Findings[0].Kind != fsck.KindStray || r.Findings[0].Key != stray {
		t.Errorf("%+v", r.Findings)
	}
	for _, name := range []string{"20240101/in/photo.jpg", "20240101/other.jpg"} {
		must(t, os.MkdirAll(filepath.Dir(w.file(name)), 0o700))
		must(t, os.WriteFile(w.file(name), noise(3, 100), 0o600))
	}
	w.inPlace("20240101/in/photo.jpg", 100)
	if r := w.run(true); len(r.Findings) != 1 || r.Findings[0].Key != stray {
		t.Errorf("beside a file in place: %+v", r.Findings)
	}
}

// inPlace is a file on what lies in the folder under that name.
func (w *world) inPlace(name string, size int64) protocol.UID {
	w.t.Helper()
	uid := w.begin(size)
	key := store.ForeignKey(name)
	id, err := w.db.AddBlob(w.t.Context(), meta.NewBlob{Store: "disk", Key: string(key), Size: size}, uid)
	must(w.t, err)
	_, err = w.db.Commit(w.t.Context(), meta.Commit{Owner: owner, UID: uid, CommittedAt: w.now, Size: size, ETag: `"u1"`,
		Extents: []meta.Extent{{Blob: id, Store: "disk", Key: string(key), Length: size}}})
	must(w.t, err)
	return uid
}
