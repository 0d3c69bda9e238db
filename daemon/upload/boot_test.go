package upload_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local/record"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
)

// damage writes p at off of the object in which a part lies.
func (b *bench) damage(p meta.Part, data []byte, off int64) {
	b.t.Helper()
	a, _ := b.store.Assembler()
	asm, err := a.Assemble(b.t.Context(), store.Key(p.Key))
	must(b.t, err)
	_, err = asm.WriteAt(data, off)
	must(b.t, err)
	must(b.t, asm.Close())
}

func (b *bench) recorded(uid protocol.UID) map[protocol.PartNumber]meta.Part {
	b.t.Helper()
	parts, _, err := b.db.Parts(b.t.Context(), owner, uid)
	must(b.t, err)
	list := map[protocol.PartNumber]meta.Part{}
	for _, p := range parts {
		list[p.Number] = p
	}
	return list
}

// TestAnotherBoot: parts that another boot left unsynced are read back before
// they are listed or counted. Good ones stay and are synced; the others go.
func TestAnotherBoot(t *testing.T) {
	rec := record.New()
	b := newEnded(t, setup{backend: localOn(t, rec)})
	content := random(1, 2*block+300)
	uid := b.beginBlocks(ptr(int64(len(content))))
	b.putAll(uid, block, content)
	b.put(uid, 1, content[:block]) // in a blob of its own
	must(t, b.Service.Close())
	parts := b.recorded(uid)
	b.damage(parts[2], []byte("x"), parts[2].BlobOffset+block/2)
	b.Service = b.service(func(c *upload.Config) { c.BootID = "boot 2" })
	before := syncs(rec)
	if got := b.parts(uid); !slices.Equal(slices.Sorted(maps.Keys(got)), []protocol.PartNumber{1, 3}) {
		t.Errorf("listed %v, want the two that are not damaged", got)
	}
	if syncs(rec) == before {
		t.Error("what was read back was not synced")
	}
	for n, p := range b.recorded(uid) {
		if p.BootID != "" {
			t.Errorf("part %d still carries %q", n, p.BootID)
		}
	}
	_, _, err := b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
	wants(t, err, protocol.KindPartsMissing)
	b.put(uid, 2, content[block:2*block])
	b.commit(uid, protocol.CommitUpload{})
	b.holds(uid, content)
	b.mustBeSound()
}

func syncs(rec *record.FS) (n int) {
	for _, op := range rec.Log() {
		if op.Kind == record.SyncFile {
			n++
		}
	}
	return n
}

// TestAnotherBootCommit: the same before a commit that nobody listed first.
func TestAnotherBootCommit(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(*bench, meta.Part)
		want protocol.Kind
	}{
		"good":    {func(*bench, meta.Part) {}, ""},
		"damaged": {func(b *bench, p meta.Part) { b.damage(p, []byte("x"), 5) }, protocol.KindPartsMissing},
		"gone":    {func(b *bench, p meta.Part) { must(b.t, b.store.Delete(b.t.Context(), store.Key(p.Key))) }, protocol.KindPartsMissing},
		"short": {func(b *bench, p meta.Part) {
			must(b.t, b.store.Delete(b.t.Context(), store.Key(p.Key)))
			b.damage(p, []byte("x"), 5)
		}, protocol.KindPartsMissing},
	} {
		t.Run(name, func(t *testing.T) {
			b := newEnded(t, setup{})
			content := random(1, 600_000)
			uid := b.begin(protocol.BeginUpload{Size: ptr(int64(len(content)))})
			b.put(uid, 1, content)
			must(t, b.Service.Close())
			c.harm(b, b.recorded(uid)[1])
			b.Service = b.service(func(c *upload.Config) { c.BootID = "boot 2" })
			_, _, err := b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
			wants(t, err, c.want)
			if c.want == "" {
				b.holds(uid, content)
				return
			}
			if got := b.parts(uid); len(got) != 0 {
				t.Errorf("listed %v", got)
			}
			b.put(uid, 1, content)
			b.commit(uid, protocol.CommitUpload{})
			b.holds(uid, content)
			b.mustBeSound()
		})
	}
}

// TestSentOnWithoutListing: a client that goes on after a power cut without
// asking writes into the blob in which damaged parts lie. The sync of its part
// says nothing of theirs.
func TestSentOnWithoutListing(t *testing.T) {
	g := newGate(t)
	b := newEnded(t, setup{backend: g})
	content := random(1, block+300)
	uid := b.beginBlocks(ptr(int64(len(content))))
	b.put(uid, 1, content[:block])
	must(t, b.Service.Close())
	b.damage(b.recorded(uid)[1], []byte("x"), 5)
	b.Service = b.service(func(c *upload.Config) { c.BootID, c.IdleAfter = "boot 2", busyTime/500 })
	b.put(uid, 2, content[block:])
	g.allClosed() // it was synced
	_, _, err := b.Commit(t.Context(), owner, uid, protocol.CommitUpload{})
	wants(t, err, protocol.KindPartsMissing)
	b.put(uid, 1, content[:block])
	b.commit(uid, protocol.CommitUpload{})
	b.holds(uid, content)
}

// TestSameBoot: within one boot parts are trusted without being read.
func TestSameBoot(t *testing.T) {
	b := newEnded(t, setup{})
	uid := b.begin(protocol.BeginUpload{Size: ptr(int64(3))})
	b.put(uid, 1, []byte("abc"))
	must(t, b.Service.Close())
	b.damage(b.recorded(uid)[1], []byte("x"), 0)
	b.Service = b.service(nil)
	if got := b.parts(uid); got[1] != 3 {
		t.Errorf("listed %v", got)
	}
}

// TestNoBoot: without an id of the boot every process is one of its own.
func TestNoBoot(t *testing.T) {
	b := newEnded(t, setup{change: func(c *upload.Config) { c.BootID = "" }})
	uid := b.begin(protocol.BeginUpload{Size: ptr(int64(3))})
	b.put(uid, 1, []byte("abc"))
	must(t, b.Service.Close())
	b.damage(b.recorded(uid)[1], []byte("x"), 0)
	b.Service = b.service(func(c *upload.Config) { c.BootID = "" })
	if got := b.parts(uid); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
}

// TestDurableParts: an object store's parts are durable when they are
// answered, and no boot makes them doubtful.
func TestDurableParts(t *testing.T) {
	faulty := storetest.NewFaulty(mem.New())
	b := newEnded(t, setup{backend: faulty})
	uid := b.begin(protocol.BeginUpload{Size: ptr(int64(3))})
	b.put(uid, 1, []byte("abc"))
	b.restart("boot 2")
	b.commit(uid, protocol.CommitUpload{})
	if n := faulty.Calls(storetest.OpGet); n != 0 {
		t.Errorf("read %d objects", n)
	}
	b.holds(uid, []byte("abc"))
}
