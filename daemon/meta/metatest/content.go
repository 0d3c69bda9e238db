package metatest

import (
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var contentTests = map[string]func(*env){
	"extents in order, resolved again": func(e *env) {
		u := e.begin(e.newUpload("x"))
		b := e.newBlob(7)
		own, err := e.db.AddBlob(e.ctx, b, u.UID)
		e.ok(err)
		e.record(u.UID, part(1, own, 0, 7))
		gen := e.record(u.UID, part(2, u.Blob, 7, 5))
		want := []meta.Extent{{Blob: own, Store: "disk", Key: b.Key, Length: 7}, {Blob: u.Blob, Store: "disk", Key: u.InPlace.Key, Offset: 7, Length: 5}}
		_, err = e.db.Commit(e.ctx, e.commitOf(u, gen, 1, 12, meta.Extent{Blob: own, Length: 7}, meta.Extent{Blob: u.Blob, Offset: 7, Length: 5}))
		e.ok(err)
		_, c, err := e.db.Content(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("extents", c.Extents, want)
		again, gen2, err := e.db.Extents(e.ctx, c.ID)
		e.ok(err)
		e.same("gen", gen2, c.Gen)
		e.same("extents again", again, want)
		_, _, err = e.db.Extents(e.ctx, 7777)
		e.kind(err, protocol.KindNotFound)
	},
	"a reading is as fresh as the last write": func(e *env) {
		_, f := e.put("x", 1, 5)
		read := func(owner protocol.Owner) (string, error) {
			f, c, err := e.db.Content(e.ctx, owner, f.UID)
			return fmt.Sprintf("%s gen %d %s %v", f.Name, c.Gen, c.State, c.Extents), err
		}
		last := ""
		changed := func(what string) {
			e.Helper()
			now, err := read(alice)
			e.ok(err)
			if now == last {
				e.Fatalf("%s: still read as %s", what, now)
			}
			last = now
			again, err := read(alice)
			e.ok(err)
			e.same("read again", again, now)
			_, err = read(bob)
			e.kind(err, protocol.KindNotFound)
		}
		changed("put")
		name, soon := "y", e.clock.Now().Add(time.Minute)
		psoon := &soon
		_, err := e.db.PatchFile(e.ctx, alice, f.UID, meta.FilePatch{Name: &name, ExpiresAt: &psoon})
		e.ok(err)
		changed("renamed")
		_, c, err := e.db.Content(e.ctx, alice, f.UID)
		e.ok(err)
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		changed("damaged")
		e.put("z", 1, 5)
		changed("healed by equal bytes, which lie elsewhere")
		e.clock.Add(time.Minute)
		_, err = read(alice)
		e.kind(err, protocol.KindNotFound)
		e.clock.Add(-time.Minute)
		_, err = read(alice)
		e.ok(err)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		_, err = read(alice)
		e.kind(err, protocol.KindNotFound)
	},
	"blocks over the edges of their rows": func(e *env) {
		const count = 2*1024 + 3
		u, _ := e.put("x", 1, count*protocol.BlockSize-1)
		_, c, err := e.db.Content(e.ctx, alice, u.UID)
		e.ok(err)
		all := blocks(count*protocol.BlockSize-1, 1)
		for _, r := range [][2]int64{{0, 1}, {0, count}, {1023, 1}, {1023, 2}, {1024, 1}, {1020, 1030}, {2047, 4}, {count - 1, 1}, {count - 1, 100}, {count, 5}, {1 << 40, 5}, {5, 0}} {
			got, err := e.db.Blocks(e.ctx, c.ID, r[0], r[1])
			e.ok(err)
			lo := min(r[0], count)
			want := all[lo:min(lo+r[1], count)]
			if len(got) != len(want) {
				e.Fatalf("blocks %v: got %d, want %d", r, len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					e.Fatalf("blocks %v: number %d is another block's", r, i)
				}
			}
		}
		_, err = e.db.Blocks(e.ctx, 7777, 0, 1)
		e.kind(err, protocol.KindNotFound)
		e.ok(e.db.MarkDamaged(e.ctx, 7777, 0))
	},
}
