package fsck_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/fsck"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
)

const (
	owner    = protocol.OwnerLocal
	thisBoot = "this-boot"
	bs       = protocol.BlockSize
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(metatest.OnServer(m)) }

// world is an installation: a database, a local store, and its clock.
type world struct {
	t     *testing.T
	db    *meta.DB
	path  string
	store *store.Store
	// root is the folder of a local store, "" for others.
	root string
	now  time.Time
	uid  protocol.UID
	// blobs are those of each file or upload, in the order of its extents.
	blobs map[protocol.UID][]meta.Extent
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root := filepath.Join(t.TempDir(), "blobs")
	b, err := local.New(local.Config{Path: root})
	must(t, err)
	w := newWorldOn(t, b)
	w.root = root
	return w
}

// newWorldOn is newWorld over another store.
func newWorldOn(t *testing.T, b store.Backend) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, path: filepath.Join(dir, "meta.db"), uid: 1 << 40,
		now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), blobs: map[protocol.UID][]meta.Extent{}}
	w.store = store.New("disk", b, store.Options{})
	t.Cleanup(func() { must(t, w.store.Close()) })
	w.db = metatest.OpenDB(t, meta.Config{Path: w.path, Clock: func() time.Time { return w.now }})
	t.Cleanup(func() { must(t, w.db.Close()) })
	id, err := w.db.ServerID(t.Context())
	must(t, err)
	must(t, w.store.Claim(t.Context(), id, false))
	must(t, w.db.RememberStore(t.Context(), "disk"))
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) config() fsck.Config {
	id, err := w.db.ServerID(w.t.Context())
	must(w.t, err)
	return fsck.Config{Meta: w.db, Stores: map[string]*store.Store{"disk": w.store}, ServerID: id, BootID: thisBoot,
		Clock: func() time.Time { return w.now }, Grace: time.Hour}
}

func (w *world) run(readData bool) fsck.Report {
	w.t.Helper()
	cfg := w.config()
	cfg.ReadData = readData
	r, err := fsck.Run(w.t.Context(), cfg)
	must(w.t, err)
	return r
}

// begin is an open upload of size bytes.
func (w *world) begin(size int64) protocol.UID {
	w.t.Helper()
	w.uid++
	_, err := w.db.BeginUpload(w.t.Context(), meta.NewUpload{FileFields: meta.FileFields{Owner: owner, Name: "f"}, UID: w.uid,
		CreatedAt: w.now, Size: &size, PartSize: protocol.MinPartSize}, nil)
	must(w.t, err)
	return w.uid
}

// blob makes the row, then the object.
func (w *world) blob(uid protocol.UID, data []byte) meta.Extent {
	w.t.Helper()
	key := w.key(1)
	id, err := w.db.AddBlob(w.t.Context(), meta.NewBlob{Store: "disk", Key: string(key)}, uid)
	must(w.t, err)
	must(w.t, w.store.Put(w.t.Context(), key, bytes.NewReader(data), int64(len(data))))
	e := meta.Extent{Blob: id, Store: "disk", Key: string(key), Length: int64(len(data))}
	w.blobs[uid] = append(w.blobs[uid], e)
	return e
}

// key is a new one in a directory that is there.
func (w *world) key(dir uint32) store.Key {
	w.t.Helper()
	d := store.DirOf(dir)
	if maker, ok := w.store.DirMaker(); ok {
		must(w.t, maker.MakeDir(w.t.Context(), d))
	}
	return store.NewKey(d)
}

// put is a file whose extents are blobs of the lengths given and a last one.
func (w *world) put(data []byte, lengths ...int) protocol.UID {
	w.t.Helper()
	size := int64(len(data))
	uid := w.begin(size)
	blocks := blocksOf(data)
	for i := 0; len(data) > 0; i++ {
		n := len(data)
		if i < len(lengths) {
			n = min(n, lengths[i])
		}
		w.blob(uid, data[:n])
		data = data[n:]
	}
	digest, fp := protocol.DigestOf(blocks), protocol.FingerprintOf(size, blocks)
	_, err := w.db.Commit(w.t.Context(), meta.Commit{Owner: owner, UID: uid, CommittedAt: w.now, Size: size, Digest: &digest,
		Fingerprint: &fp, ETag: fmt.Sprintf("%q", digest), Blocks: blocks, Extents: w.blobs[uid]})
	must(w.t, err)
	return uid
}

// part records a part of an upload, in a blob of its own.
func (w *world) part(uid protocol.UID, n protocol.PartNumber, data []byte, bootID string) {
	w.t.Helper()
	e := w.blob(uid, data)
	_, err := w.db.RecordPart(w.t.Context(), owner, uid, meta.NewPart{Number: n, Offset: int64(n-1) * protocol.MinPartSize,
		Length: int64(len(data)), XXH3: protocol.SumXXH3(data), Blocks: blocksOf(data), Blob: e.Blob, BootID: bootID})
	must(w.t, err)
}

// file is the path of an object.
func (w *world) file(key string) string { return filepath.Join(w.root, filepath.FromSlash(key)) }

// flip changes one bit of an object.
func (w *world) flip(key string, at int64) {
	w.t.Helper()
	f, err := os.OpenFile(w.file(key), os.O_RDWR, 0)
	must(w.t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	must(w.t, err)
	b[0] ^= 16
	_, err = f.WriteAt(b[:], at)
	must(w.t, err)
	must(w.t, f.Close())
}

// sql changes rows behind the database's back, unchecked.
func (w *world) sql(text string, args ...any) {
	w.t.Helper()
	metatest.Behind(w.t, w.path, text, args...)
}

func blocksOf(data []byte) []protocol.Block {
	h := protocol.NewPartHasher()
	h.Write(data)
	_, blocks := h.Sum()
	return blocks
}

// noise is n bytes, other ones for each seed.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}
