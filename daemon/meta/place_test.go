package meta

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// A content whose digest became known late can be the live twin of a damaged
// one. When the bytes arrive again, the files of both read them.
func TestBytesHealTheDamagedTwin(t *testing.T) {
	if err := openClosed(t, filepath.Join(t.TempDir(), "meta.db"), func(db *DB) {
		put := func(uid protocol.UID, digest byte, key string) ContentID {
			if _, err := db.PutFile(t.Context(), NewFile{FileFields: FileFields{Owner: "o", Name: "n"}, UID: uid, CommittedAt: time.Now(), Size: 5,
				Digest: protocol.Digest{digest}, ETag: `"e"`, Blocks: make([]protocol.Block, 1), Blob: &NewBlob{Store: "disk", Key: key, Size: 5}}, nil); err != nil {
				t.Fatal(err)
			}
			_, c, err := db.Content(t.Context(), "o", uid)
			if err != nil {
				t.Fatal(err)
			}
			return c.ID
		}
		damaged, twin := put(1, 1, "a"), put(2, 2, "b")
		if err := db.MarkDamaged(t.Context(), damaged, 0); err != nil {
			t.Fatal(err)
		}
		if err := db.update(t.Context(), full, "fill in a digest", func(x *tx) error {
			d := protocol.Digest{1}
			_, err := x.exec(`UPDATE contents SET digest = ? WHERE id = ?`, d[:], twin)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		put(3, 1, "c")
		for uid := protocol.UID(1); uid <= 3; uid++ {
			_, c, err := db.Content(t.Context(), "o", uid)
			if err != nil {
				t.Fatal(err)
			}
			if c.ID != twin || c.State != ContentLive || len(c.Extents) != 1 || c.Extents[0].Key != "c" {
				t.Errorf("file %d reads %+v", uid, c)
			}
		}
		if n, err := db.DoomOffered(t.Context(), 10); n != 2 || err != nil {
			t.Errorf("%d blobs were offered, %v", n, err)
		}
		old, err := db.Doomed(t.Context(), "", time.Now().Add(time.Hour), nil, 10)
		if err != nil || len(old) != 2 {
			t.Errorf("%d blobs are doomed, %v", len(old), err)
		}
		if err := db.CheckDatabase(t.Context()); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
