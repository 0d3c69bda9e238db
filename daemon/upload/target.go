package upload

import (
	"context"
	"fmt"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// target is where the bytes of one part request go: their place in the
// upload's blob, or a blob of their own.
//
// Only one writer at a time may write a part at its place, and only while the
// part is not recorded. Everybody else is received into a blob of its own and
// takes over by recording the part there. So an accepted part is never
// touched, two writers never interleave, and a straggler can only write bytes
// that nothing refers to.
type target struct {
	se     *session
	number protocol.PartNumber
	blob   *openBlob
	// base is where in the blob the part begins.
	base    int64
	inPlace bool
	// store and key are those of a blob of its own.
	store *store.Store
	key   store.Key
}

// ownBlobs is how many blobs of single parts may wait for a sync in one upload.
const ownBlobs = 256

// claim decides where the part goes and opens the blob; nil where the part is
// to become an object of its own in st, which does not assemble.
func (se *session) claim(ctx context.Context, up meta.Upload, st *store.Store, n protocol.PartNumber, offset int64) (*target, error) {
	_, assembles := st.Assembler()
	if up.Blob != 0 || assembles {
		if t, err := se.claimInPlace(ctx, up, n, offset); t != nil || err != nil {
			return t, err
		}
	}
	if !assembles {
		return nil, nil
	}
	return se.claimOwn(ctx, up, st, n)
}

// claimInPlace gives nil where the part must go elsewhere.
func (se *session) claimInPlace(ctx context.Context, up meta.Upload, n protocol.PartNumber, offset int64) (*target, error) {
	se.mu.Lock()
	defer se.mu.Unlock()
	if err := se.load(ctx, up.Owner); err != nil {
		return nil, err
	}
	if up.Blob == 0 || se.lost[up.Blob] || se.recorded[n] || se.inPlace[n] {
		return nil, nil
	}
	b, err := se.openLocked(ctx, up.Blob, up.InPlace.Store, store.Key(up.InPlace.Key), true)
	if err != nil {
		return nil, err
	}
	se.inPlace[n] = true
	b.users++
	return &target{se: se, number: n, blob: b, base: offset, inPlace: true}, nil
}

// claimOwn makes a blob for one part; its row is durable before its object
// exists. As long as it is not synced it counts for more than its bytes, since it
// holds a descriptor.
func (se *session) claimOwn(ctx context.Context, up meta.Upload, st *store.Store, n protocol.PartNumber) (*target, error) {
	cost := max(se.svc.cfg.Unsynced/ownBlobs, 1)
	if err := se.reserve(ctx, cost); err != nil {
		return nil, err
	}
	id, key, err := se.svc.ownBlob(ctx, up, st, 0)
	if err != nil {
		se.unreserve(cost)
		return nil, err
	}
	se.mu.Lock()
	b, err := se.openLocked(ctx, id, st.Name(), key, false)
	if err == nil {
		b.users++
		b.written += cost
		se.followLocked()
	} else {
		se.easeLocked(cost)
	}
	se.mu.Unlock()
	if err != nil {
		se.svc.dropBlob(ctx, id)
		return nil, err
	}
	return &target{se: se, number: n, blob: b, store: st, key: key}, nil
}

// key chooses a key in the store.
func (s *Service) key(ctx context.Context, st *store.Store) (store.Key, error) {
	key, err := s.place.Key(ctx, st)
	if err != nil {
		return "", storeError(ctx, "choose a key", err)
	}
	return key, nil
}

// ownBlob names a blob for one part of an upload.
func (s *Service) ownBlob(ctx context.Context, up meta.Upload, st *store.Store, size int64) (meta.BlobID, store.Key, error) {
	key, err := s.key(ctx, st)
	if err != nil {
		return 0, "", err
	}
	id, err := s.db.AddBlob(ctx, meta.NewBlob{Store: st.Name(), Key: string(key), Size: size}, up.UID)
	if err != nil {
		return 0, "", fmt.Errorf("name a blob: %w", err)
	}
	crashpoint.Hit(crashpoint.PartBlobNamed)
	return id, key, nil
}

// dropBlob gives up a blob that nothing refers to; the sweep removes it.
func (s *Service) dropBlob(ctx context.Context, id meta.BlobID) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	if err := s.db.DropBlob(ctx, id); err != nil {
		s.log.Error("give a blob up", "blob", id, "err", err)
	}
}

// load reads which parts are recorded, once. The caller holds mu.
func (se *session) load(ctx context.Context, owner protocol.Owner) error {
	if se.recorded != nil {
		return nil
	}
	parts, gen, err := se.svc.db.Parts(ctx, owner, se.uid)
	if err != nil {
		return err
	}
	se.recorded = make(map[protocol.PartNumber]bool, len(parts))
	for _, p := range parts {
		se.recorded[p.Number] = true
	}
	se.gen = max(se.gen, gen)
	se.settled = se.settled || !se.svc.anyOfOtherBoot(parts)
	return nil
}

// openLocked opens a blob for writing, or finds it open. A lost one stays
// lost: through a new descriptor its next sync would succeed without having
// written what the failed one dropped. The caller holds mu.
func (se *session) openLocked(ctx context.Context, id meta.BlobID, name string, key store.Key, keep bool) (*openBlob, error) {
	if se.lost[id] {
		return nil, storeError(ctx, "open a blob", store.ErrLost)
	}
	if b := se.blobs[id]; b != nil {
		return b, nil
	}
	st, err := se.svc.storeNamed(name)
	if err != nil {
		return nil, err
	}
	a, ok := st.Assembler()
	if !ok {
		return nil, fmt.Errorf("store %s cannot assemble", name)
	}
	asm, err := a.Assemble(ctx, key)
	if err != nil {
		return nil, storeError(ctx, "open a blob", err)
	}
	crashpoint.Hit(crashpoint.PartOpened)
	b := &openBlob{id: id, asm: asm, keep: keep}
	se.blobs[id] = b
	return b, nil
}

// release ends a target that was recorded at gen.
func (t *target) release(gen int64) {
	se := t.se
	se.mu.Lock()
	defer se.mu.Unlock()
	if se.recorded != nil {
		se.recorded[t.number] = true
	}
	se.gen = max(se.gen, gen)
	se.endWriter(t)
}

// doubt ends a target after recording its part failed. Where the database itself
// failed, the record may turn out to be there, so nobody may write in its place
// any more, and what is in a blob of its own is left to the sweep.
func (t *target) doubt(ctx context.Context) {
	t.se.mu.Lock()
	if t.se.recorded != nil {
		t.se.recorded[t.number] = true
	}
	t.se.mu.Unlock()
	if t.end(); !t.inPlace {
		t.se.svc.dropBlob(ctx, t.blob.id)
	}
}

// abandon ends a target whose part was not recorded.
func (t *target) abandon(ctx context.Context) {
	if t.end(); !t.inPlace {
		t.se.svc.discard(ctx, t.store, t.blob.id, t.key)
	}
}

// end closes what is given up.
func (t *target) end() {
	se := t.se
	se.mu.Lock()
	defer se.mu.Unlock()
	if !t.inPlace {
		se.removeLocked(t.blob)
	}
	se.endWriter(t)
}

// endWriter is the common end. The caller holds mu.
func (se *session) endWriter(t *target) {
	if t.inPlace {
		delete(se.inPlace, t.number)
	}
	se.unrefLocked(t.blob)
}

// unrefLocked ends one use of b's descriptor and closes it once nobody needs
// it: b is given up, or it is one part's blob and synced. The caller holds mu.
func (se *session) unrefLocked(b *openBlob) {
	b.users--
	given := se.blobs[b.id] != b
	if b.users > 0 || !given && (b.keep || b.dirty() > 0) {
		return
	}
	if !given {
		se.removeLocked(b)
	}
	if err := b.asm.Close(); err != nil {
		se.svc.log.Warn("close a blob", "uid", se.uid, "err", err)
	}
}

func (se *session) unref(b *openBlob) {
	se.mu.Lock()
	defer se.mu.Unlock()
	se.unrefLocked(b)
}

// removeLocked forgets a blob and what it has unsynced; its last user closes
// it. The caller holds mu.
func (se *session) removeLocked(b *openBlob) {
	if se.blobs[b.id] != b {
		return
	}
	delete(se.blobs, b.id)
	se.easeLocked(b.dirty())
}
