// Package metatest is the specification of package meta as tests: each runs
// on a database that the caller opens, so that every database keeps the same
// promises.
package metatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Open opens an empty database with the clock. The suite closes it.
type Open func(t testing.TB, clock func() time.Time) *meta.DB

// Run runs the whole suite.
func Run(t *testing.T, open Open) {
	for _, g := range groups() {
		g.run(t, open)
	}
	t.Run("model", func(t *testing.T) { Model(t, t, open) })
	t.Run("job model", func(t *testing.T) { JobModel(t, t, open) })
}

// RunCore runs what is said of uploads, contents, jobs and events, for one more
// way to a database on which all of it has passed.
func RunCore(t *testing.T, open Open) {
	core := []string{"settings", "upload", "part", "commit", "claim", "held", "job", "event"}
	for _, g := range groups() {
		if slices.Contains(core, g.name) {
			g.run(t, open)
		}
	}
}

// group is tests about one thing.
type group struct {
	name  string
	tests map[string]func(*env)
}

func (g group) run(t *testing.T, open Open) {
	t.Run(g.name, func(t *testing.T) {
		for name, test := range g.tests {
			t.Run(name, func(t *testing.T) { test(newEnv(t, open)) })
		}
	})
}

func groups() []group {
	return []group{
		{"settings", settingsTests}, {"upload", uploadTests}, {"part", partTests}, {"chunk", chunkTests}, {"anew", anewTests}, {"said", saidTests}, {"commit", commitTests},
		{"content", contentTests}, {"file", fileTests}, {"idempotency", idempotencyTests}, {"owner", ownerTests}, {"fsck", fsckTests},
		{"claim", claimTests}, {"held", heldTests}, {"sweep", sweepTests}, {"expiry", expiryTests}, {"token", tokenTests}, {"quota", quotaTests},
		{"scrub", scrubTests}, {"job", jobTests}, {"job ends", jobEndTests}, {"job request", requestTests}, {"periodic", periodicTests},
		{"event", eventTests}, {"numbering", numberingTests}, {"consumer", consumerTests}, {"webhook", webhookTests}, {"delivery", deliveryTests},
		{"findings", findingsTests}, {"fill", fillTests}, {"verified", verifiedTests}, {"node", nodeTests}, {"cluster", clusterTests}, {"node stores", nodeStoresTests}, {"job blob", jobBlobTests}, {"move", moveTests}, {"compose", composeTests}, {"import", importTests}, {"inherit", inheritTests}, {"stores", storesTests}, {"migration", migrationTests}, {"link", linkTests}, {"attempt", attemptTests},
	}
}

// Clock is a clock that stands still unless it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a fixed time.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const (
	alice protocol.Owner = "alice"
	bob   protocol.Owner = "bob"
)

// env is one test's database, and short words for what tests do all the time.
type env struct {
	rapid.TB
	ctx   context.Context
	db    *meta.DB
	clock *Clock
	uids  protocol.UID
	keys  int
}

func newEnv(t testing.TB, open Open) *env {
	e := &env{TB: t, ctx: t.Context(), clock: NewClock(), uids: 1000}
	e.db = open(t, e.clock.Now)
	t.Cleanup(func() {
		if err := e.db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// ok ends the test on an error.
func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// kind expects an error of a kind.
func (e *env) kind(err error, want protocol.Kind) {
	e.Helper()
	if got := protocol.KindOf(err); got != want {
		e.Fatalf("got kind %q (%v), want %q", got, err, want)
	}
}

// same compares two values by their printed form.
func (e *env) same(what string, got, want any) {
	e.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		e.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func (e *env) uid() protocol.UID {
	e.uids++
	return e.uids
}

func (e *env) newBlob(size int64) meta.NewBlob {
	e.keys++
	return meta.NewBlob{Store: "disk", Key: fmt.Sprintf("00000001/%032x", e.keys), Size: size}
}

// newUpload is an upload of alice's with a blob to assemble parts in.
func (e *env) newUpload(name string) meta.NewUpload {
	b := e.newBlob(0)
	return meta.NewUpload{FileFields: meta.FileFields{Owner: alice, Name: name}, UID: e.uid(),
		CreatedAt: e.clock.Now(), PartSize: protocol.MinPartSize, InPlace: &b}
}

func (e *env) begin(n meta.NewUpload) meta.Upload {
	e.Helper()
	u, err := e.db.BeginUpload(e.ctx, n, nil)
	e.ok(err)
	return u
}

// part is part n, of a few bytes, in a blob.
func part(n protocol.PartNumber, blob meta.BlobID, offset, length int64) meta.NewPart {
	return meta.NewPart{Number: n, Offset: offset, Length: length, XXH3: protocol.XXH3{byte(n)}, Blob: blob, BlobOffset: offset,
		Blocks: []protocol.Block{{SHA256: [32]byte{byte(n)}, XXH3: protocol.XXH3{byte(n)}, Head: protocol.XXH3{1, byte(n)}}}, BootID: "boot"}
}

func (e *env) record(uid protocol.UID, p meta.NewPart) int64 {
	e.Helper()
	gen, err := e.db.RecordPart(e.ctx, alice, uid, p)
	e.ok(err)
	return gen
}

// commitOf is the commit of an upload whose content is one run of a blob's
// bytes, with a digest that d names.
func (e *env) commitOf(u meta.Upload, gen int64, d byte, size int64, extents ...meta.Extent) meta.Commit {
	return meta.Commit{Owner: u.Owner, UID: u.UID, Gen: gen, CommittedAt: e.clock.Now(), Size: size, Digest: &protocol.Digest{d},
		Fingerprint: &protocol.Fingerprint{d}, ETag: fmt.Sprintf(`"%x"`, d), Blocks: blocks(size, d), Extents: extents}
}

// blocks makes as many blocks as size has.
func blocks(size int64, d byte) []protocol.Block {
	list := make([]protocol.Block, (size+protocol.BlockSize-1)/protocol.BlockSize)
	for i := range list {
		list[i] = protocol.Block{SHA256: [32]byte{d, byte(i), byte(i >> 8)}, XXH3: protocol.XXH3{d, byte(i)}, Head: protocol.XXH3{d, byte(i), 1}}
	}
	return list
}

// put makes a committed upload of size bytes in one part.
func (e *env) put(name string, d byte, size int64) (meta.Upload, protocol.File) {
	e.Helper()
	u := e.begin(e.newUpload(name))
	gen := e.record(u.UID, part(1, u.Blob, 0, size))
	f, err := e.db.Commit(e.ctx, e.commitOf(u, gen, d, size, meta.Extent{Blob: u.Blob, Length: size}))
	e.ok(err)
	return u, f
}

// oneShot is a small file of alice's in a blob of its own.
func (e *env) oneShot(name string, d byte, size int64) meta.NewFile {
	b := e.newBlob(size)
	return meta.NewFile{FileFields: meta.FileFields{Owner: alice, Name: name}, UID: e.uid(), CommittedAt: e.clock.Now(), Size: size,
		Digest: protocol.Digest{d}, Fingerprint: protocol.Fingerprint{d}, ETag: fmt.Sprintf(`"%x"`, d), Blocks: blocks(size, d), Blob: &b}
}

func (e *env) blob(id meta.BlobID) (found meta.BlobRefs) {
	e.Helper()
	e.ok(e.db.EachBlob(e.ctx, func(b meta.BlobRefs) error {
		if b.ID == id {
			found = b
		}
		return nil
	}))
	if found.ID == 0 {
		e.Fatalf("there is no blob %d", id)
	}
	return found
}

func (e *env) blobCount() (n int) {
	e.Helper()
	e.ok(e.db.EachBlob(e.ctx, func(meta.BlobRefs) error { n++; return nil }))
	return n
}

// blobState expects a blob's state.
func (e *env) blobState(id meta.BlobID, want meta.BlobState) {
	e.Helper()
	if b := e.blob(id); b.State != want {
		e.Fatalf("blob %d is %s, want %s", id, b.State, want)
	}
}

func isGenChanged(err error) bool { return errors.Is(err, meta.ErrGenChanged) }
