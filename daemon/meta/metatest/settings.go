package metatest

import (
	"regexp"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

var settingsTests = map[string]func(*env){
	"server id": func(e *env) {
		id, err := e.db.ServerID(e.ctx)
		e.ok(err)
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) {
			e.Fatalf("server id %q is not 32 hex digits", id)
		}
		again, err := e.db.ServerID(e.ctx)
		e.ok(err)
		e.same("server id", again, id)
		e.ok(e.db.Ping(e.ctx))
	},
	"stores are remembered by name": func(e *env) {
		known, err := e.db.StoreKnown(e.ctx, "disk")
		e.ok(err)
		e.same("known", known, false)
		e.ok(e.db.RememberStore(e.ctx, "disk"))
		e.ok(e.db.RememberStore(e.ctx, "disk"))
		known, err = e.db.StoreKnown(e.ctx, "disk")
		e.ok(err)
		e.same("known", known, true)
		known, err = e.db.StoreKnown(e.ctx, "disk2")
		e.ok(err)
		e.same("another is known", known, false)
	},
	"the clock is kept": func(e *env) {
		kept, err := e.db.ClockKept(e.ctx)
		e.ok(err)
		e.same("at first", kept, time.Time{})
		later := e.clock.Now().Add(time.Hour)
		for _, at := range []time.Time{later, e.clock.Now(), e.clock.Now(), later} { // it may go back
			e.ok(e.db.KeepClock(e.ctx, at))
			kept, err = e.db.ClockKept(e.ctx)
			e.ok(err)
			e.same("kept", kept.Equal(at), true)
		}
	},
	"a uid mark only rises": func(e *env) {
		for _, c := range []struct {
			worker            int
			through, previous int64
		}{{0, 100, 0}, {0, 50, 100}, {0, 200, 100}, {1, 7, 0}, {0, 201, 200}, {1, 8, 7}, {10, 9, 0}} {
			got, err := e.db.ReserveUIDs(e.ctx, c.worker, c.through)
			e.ok(err)
			e.same("previous mark", got, c.previous)
		}
	},
	"directories": func(e *env) {
		for want := range uint32(3) {
			got, err := e.db.ReserveDir(e.ctx, "disk")
			e.ok(err)
			e.same("directory", got, want)
		}
		first, err := e.db.ReserveDir(e.ctx, "other")
		e.ok(err)
		e.same("another store's first", first, 0)
		e.ok(e.db.CloseDir(e.ctx, "disk", 2))
		e.ok(e.db.CloseDir(e.ctx, "disk", 2))
		e.ok(e.db.CloseDir(e.ctx, "disk", 0))
		open, err := e.db.OpenDirs(e.ctx, "disk")
		e.ok(err)
		e.same("open directories", open, []uint32{1})
		next, err := e.db.ReserveDir(e.ctx, "disk")
		e.ok(err)
		e.same("a closed number is never given again", next, 3)
	},
	"blobs by prefix": func(e *env) {
		for _, key := range []string{"00000001/a", "00000001/b", "00000002/a", "0000000\U0010ffff", "00000001"} {
			_, err := e.db.AddBlob(e.ctx, meta.NewBlob{Store: "disk", Key: key}, 0)
			e.ok(err)
		}
		_, err := e.db.AddBlob(e.ctx, meta.NewBlob{Store: "other", Key: "00000001/c"}, 0)
		e.ok(err)
		for prefix, want := range map[string]int{"00000001/": 2, "00000001": 3, "": 5, "00000002/": 1, "x": 0, "0000000\U0010ffff": 1, "\U0010ffff": 0} {
			got, err := e.db.BlobsIn(e.ctx, "disk", prefix)
			e.ok(err)
			if len(got) != want {
				e.Fatalf("prefix %q: got %v, want %d blobs", prefix, got, want)
			}
		}
	},
}
