package file

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

const otherNode = meta.NodeID("00112233445566778899aabbccddeeff")

// another is the read side of a node that has a disk of its own under the same
// configured name.
func (b *bench) another(mode VerifyMode) *Service {
	name := holder.Instance("disk", otherNode)
	return New(Config{
		Meta: b.db, Stores: map[string]*store.Store{name: store.New(name, mem.New(), store.Options{})}, Verify: mode,
		Clock: b.clock.Now, Logger: slog.New(slog.DiscardHandler), Corrupt: func(c Corruption) { b.t.Errorf("%+v", c) },
	})
}

// TestWhatAnotherNodeHasIsElsewhere: whoever asks at a node whose disk has not got
// the bytes is sent on before anything is read, and nobody takes them for gone.
func TestWhatAnotherNodeHasIsElsewhere(t *testing.T) {
	for _, mode := range []VerifyMode{VerifyFirst, VerifyAlways, VerifyOff} {
		b := newBench(t, "local", mode)
		data := noise(protocol.BlockSize + 100)
		uid := b.put(data, 70, protocol.BlockSize)
		_, mc, err := b.db.Content(t.Context(), owner, uid)
		must(t, err)
		other := b.another(mode)
		for what, ask := range map[string]func(context.Context) error{
			"open":    func(ctx context.Context) error { _, err := other.Open(ctx, owner, uid); return err },
			"through": func(ctx context.Context) error { _, err := other.Through(ctx, mc.ID); return err },
			"sample":  func(ctx context.Context) error { _, err := other.Sample(ctx, mc, [][2]int64{{0, 10}}); return err },
			"unrecorded": func(ctx context.Context) error {
				_, err := other.Unrecorded(ctx, mc.ID, func() func([]byte) error { return func([]byte) error { return errors.New("read") } })
				return err
			},
		} {
			err := ask(t.Context())
			if e := holder.Of(err); e == nil || e.Store != "disk" || protocol.KindOf(err) != protocol.KindStoreUnavailable {
				t.Errorf("%s: %s: %v", mode, what, err)
			}
		}
		if got, err := b.read(uid, 0, int64(len(data))); err != nil || string(got) != string(data) {
			t.Errorf("%s: at the node that has it: %d bytes, %v", mode, len(got), err)
		}
	}
}

// TestContentThatMovesToAnotherNode: where it moves away before the first byte
// was given the reader is sent on, and after that cut off; it is never damaged.
func TestContentThatMovesToAnotherNode(t *testing.T) {
	b := newBench(t, "local", VerifyFirst)
	data := noise(3 * protocol.BlockSize)
	uid := b.put(data, protocol.BlockSize, protocol.BlockSize)
	c, err := b.svc.Open(t.Context(), owner, uid)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	must(t, c.Check(t.Context(), 0, 1))
	name := holder.Instance("disk", otherNode)
	var moved []meta.Extent
	for range 3 {
		id, err := b.db.AddBlob(t.Context(), meta.NewBlob{Store: name, Key: string(store.NewKey(store.DirOf(9)))}, 0)
		must(t, err)
		moved = append(moved, meta.Extent{Blob: id, Length: protocol.BlockSize})
	}
	must(t, b.db.MoveExtents(t.Context(), meta.Move{Content: c.id, Gen: c.gen, Extents: moved}))
	for _, e := range b.extents[uid][1:] {
		must(t, os.Remove(filepath.Join(b.root, filepath.FromSlash(e.Key))))
	}
	err = c.WriteRange(t.Context(), io.Discard, 0, c.Size())
	if e := holder.Of(err); e == nil || e.Node != otherNode {
		t.Errorf("while it is read: %v", err)
	}
	if err := c.Check(t.Context(), protocol.BlockSize, 1); holder.Of(err) == nil {
		t.Errorf("before it is read: %v", err)
	}
	if _, mc, err := b.db.Content(t.Context(), owner, uid); err != nil || mc.State != meta.ContentLive || len(b.corruptions()) != 0 {
		t.Errorf("%+v, %v, %v", mc, err, b.corruptions())
	}
}
