package fsck_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/fsck"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// busy is a world in which there is some of everything, and nothing wrong.
func busy(t *testing.T) *world {
	w := newWorld(t)
	w.put(nil)
	w.put(noise(1, 1))
	w.put(noise(2, bs+17), 5, bs)
	shared := noise(3, 100)
	w.put(shared)
	w.put(shared) // wins: the first one's blob is offered to the sweep
	up := w.begin(3 * protocol.MinPartSize)
	w.part(up, 1, noise(4, protocol.MinPartSize), "")
	w.part(up, 2, noise(5, protocol.MinPartSize), thisBoot)
	return w
}

func TestCleanIsClean(t *testing.T) {
	for _, readData := range []bool{false, true} {
		w := busy(t)
		r := w.run(readData)
		if !r.Clean() {
			t.Fatalf("findings: %+v", r.Findings)
		}
		if len(r.Pending) != 1 || !strings.Contains(r.Pending[0].Detail, "nothing refers") {
			t.Errorf("pending: %+v, want the blob that lost its content", r.Pending)
		}
		want := fsck.Counts{Objects: 8, Blobs: 8, Contents: 4, Files: 5, Parts: 2}
		if readData {
			want.BlocksRead = 1 + 2 + 1
			want.BytesRead = 1 + bs + 17 + 100 + 2*protocol.MinPartSize
		}
		if r.Counts != want || r.ReadData != readData {
			t.Errorf("looked at %+v, want %+v", r.Counts, want)
		}
	}
}

// damages are what can be wrong, each done to a file of two blobs, or to an
// upload, and the findings that must name it.
var damages = map[string]struct {
	// data: only reading the bytes finds it.
	data bool
	do   func(w *world) []fsck.Finding
}{
	"object deleted": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 2*bs), bs)
		e := w.blobs[uid][1]
		must(w.t, os.Remove(w.file(e.Key)))
		return []fsck.Finding{{Kind: fsck.KindMissing, UIDs: []protocol.UID{uid}, Store: "disk", Key: e.Key}}
	}},
	"object truncated": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 2*bs), bs)
		e := w.blobs[uid][0]
		must(w.t, os.Truncate(w.file(e.Key), bs-1))
		return []fsck.Finding{{Kind: fsck.KindTruncated, UIDs: []protocol.UID{uid}, Store: "disk", Key: e.Key}}
	}},
	"object overlong": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 10))
		e := w.blobs[uid][0]
		must(w.t, os.Truncate(w.file(e.Key), 14))
		return []fsck.Finding{{Kind: fsck.KindOverlong, UIDs: []protocol.UID{uid}, Store: "disk", Key: e.Key, Detail: "the object has 14 bytes and is to have 10"}}
	}},
	"bit flipped": {data: true, do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 3*bs+5), bs+9)
		e := w.blobs[uid][1]
		w.flip(e.Key, e.Length-1)
		return []fsck.Finding{{Kind: fsck.KindCorrupt, UIDs: []protocol.UID{uid}, Store: "disk", Key: e.Key, Detail: "1 of 4 blocks are not what was recorded: 3;"}}
	}},
	"two objects swapped": {data: true, do: func(w *world) []fsck.Finding {
		a, b := w.put(noise(9, 500)), w.put(noise(10, 500))
		ka, kb := w.blobs[a][0].Key, w.blobs[b][0].Key
		must(w.t, os.Rename(w.file(ka), w.file("swap")))
		must(w.t, os.Rename(w.file(kb), w.file(ka)))
		must(w.t, os.Rename(w.file("swap"), w.file(kb)))
		return []fsck.Finding{
			{Kind: fsck.KindCorrupt, UIDs: []protocol.UID{a}, Store: "disk", Key: ka},
			{Kind: fsck.KindCorrupt, UIDs: []protocol.UID{b}, Store: "disk", Key: kb},
		}
	}},
	"extra object": {do: func(w *world) []fsck.Finding {
		key := w.key(7)
		must(w.t, w.store.Put(w.t.Context(), key, strings.NewReader("x"), 1))
		return []fsck.Finding{{Kind: fsck.KindExtra, Store: "disk", Key: string(key)}}
	}},
	"extra object beside others": {do: func(w *world) []fsck.Finding {
		key := w.key(1)
		must(w.t, w.store.Put(w.t.Context(), key, strings.NewReader("x"), 1))
		return []fsck.Finding{{Kind: fsck.KindExtra, Store: "disk", Key: string(key)}}
	}},
	"stray file": {do: func(w *world) []fsck.Finding {
		must(w.t, os.WriteFile(w.file("notes.txt"), []byte("x"), 0o600))
		return []fsck.Finding{{Kind: fsck.KindStray, Store: "disk", Key: "notes.txt"}}
	}},
	"extent to a missing blob": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 2*bs), bs)
		e := w.blobs[uid][1]
		w.sql(`DELETE FROM blobs WHERE id = ?`, int64(e.Blob))
		return []fsck.Finding{
			{Kind: fsck.KindDatabase},
			{Kind: fsck.KindExtents, UIDs: []protocol.UID{uid}, Detail: "blob that has no row"},
			{Kind: fsck.KindExtra, Store: "disk", Key: e.Key},
		}
	}},
	"extent too short": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 2*bs), bs)
		w.sql(`UPDATE extents SET length = length - 1 WHERE blob_id = ?`, int64(w.blobs[uid][1].Blob))
		return []fsck.Finding{{Kind: fsck.KindExtents, UIDs: []protocol.UID{uid}}}
	}},
	"block records missing": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 2*bs), bs)
		w.sql(`DELETE FROM block_digests WHERE content_id = (SELECT content_id FROM files WHERE uid = ?)`, int64(uid))
		return []fsck.Finding{{Kind: fsck.KindRecords, UIDs: []protocol.UID{uid}, Detail: "0 blocks are recorded of 2"}}
	}},
	"block records changed": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 2*bs), bs)
		w.sql(`UPDATE block_digests SET triples = ? WHERE content_id = (SELECT content_id FROM files WHERE uid = ?)`, make([]byte, 128), int64(uid))
		return []fsck.Finding{{Kind: fsck.KindRecords, UIDs: []protocol.UID{uid}, Detail: "digest"}}
	}},
	"fingerprint changed": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 10))
		w.sql(`UPDATE contents SET fingerprint = ? WHERE id = (SELECT content_id FROM files WHERE uid = ?)`, make([]byte, 16), int64(uid))
		return []fsck.Finding{{Kind: fsck.KindRecords, UIDs: []protocol.UID{uid}, Detail: "fingerprint"}}
	}},
	"marked damaged": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 10))
		_, c, err := w.db.Content(w.t.Context(), owner, uid)
		must(w.t, err)
		must(w.t, w.db.MarkDamaged(w.t.Context(), c.ID, c.Gen))
		return []fsck.Finding{{Kind: fsck.KindDamaged, UIDs: []protocol.UID{uid}}}
	}},
	"blob doomed in use": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 10))
		e := w.blobs[uid][0]
		w.sql(`UPDATE blobs SET state = 'doomed', doomed_at = ? WHERE id = ?`, w.now.UnixMilli(), int64(e.Blob))
		return []fsck.Finding{{Kind: fsck.KindDoomed, UIDs: []protocol.UID{uid}, Store: "disk", Key: e.Key}}
	}},
	"content that no file points to": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 10))
		w.sql(`UPDATE files SET state = 'deleted', deleted_at = 1, content_id = NULL WHERE uid = ?`, int64(uid))
		w.sql(`UPDATE quotas SET bytes = bytes - 10, files = files - 1`)
		return []fsck.Finding{{Kind: fsck.KindUnreferenced}}
	}},
	"blob that nothing refers to": {do: func(w *world) []fsck.Finding {
		uid := w.put(noise(9, 2*bs))
		w.put(noise(9, 2*bs))
		e := w.blobs[uid][0]
		w.sql(`DELETE FROM sweep_candidates WHERE blob_id = ?`, int64(e.Blob))
		return []fsck.Finding{{Kind: fsck.KindUnreferenced, Store: "disk", Key: e.Key}}
	}},
	"part without bytes": {do: func(w *world) []fsck.Finding {
		uid := w.begin(bs)
		w.part(uid, 1, noise(9, bs), "")
		e := w.blobs[uid][0]
		must(w.t, os.Remove(w.file(e.Key)))
		return []fsck.Finding{{Kind: fsck.KindPart, UIDs: []protocol.UID{uid}, Store: "disk", Key: e.Key, Detail: "part 1:"}}
	}},
	"part of this boot cut short": {do: func(w *world) []fsck.Finding {
		uid := w.begin(bs)
		w.part(uid, 1, noise(9, bs), thisBoot)
		e := w.blobs[uid][0]
		must(w.t, os.Truncate(w.file(e.Key), 5))
		return []fsck.Finding{{Kind: fsck.KindPart, UIDs: []protocol.UID{uid}, Store: "disk", Key: e.Key}}
	}},
	"part with other bytes": {data: true, do: func(w *world) []fsck.Finding {
		uid := w.begin(bs)
		w.part(uid, 1, noise(9, bs), "")
		e := w.blobs[uid][0]
		w.flip(e.Key, 77)
		return []fsck.Finding{{Kind: fsck.KindPart, UIDs: []protocol.UID{uid}, Store: "disk", Key: e.Key}}
	}},
}

func TestSeededDamageIsNamed(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(damages)) {
		d := damages[name]
		for _, readData := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/read data %t", name, readData), func(t *testing.T) {
				w := newWorld(t)
				w.put(noise(1, 10)) // beside it, something good
				want := d.do(w)
				r := w.run(readData)
				if d.data && !readData {
					if !r.Clean() {
						t.Fatalf("found without reading: %+v", r.Findings)
					}
					return
				}
				for _, f := range want {
					if !slices.ContainsFunc(r.Findings, func(g fsck.Finding) bool { return matches(g, f) }) {
						t.Errorf("no finding %+v in %+v", f, r.Findings)
					}
				}
				for _, g := range r.Findings {
					// What reading adds to the structure is the same damage.
					named := slices.ContainsFunc(want, func(f fsck.Finding) bool { return matches(g, f) })
					if !named && !(readData && g.Kind == fsck.KindCorrupt) {
						t.Errorf("finding of what is not wrong: %+v", g)
					}
				}
			})
		}
	}
}

// matches reports whether g is the finding f; its detail holds f's.
func matches(g, f fsck.Finding) bool {
	return g.Kind == f.Kind && slices.Equal(g.UIDs, f.UIDs) && g.Store == f.Store && g.Key == f.Key && g.Detail != "" && strings.Contains(g.Detail, f.Detail)
}

func TestCrashLeftoversArePending(t *testing.T) {
	for name, leave := range map[string]func(w *world) (key string){
		"object in a reserved directory": func(w *world) string {
			dir, err := w.db.ReserveDir(w.t.Context(), "disk")
			must(w.t, err)
			key := w.key(dir)
			must(w.t, w.store.Put(w.t.Context(), key, strings.NewReader("x"), 1))
			return string(key)
		},
		"blob of a request that ended": func(w *world) string {
			key := w.key(1)
			_, err := w.db.AddBlob(w.t.Context(), meta.NewBlob{Store: "disk", Key: string(key)}, 0)
			must(w.t, err)
			return string(key)
		},
		"blob doomed before the grace period": func(w *world) string {
			uid := w.put(noise(9, 10))
			must(w.t, w.db.DeleteFile(w.t.Context(), owner, uid))
			w.now = w.now.Add(time.Hour)
			return w.blobs[uid][0].Key
		},
		"part of another boot that is gone": func(w *world) string {
			uid := w.begin(bs)
			w.part(uid, 1, noise(9, bs), "another-boot")
			must(w.t, os.Remove(w.file(w.blobs[uid][0].Key)))
			return w.blobs[uid][0].Key
		},
		"part of another boot with other bytes": func(w *world) string {
			uid := w.begin(bs)
			w.part(uid, 1, noise(9, bs), "another-boot")
			w.flip(w.blobs[uid][0].Key, 1)
			return w.blobs[uid][0].Key
		},
		"tombstone whose object is there again": func(w *world) string {
			uid := w.put(noise(9, 10))
			must(w.t, w.db.DeleteFile(w.t.Context(), owner, uid))
			e := w.blobs[uid][0]
			w.sql(`UPDATE blobs SET state = 'gone', gone_at = ? WHERE id = ?`, w.now.UnixMilli(), int64(e.Blob))
			return e.Key
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(noise(1, 10))
			key := leave(w)
			r := w.run(true)
			if !r.Clean() {
				t.Errorf("findings: %+v", r.Findings)
			}
			if len(r.Pending) != 1 || r.Pending[0].Key != key || r.Pending[0].Store != "disk" {
				t.Errorf("pending: %+v, want %s", r.Pending, key)
			}
		})
	}
}

func TestWhatIsFine(t *testing.T) {
	for name, leave := range map[string]func(w *world){
		"doomed within its grace period": func(w *world) {
			must(w.t, w.db.DeleteFile(w.t.Context(), owner, w.put(noise(9, 10))))
			w.now = w.now.Add(time.Hour - time.Millisecond)
		},
		"doomed and removed early": func(w *world) {
			uid := w.put(noise(9, 10))
			must(w.t, w.db.DeleteFile(w.t.Context(), owner, uid))
			must(w.t, os.Remove(w.file(w.blobs[uid][0].Key)))
		},
		"written for an open upload": func(w *world) { w.blob(w.begin(10), noise(9, 10)) },
		"row of an open upload whose object is not made yet": func(w *world) {
			_, err := w.db.AddBlob(w.t.Context(), meta.NewBlob{Store: "disk", Key: string(w.key(1))}, w.begin(10))
			must(w.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			leave(w)
			if r := w.run(true); !r.Clean() || len(r.Pending) != 0 {
				t.Errorf("findings %+v, pending %+v", r.Findings, r.Pending)
			}
		})
	}
}

func TestStoresThatCannotBeChecked(t *testing.T) {
	t.Run("not configured", func(t *testing.T) {
		w := newWorld(t)
		w.put(noise(1, 10))
		w.part(w.begin(bs), 1, noise(2, bs), "")
		cfg := w.config()
		cfg.Stores, cfg.ReadData = nil, true
		oneStoreFinding(t, cfg)
	})
	t.Run("foreign", func(t *testing.T) {
		w := newWorld(t)
		w.put(noise(1, 10))
		cfg := w.config()
		cfg.ServerID, cfg.ReadData = strings.Repeat("f", 32), true
		oneStoreFinding(t, cfg)
	})
}

func oneStoreFinding(t *testing.T, cfg fsck.Config) {
	t.Helper()
	r, err := fsck.Run(t.Context(), cfg)
	must(t, err)
	if len(r.Findings) != 1 || r.Findings[0].Kind != fsck.KindStore || r.Findings[0].Store != "disk" {
		t.Errorf("findings: %+v, want one of the store", r.Findings)
	}
}

func TestCancelled(t *testing.T) {
	w := newWorld(t)
	w.put(noise(1, 10))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := w.config()
	cfg.ReadData = true
	r, err := fsck.Run(ctx, cfg)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
	if !r.Clean() {
		t.Errorf("an interrupted check found %+v", r.Findings)
	}
}

func TestManyBlobsOfManyDirectories(t *testing.T) {
	w := newWorld(t)
	var extra []string
	for i := range 60 {
		uid := w.begin(1)
		key := w.key(uint32(i % 7))
		id, err := w.db.AddBlob(t.Context(), meta.NewBlob{Store: "disk", Key: string(key)}, uid)
		must(t, err)
		must(t, w.store.Put(t.Context(), key, strings.NewReader("x"), 1))
		if i%10 == 0 {
			w.sql(`DELETE FROM blobs WHERE id = ?`, int64(id))
			extra = append(extra, string(key))
		}
	}
	var got []string
	for _, f := range w.run(false).Findings {
		if f.Kind != fsck.KindExtra {
			t.Fatalf("finding %+v", f)
		}
		got = append(got, f.Key)
	}
	slices.Sort(extra)
	slices.Sort(got)
	if !slices.Equal(got, extra) {
		t.Errorf("extra objects: %v, want %v", got, extra)
	}
}

func TestRendering(t *testing.T) {
	r := fsck.Report{
		Findings: []fsck.Finding{{Kind: fsck.KindMissing, UIDs: []protocol.UID{12, 34}, Store: "disk", Key: "00000001/ab", Detail: "gone"}, {Kind: fsck.KindDatabase, Detail: "torn"}},
		Pending:  []fsck.Pending{{Store: "disk", Key: "00000002/cd", Detail: "left"}},
		Counts:   fsck.Counts{Objects: 1, Blobs: 2, Contents: 3, Files: 4, Parts: 5},
	}
	var text bytes.Buffer
	must(t, r.WriteText(&text))
	want := `FINDING  missing_object disk:00000001/ab uid 12 34: gone
FINDING  database: torn
pending  disk:00000002/cd: left
Checked 1 objects, 2 blobs, 3 contents, 4 files, 5 parts of open uploads; their bytes were not read (--read-data does).
2 findings, 1 pending.
`
	if text.String() != want {
		t.Errorf("text is\n%s\nwant\n%s", text.String(), want)
	}
	var out bytes.Buffer
	must(t, r.WriteJSON(&out))
	var back fsck.Report
	must(t, json.Unmarshal(out.Bytes(), &back))
	if fmt.Sprint(back) != fmt.Sprint(r) {
		t.Errorf("JSON gives back %+v, want %+v", back, r)
	}
	out.Reset()
	must(t, fsck.Report{}.WriteJSON(&out))
	must(t, fsck.Report{Findings: []fsck.Finding{{}}}.WriteJSON(&out))
	if !strings.Contains(out.String(), `"findings":[],"pending":[]`) || strings.Contains(out.String(), "null") {
		t.Errorf("lists are null: %s", out.String())
	}
	if !(fsck.Report{Pending: r.Pending}).Clean() || r.Clean() {
		t.Error("what is pending is a finding, or a finding is not")
	}
}
