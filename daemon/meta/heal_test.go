package meta_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// twins are two files of contents of equal bytes, as two operations at once can
// leave them; the first one is damaged.
type twins struct {
	t        *testing.T
	db       *meta.DB
	contents [2]meta.ContentID
}

func newTwins(t *testing.T) *twins {
	t.Helper()
	path := filepath.Join(t.TempDir(), "meta.db")
	w := &twins{t: t, db: metatest.OpenDB(t, meta.Config{Path: path})}
	t.Cleanup(func() {
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range w.contents {
		uid, d := protocol.UID(i+1), byte(i+1)
		_, err := w.db.PutFile(t.Context(), meta.NewFile{FileFields: meta.FileFields{Owner: "ann", Name: fmt.Sprint(i)}, UID: uid, CommittedAt: time.Now(), Size: 5,
			Digest: protocol.Digest{d}, Fingerprint: protocol.Fingerprint{d}, ETag: `"e"`, Blocks: make([]protocol.Block, 1),
			Blob: &meta.NewBlob{Store: "disk", Key: fmt.Sprint("k", i), Size: 5}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.contents[i] = w.of(uid).ID
	}
	w.damage(0)
	metatest.Behind(t, path, `UPDATE contents SET digest = (SELECT digest FROM contents WHERE id = ?) WHERE id = ?`, int64(w.contents[0]), int64(w.contents[1]))
	return w
}

func (w *twins) of(uid protocol.UID) meta.Content {
	w.t.Helper()
	_, c, err := w.db.Content(w.t.Context(), "ann", uid)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *twins) damage(i int) {
	w.t.Helper()
	if err := w.db.MarkDamaged(w.t.Context(), w.contents[i], 0); err != nil {
		w.t.Fatal(err)
	}
}

// healed are the files of which it is told that they were healed.
func (w *twins) healed() (uids []protocol.UID) {
	w.t.Helper()
	if _, _, err := w.db.NumberEvents(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	events, err := w.db.Events(w.t.Context(), 0, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == protocol.EventContentHealed {
			uids = append(uids, e.UID)
		}
	}
	return uids
}

// One live content of a digest can exist: what was read right is folded into
// the one that is there.
func TestHealedBesideALiveOne(t *testing.T) {
	w := newTwins(t)
	w.heals(0, 1, []protocol.UID{1})
}

// Where both are damaged the one that was read right has the files of both.
func TestHealedBesideADamagedOne(t *testing.T) {
	w := newTwins(t)
	w.damage(1)
	w.heals(0, 0, []protocol.UID{1, 2})
}

func (w *twins) heals(read, want int, told []protocol.UID) {
	w.t.Helper()
	before := w.of(protocol.UID(want + 1))
	if healed, err := w.db.HealVerified(w.t.Context(), meta.Verified{Content: w.contents[read]}); err != nil || !healed {
		w.t.Fatal(healed, err)
	}
	gen := before.Gen
	if before.State == meta.ContentDamaged {
		gen++
	}
	for _, uid := range []protocol.UID{1, 2} {
		if c := w.of(uid); c.ID != w.contents[want] || c.State != meta.ContentLive || c.Gen != gen {
			w.t.Errorf("file %d has content %d, %s at gen %d", uid, c.ID, c.State, c.Gen)
		}
	}
	if got := w.healed(); fmt.Sprint(got) != fmt.Sprint(told) {
		w.t.Errorf("told of %v, want %v", got, told)
	}
	offered := 0
	if err := w.db.EachBlob(w.t.Context(), func(b meta.BlobRefs) error {
		if b.Offered {
			offered++
		}
		return nil
	}); err != nil || offered != 1 {
		w.t.Errorf("%d blobs are offered to the sweep, %v", offered, err)
	}
	if err := w.db.CheckDatabase(w.t.Context()); err != nil {
		w.t.Error(err)
	}
}
