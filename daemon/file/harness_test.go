package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/mem"
)

const owner = protocol.OwnerLocal

func TestMain(m *testing.M) { goleak.VerifyTestMain(metatest.OnServer(m)) }

// clock is a time that only moves when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is a daemon's read side over a real database and a store of one kind,
// with the means to put contents into it and to damage them.
type bench struct {
	t     testing.TB
	db    *meta.DB
	store *store.Store
	// backend is what store is over.
	backend store.Backend
	// root is the folder of a local store, "" for others.
	root    string
	clock   *clock
	svc     *Service
	mu      sync.Mutex
	corrupt []Corruption
	// uid is the last one given; extents are where each File was put.
	uid     protocol.UID
	extents map[protocol.UID][]meta.Extent
}

func newBench(t testing.TB, kind string, mode VerifyMode) *bench {
	t.Helper()
	b := &bench{t: t, clock: &clock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}, uid: 1 << 40, extents: map[protocol.UID][]meta.Extent{}}
	var backend store.Backend = mem.New()
	if kind == "local" {
		b.root = filepath.Join(t.TempDir(), "blobs")
		l, err := local.New(local.Config{Path: b.root})
		must(t, err)
		backend = l
	}
	b.backend = backend
	b.store = store.New("disk", backend, store.Options{})
	t.Cleanup(func() { must(t, b.store.Close()) })
	must(t, b.store.Claim(t.Context(), "0123456789abcdef0123456789abcdef", false))
	db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), Clock: b.clock.Now})
	t.Cleanup(func() { must(t, db.Close()) })
	b.db = db
	var ahead int64
	if kind == "streamed" {
		ahead = -1
	}
	b.svc = New(Config{
		ReadAhead: ahead, Meta: db, Stores: map[string]*store.Store{"disk": b.store}, Verify: mode, Clock: b.clock.Now,
		Logger: slog.New(slog.DiscardHandler),
		Corrupt: func(c Corruption) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.corrupt = append(b.corrupt, c)
		},
	})
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put makes a File of data whose bytes lie in blobs of the lengths given, and
// in a last one for the rest. Each blob has a byte before and one after its
// extent, so that an offset forgotten is a byte wrong.
func (b *bench) put(data []byte, lengths ...int) protocol.UID {
	b.t.Helper()
	ctx := b.t.Context()
	uid, size := b.begin(data)
	blocks := blocksOfData(data)
	digest := protocol.DigestOf(blocks)
	var extents []meta.Extent
	for i := 0; len(data) > 0; i++ {
		n := len(data)
		if i < len(lengths) {
			n = min(n, lengths[i])
		}
		extents = append(extents, b.blob(uid, data[:n]))
		data = data[n:]
	}
	_, err := b.db.Commit(ctx, meta.Commit{Owner: owner, UID: uid, CommittedAt: b.clock.Now(), Size: size, Digest: &digest,
		ETag: fmt.Sprintf("%q", digest), Blocks: blocks, Extents: extents})
	must(b.t, err)
	b.extents[uid] = extents
	return uid
}

// begin begins the upload of data.
func (b *bench) begin(data []byte) (uid protocol.UID, size int64) {
	b.t.Helper()
	b.uid++
	size = int64(len(data))
	_, err := b.db.BeginUpload(b.t.Context(), meta.NewUpload{
		FileFields: meta.FileFields{Owner: owner, Name: "a/file"},
		UID:        b.uid, CreatedAt: b.clock.Now(), Size: &size, PartSize: protocol.MinPartSize,
	}, nil)
	must(b.t, err)
	return b.uid, size
}

// blob stores data between two bytes that are none of it.
func (b *bench) blob(uid protocol.UID, data []byte) meta.Extent {
	b.t.Helper()
	ctx := b.t.Context()
	key := store.NewKey(store.DirOf(1))
	if dirs, ok := b.store.DirMaker(); ok {
		must(b.t, dirs.MakeDir(ctx, key.Dir()))
	}
	id, err := b.db.AddBlob(ctx, meta.NewBlob{Store: "disk", Key: string(key)}, uid)
	must(b.t, err)
	object := append(append([]byte{'<'}, data...), '>')
	must(b.t, b.store.Put(ctx, key, bytes.NewReader(object), int64(len(object))))
	return meta.Extent{Blob: id, Store: "disk", Key: string(key), Offset: 1, Length: int64(len(data))}
}

// change rewrites the object that holds extent i of the File as f makes it.
func (b *bench) change(uid protocol.UID, i int, f func([]byte) []byte) {
	b.t.Helper()
	b.rewrite(b.extents[uid][i].Key, f(b.object(b.extents[uid][i].Key)))
}

func (b *bench) object(key string) []byte {
	b.t.Helper()
	r, err := b.store.Get(b.t.Context(), store.Key(key), 0, -1)
	must(b.t, err)
	defer r.Close()
	var buf bytes.Buffer
	_, err = buf.ReadFrom(r)
	must(b.t, err)
	return buf.Bytes()
}

// rewrite puts other bytes under a key, in place; nil removes the object.
func (b *bench) rewrite(key string, data []byte) {
	b.t.Helper()
	if b.root != "" && data != nil {
		must(b.t, os.WriteFile(filepath.Join(b.root, filepath.FromSlash(key)), data, 0o600))
		return
	}
	must(b.t, b.store.Delete(b.t.Context(), store.Key(key)))
	if data != nil {
		must(b.t, b.store.Put(b.t.Context(), store.Key(key), bytes.NewReader(data), int64(len(data))))
	}
}

// read is a request for n bytes from off.
func (b *bench) read(uid protocol.UID, off, n int64) ([]byte, error) {
	var got bytes.Buffer
	c, err := b.svc.Open(context.Background(), owner, uid)
	if err != nil {
		return nil, err
	}
	if n > 0 && n <= c.Size() {
		got.Grow(int(n) + bytes.MinRead)
	}
	err = c.WriteRange(context.Background(), &got, off, n)
	return got.Bytes(), errors.Join(err, c.Close())
}

func (b *bench) corruptions() []Corruption {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.corrupt
}

// blocksOfData is what ingest records of data.
func blocksOfData(data []byte) []protocol.Block {
	h := protocol.NewPartHasher()
	h.Write(data)
	_, blocks := h.Sum()
	return blocks
}

// noise is n bytes of which no two places look alike.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func wantKind(t *testing.T, err error, k protocol.Kind) {
	t.Helper()
	if got := protocol.KindOf(err); got != k {
		t.Fatalf("error is %q (%v), want %q", got, err, k)
	}
}
