package upload_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

const (
	nodeA = meta.NodeID("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	nodeB = meta.NodeID("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

// twoNodes are the write sides of two nodes on one database, each with a disk of
// its own under one configured name, of which the first node is the home.
func twoNodes(t *testing.T, down func(*holder.Elsewhere) bool) (a, b *bench) {
	t.Helper()
	instant := func(b *bench, c *upload.Config) {
		c.Instant, c.Down = meta.ScopeOwner, down
		c.Sample = func(_ context.Context, mc meta.Content, _ [][2]int64) (io.ReaderAt, error) {
			var all []byte
			for _, e := range mc.Extents {
				p, err := b.bytes(e.Key, e.Offset, e.Length)
				if err != nil {
					return nil, err
				}
				all = append(all, p...)
			}
			return bytes.NewReader(all), nil
		}
	}
	a = newEnded(t, setup{change: func(c *upload.Config) { c.Node = nodeA }})
	must(t, a.Service.Close())
	a.Service = a.service(func(c *upload.Config) { c.Node = nodeA; instant(a, c) })
	name := holder.Instance("disk", nodeB)
	b = &bench{t: t, clock: a.clock, path: a.path, db: a.db, store: store.New(name, localOn(t, nil), store.Options{Attempts: 1})}
	b.Service = b.service(func(c *upload.Config) {
		c.Node, c.BootID = nodeB, "boot of the other machine"
		instant(b, c)
	})
	t.Cleanup(func() {
		must(t, b.Service.Close())
		must(t, b.store.Close())
	})
	return a, b
}

// sentTo checks that an error sends to the node.
func sentTo(t *testing.T, what string, err error, node meta.NodeID) {
	t.Helper()
	if e := holder.Of(err); e == nil || e.Node != node {
		t.Errorf("%s: %v, not sent to %.4s", what, err, node)
	}
}

// untouched is a body that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("a byte was taken")
	return 0, io.ErrUnexpectedEOF
}

// onRecord are the parts of an upload as the database has them.
func (b *bench) onRecord(uid protocol.UID) []meta.Part {
	b.t.Helper()
	parts, _, err := b.db.Parts(b.t.Context(), owner, uid)
	must(b.t, err)
	return parts
}

// TestAtTheWrongNode: whoever comes with an open upload to a node that is not its
// home is sent there before a byte is taken; nothing changes, and there it all
// works.
func TestAtTheWrongNode(t *testing.T) {
	a, b := twoNodes(t, nil)
	content := random(1, 2*block)
	fp := protocol.FingerprintOf(2*block, blocksOf(content))
	req := protocol.BeginUpload{Name: "x", Size: ptr(int64(2 * block)), Fingerprint: &fp}
	uid := a.begin(req)
	a.put(uid, 1, content)
	before := a.onRecord(uid)
	a.clock.add(time.Minute) // nobody is sending any more
	ctx := t.Context()
	unread := upload.Body{Reader: untouched{t}, Length: 2 * block}
	_, err := b.PutPart(ctx, owner, uid, 1, unread)
	sentTo(t, "part", err, nodeA)
	_, _, err = b.Commit(ctx, owner, uid, protocol.CommitUpload{})
	sentTo(t, "commit", err, nodeA)
	_, err = b.Upload(ctx, owner, uid)
	sentTo(t, "get", err, nodeA)
	sentTo(t, "abort", b.Abort(ctx, owner, uid), nodeA)
	req.Resume = true
	_, err = b.Begin(ctx, owner, req, nil)
	sentTo(t, "resume", err, nodeA)
	l := upload.Linked{Owner: owner, UID: uid, MaxSize: -1}
	_, err = b.PutLinkedPart(ctx, l, 1, unread)
	sentTo(t, "part by link", err, nodeA)
	_, err = b.BeginLinked(ctx, l, req)
	sentTo(t, "begin by link", err, nodeA)
	_, err = b.PutLinked(ctx, l, req, unread)
	sentTo(t, "put by link", err, nodeA)
	must(t, b.SettleParts(ctx))
	if after := a.onRecord(uid); len(after) != len(before) || after[0].Gen != before[0].Gen || after[0].BootID != before[0].BootID {
		t.Errorf("the parts are %+v, were %+v", after, before)
	}
	r, err := a.Begin(ctx, owner, req, nil)
	must(t, err)
	if r.UID != uid {
		t.Errorf("at home %s is resumed, not %s", r.UID, uid)
	}
	a.commit(uid, protocol.CommitUpload{})
	a.holds(uid, content)
	for _, w := range []*bench{a, b} {
		u, err := w.Upload(ctx, owner, uid)
		must(t, err)
		f, repeated, err := w.Commit(ctx, owner, uid, protocol.CommitUpload{})
		must(t, err)
		if u.File == nil || !repeated || f.UID != uid {
			t.Errorf("after the commit any node has it: %+v", u)
		}
	}
}

// TestChunksAtTheWrongNode: as TestAtTheWrongNode.
func TestChunksAtTheWrongNode(t *testing.T) {
	a, b := twoNodes(t, nil)
	ctx, content := t.Context(), random(2, 300)
	uid, err := a.minter.Next(ctx)
	must(t, err)
	l, sum := upload.Linked{Owner: owner, UID: uid, MaxSize: -1, AnySize: true}, md5.Sum(content)
	begin := protocol.BeginUpload{Name: "x"}
	_, err = a.PutLinkedChunk(ctx, l, begin, 1, upload.Body{Reader: bytes.NewReader(content), Length: 300, MD5: &sum})
	must(t, err)
	m := upload.Merge{Num: 1, Size: 300, MD5: sum}
	_, err = b.PutLinkedChunk(ctx, l, begin, 2, upload.Body{Reader: untouched{t}, Length: 300, MD5: &sum})
	sentTo(t, "chunk", err, nodeA)
	_, err = b.Chunks(ctx, owner, uid)
	sentTo(t, "checkpoint", err, nodeA)
	_, err = b.MergeLinked(ctx, l, m)
	sentTo(t, "merge", err, nodeA)
	must(t, b.Known(ctx, owner, uid))
	f, err := a.MergeLinked(ctx, l, m)
	must(t, err)
	again, err := b.MergeLinked(ctx, l, m)
	must(t, err)
	if f.UID != uid || again.UID != uid || f.Size != 300 {
		t.Errorf("%+v, then %+v", f, again)
	}
}

// TestUploadsOfBeforeThereWereHomes: they belong where their bytes are.
func TestUploadsOfBeforeThereWereHomes(t *testing.T) {
	a, b := twoNodes(t, nil)
	ctx, content := t.Context(), random(3, 2*block)
	uid := a.beginBlocks(ptr(int64(2 * block)))
	if up, err := a.db.Upload(ctx, owner, uid); err != nil || up.Node != "" {
		t.Fatalf("%+v, %v", up, err)
	}
	_, err := b.PutPart(ctx, owner, uid, 1, upload.Body{Reader: untouched{t}, Length: block})
	if e := holder.Of(err); e == nil || e.Store != "disk" {
		t.Errorf("part: %v", err)
	}
	a.putAll(uid, block, content)
	// So do those that are assembled in no blob, by their parts.
	loose, err := a.minter.Next(ctx)
	must(t, err)
	_, err = a.db.BeginUpload(ctx, meta.NewUpload{FileFields: meta.FileFields{Owner: owner, Name: "loose"}, UID: loose, CreatedAt: a.clock.Now(), PartSize: block}, nil)
	must(t, err)
	a.put(loose, 1, content[:block])
	for _, id := range []protocol.UID{uid, loose} {
		if up, err := a.db.Upload(ctx, owner, id); err != nil || up.Node != nodeA {
			t.Errorf("once something was written its home is %q (%v)", up.Node, err)
		}
		_, err = b.PutPart(ctx, owner, id, 2, upload.Body{Reader: untouched{t}, Length: block})
		sentTo(t, "part", err, nodeA)
		_, _, err = b.Commit(ctx, owner, id, protocol.CommitUpload{Size: ptr(int64(block))})
		sentTo(t, "commit", err, nodeA)
	}
	a.commit(uid, protocol.CommitUpload{})
	a.holds(uid, content)
	a.commit(loose, protocol.CommitUpload{Size: ptr(int64(block))})
	a.holds(loose, content[:block])
}

// TestTwoNodesSettleOneHome: the first parts of an upload without a home come to two
// nodes at once. One of them becomes it, and the other says so.
func TestTwoNodesSettleOneHome(t *testing.T) {
	a, b := twoNodes(t, nil)
	ctx := t.Context()
	for i := range 15 {
		content := random(int64(i), 2*block)
		uid, err := a.minter.Next(ctx)
		must(t, err)
		_, err = a.db.BeginUpload(ctx, meta.NewUpload{FileFields: meta.FileFields{Owner: owner, Name: "loose"}, UID: uid, CreatedAt: a.clock.Now(), PartSize: block}, nil)
		must(t, err)
		nodes, errs := []*bench{a, b}, make([]error, 2)
		var both sync.WaitGroup
		for k, w := range nodes {
			both.Go(func() {
				_, errs[k] = w.PutPart(ctx, owner, uid, protocol.PartNumber(k+1), body(content[k*block:(k+1)*block]))
			})
		}
		both.Wait()
		up, err := a.db.Upload(ctx, owner, uid)
		must(t, err)
		for k, node := range []meta.NodeID{nodeA, nodeB} {
			if node == up.Node {
				must(t, errs[k])
				nodes[k].put(uid, protocol.PartNumber(2-k), content[(1-k)*block:(2-k)*block])
				nodes[k].commit(uid, protocol.CommitUpload{Size: ptr(int64(2 * block))})
				nodes[k].holds(uid, content)
			} else {
				sentTo(t, "the part at the other node", errs[k], up.Node)
			}
		}
	}
}

// TestNodesOnASharedStore: an upload on it has no home, and each node takes any
// part.
func TestNodesOnASharedStore(t *testing.T) {
	a, b := twoNodes(t, nil)
	shared := store.New("shared", mem.New(), store.Options{})
	for _, w := range []*bench{a, b} {
		must(t, w.Service.Close())
		node := map[*bench]meta.NodeID{a: nodeA, b: nodeB}[w]
		own := w.store
		w.Service = w.service(func(c *upload.Config) {
			c.Node, c.Store, c.Stores = node, shared, map[string]*store.Store{own.Name(): own, "shared": shared}
		})
	}
	content := random(4, 3*block)
	r, err := a.Begin(t.Context(), owner, protocol.BeginUpload{Name: "y"}, nil)
	must(t, err)
	b.put(r.UID, 1, content)
	if up, err := a.db.Upload(t.Context(), owner, r.UID); err != nil || up.Node != "" {
		t.Errorf("%+v, %v", up, err)
	}
	a.commit(r.UID, protocol.CommitUpload{Size: ptr(int64(len(content)))})
	_, mc, err := a.db.Content(t.Context(), owner, r.UID)
	must(t, err)
	if len(mc.Extents) != 1 || mc.Extents[0].Store != "shared" {
		t.Errorf("%+v", mc.Extents)
	}
}

// TestEqualContentOfADeadNode: while its only node does not answer the bytes are
// taken again, and every file with them reads at the node that took them.
func TestEqualContentOfADeadNode(t *testing.T) {
	dead := map[meta.NodeID]bool{}
	stores := map[string]meta.NodeID{"disk": nodeA, holder.Instance("disk", nodeB): nodeB}
	a, b := twoNodes(t, func(e *holder.Elsewhere) bool { return dead[e.Node] || dead[stores[e.Store]] })
	ctx, content := t.Context(), random(5, 3*block)
	fp, digest := protocol.FingerprintOf(3*block, blocksOf(content)), protocol.DigestOf(blocksOf(content))
	req := protocol.BeginUpload{Name: "x", Size: ptr(int64(3 * block)), Fingerprint: &fp, Resume: true}
	first, left := a.begin(req), protocol.UID(0)
	a.putAll(first, 8<<20, content)
	a.commit(first, protocol.CommitUpload{})
	left = a.begin(req)
	uid := b.begin(protocol.BeginUpload{Name: "z", Size: req.Size, Fingerprint: &fp})
	ch, err := b.StartClaim(ctx, owner, uid, digest, "me")
	must(t, err)
	n, err := protocol.ParseNonce(ch.Nonce)
	must(t, err)
	proof, err := protocol.Proof(n, uid, 3*block, digest, ch.Ranges, bytes.NewReader(content))
	must(t, err)
	finish := func(w *bench) error {
		_, err := w.FinishClaim(ctx, owner, uid, ch.Nonce, hex.EncodeToString(proof[:]), "me")
		return err
	}
	if e := holder.Of(finish(b)); e == nil || e.Store != "disk" {
		t.Errorf("a claim at a node that cannot read the content: %v", e)
	}
	dead[nodeA] = true
	wants(t, finish(b), protocol.KindClaimRefused)
	other := b.begin(req)
	if other == left {
		t.Error("an upload of a dead node was given to go on with")
	}
	_, err = b.StartClaim(ctx, owner, other, digest, "me")
	wants(t, err, protocol.KindClaimRefused)
	b.putAll(other, 8<<20, content)
	b.commit(other, protocol.CommitUpload{})
	for _, id := range []protocol.UID{first, other} {
		_, mc, err := b.db.Content(ctx, owner, id)
		must(t, err)
		if err := holder.All(map[string]*store.Store{b.store.Name(): b.store}, mc.Extents); err != nil {
			t.Errorf("file %s: %v", id, err)
		}
		b.holds(id, content)
	}
	dead[nodeA] = false
	must(t, finish(b)) // the challenge was not used up, and the bytes are here now
	b.holds(uid, content)
	if got := slices.Sorted(maps.Keys(a.parts(left))); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// TestTwinsOfADeadNode: what an owner has on a node alone that does not answer is
// not held: a file on it could not be read, and the caller would not send its bytes.
func TestTwinsOfADeadNode(t *testing.T) {
	dead := false
	a, b := twoNodes(t, func(e *holder.Elsewhere) bool { return dead && (e.Node == nodeA || e.Store == "disk") })
	a.putSmall(owner, "at a", "hello")
	b.putSmall(owner, "at b", "goodbye")
	a.findOut("hello", "goodbye")
	list := []upload.Twin{twin("a.txt", "hello"), twin("b.txt", "goodbye"), twin("c.txt", "unknown")}
	for _, down := range []bool{false, true} {
		dead = down
		if got := known(b.twins(owner, list...)); !slices.Equal(got, []bool{!down, true, false}) {
			t.Errorf("with the node down (%v): %v", down, got)
		}
	}
	b.putSmall(owner, "again", "hello")
	if got := known(b.twins(owner, list...)); !slices.Equal(got, []bool{true, true, false}) {
		t.Errorf("once the bytes were sent: %v", got)
	}
}

func blocksOf(content []byte) []protocol.Block {
	h := protocol.NewPartHasher()
	_, _ = h.Write(content)
	_, blocks := h.Sum()
	return blocks
}
