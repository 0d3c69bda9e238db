package upload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/fsck"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/mem"
)

const (
	owner = protocol.OwnerLocal
	block = protocol.BlockSize
)

// clock is a time that moves only when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)} }

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

// bench is a write side over a real database and a store.
type bench struct {
	t     testing.TB
	clock *clock
	// path is the database's.
	path  string
	db    *meta.DB
	store *store.Store
	*upload.Service
	minter *meta.Minter
	// worker is what its uids are minted by.
	worker int
}

// setup says how a bench differs from the usual one.
type setup struct {
	backend store.Backend // local on a real folder when nil
	db      string        // path; a new one when ""
	clock   *clock
	change  func(*upload.Config)
}

func newBench(t testing.TB, s setup) *bench {
	t.Helper()
	if s.backend == nil {
		s.backend = localOn(t, nil)
	}
	if s.db == "" {
		s.db = filepath.Join(t.TempDir(), "meta.db")
	}
	if s.clock == nil {
		s.clock = newClock()
	}
	db := metatest.OpenDB(t, meta.Config{Path: s.db, Clock: s.clock.Now, Logger: slog.New(slog.DiscardHandler)})
	// A fault that a test asks for is not to be got over.
	b := &bench{t: t, clock: s.clock, path: s.db, db: db, store: store.New("disk", s.backend, store.Options{Attempts: 1})}
	b.Service = b.service(s.change)
	return b
}

// service makes another service over the same data, as after a restart.
func (b *bench) service(change func(*upload.Config)) *upload.Service {
	b.t.Helper()
	minter, err := meta.NewMinter(b.db, b.worker, time.Now)
	must(b.t, err)
	b.minter = minter
	cfg := upload.Config{
		Meta: b.db, Minter: minter, Store: b.store, Stores: map[string]*store.Store{b.store.Name(): b.store},
		BootID: "boot 1", Clock: b.clock.Now, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	return upload.New(cfg)
}

// restart ends the service and begins one in another, or the same, boot.
func (b *bench) restart(bootID string) {
	b.t.Helper()
	must(b.t, b.Service.Close())
	b.Service = b.service(func(c *upload.Config) { c.BootID = bootID })
}

// end closes everything and returns what failed.
func (b *bench) end() error { return errors.Join(b.Service.Close(), b.db.Close(), b.store.Close()) }

// newEnded is newBench, closed with the test.
func newEnded(t testing.TB, s setup) *bench {
	t.Helper()
	b := newBench(t, s)
	t.Cleanup(func() { must(t, b.end()) })
	return b
}

func localOn(t testing.TB, fs local.FS) *local.Backend {
	t.Helper()
	cfg := local.Config{Path: filepath.Join(t.TempDir(), "blobs"), FS: fs}
	b, err := local.New(cfg)
	must(t, err)
	if fs == nil {
		must(t, b.SetMark(t.Context(), "0123456789abcdef0123456789abcdef"))
	}
	return b
}

// eachStore runs a test on a store that assembles and on one that does not.
func eachStore(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Run("local", func(t *testing.T) { test(t, newEnded(t, setup{})) })
	t.Run("mem", func(t *testing.T) { test(t, newEnded(t, setup{backend: mem.New()})) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants checks the kind of an error; "" is none.
func wants(t testing.TB, err error, want protocol.Kind) {
	t.Helper()
	if got := protocol.KindOf(err); got != want {
		t.Errorf("error %q (%v), want %q", got, err, want)
	}
}

func ptr[T any](v T) *T { return &v }

// random are n bytes that differ for each seed.
func random(seed, n int64) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), 7}).Read(p)
	return p
}

func body(p []byte) upload.Body {
	return upload.Body{Reader: bytes.NewReader(p), Length: int64(len(p)), XXH3: ptr(protocol.SumXXH3(p))}
}

// begin makes an upload through the service.
func (b *bench) begin(req protocol.BeginUpload) protocol.UID {
	b.t.Helper()
	if req.Name == "" {
		req.Name = "a"
	}
	r, err := b.Begin(b.t.Context(), owner, req, nil)
	must(b.t, err)
	return r.UID
}

// beginBlocks makes an upload whose parts are single blocks, the smallest that
// a content of several parts can have. The service makes larger ones.
func (b *bench) beginBlocks(size *int64) protocol.UID {
	b.t.Helper()
	uid, err := b.minter.Next(b.t.Context())
	must(b.t, err)
	up := meta.NewUpload{FileFields: meta.FileFields{Owner: owner, Name: "blocks"}, UID: uid, CreatedAt: b.clock.Now(), Size: size, PartSize: block}
	if _, ok := b.store.Assembler(); ok {
		up.InPlace = &meta.NewBlob{Store: b.store.Name(), Key: string(store.NewKey(store.DirOf(1 << 20)))} // a directory of its own
	}
	_, err = b.db.BeginUpload(b.t.Context(), up, nil)
	must(b.t, err)
	return uid
}

func (b *bench) put(uid protocol.UID, n protocol.PartNumber, p []byte) protocol.Part {
	b.t.Helper()
	part, err := b.PutPart(b.t.Context(), owner, uid, n, body(p))
	must(b.t, err)
	return part
}

// putAll sends the parts of content in the order given, or ascending.
func (b *bench) putAll(uid protocol.UID, partSize int64, content []byte) {
	b.t.Helper()
	for off := int64(0); off < int64(len(content)); off += partSize {
		b.put(uid, protocol.PartNumber(off/partSize+1), content[off:min(off+partSize, int64(len(content)))])
	}
}

func (b *bench) commit(uid protocol.UID, c protocol.CommitUpload) protocol.File {
	b.t.Helper()
	f, _, err := b.Commit(b.t.Context(), owner, uid, c)
	must(b.t, err)
	return f
}

// parts are the numbers listed, and their lengths.
func (b *bench) parts(uid protocol.UID) map[protocol.PartNumber]int64 {
	b.t.Helper()
	u, err := b.Upload(b.t.Context(), owner, uid)
	must(b.t, err)
	list := map[protocol.PartNumber]int64{}
	for _, p := range u.Parts {
		list[p.Number] = p.Length
	}
	return list
}

// content reads a file through its extents.
func (b *bench) content(uid protocol.UID) ([]byte, protocol.File) {
	b.t.Helper()
	p, f, err := b.read(uid)
	must(b.t, err)
	return p, f
}

func (b *bench) read(uid protocol.UID) ([]byte, protocol.File, error) {
	ctx := context.Background()
	f, c, err := b.db.Content(ctx, owner, uid)
	if err != nil {
		return nil, f, err
	}
	var out []byte
	for _, e := range c.Extents {
		p, err := b.bytes(e.Key, e.Offset, e.Length)
		if err != nil {
			return nil, f, err
		}
		out = append(out, p...)
	}
	return out, f, nil
}

func (b *bench) bytes(key string, off, n int64) ([]byte, error) {
	r, err := b.store.Get(context.Background(), store.Key(key), off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// holds checks that a file is content, in every respect.
func (b *bench) holds(uid protocol.UID, content []byte) {
	b.t.Helper()
	got, f := b.content(uid)
	if !bytes.Equal(got, content) {
		b.t.Errorf("file %s has other bytes (%d, want %d)", uid, len(got), len(content))
	}
	want, n, err := protocol.HashContent(bytes.NewReader(content))
	must(b.t, err)
	if f.Size != n || f.Digest == nil || *f.Digest != want || f.ETag != strconv.Quote(want.String()) {
		b.t.Errorf("file %s is %+v, want size %d and digest %s", uid, f, n, want)
	}
	_, c, err := b.db.Content(b.t.Context(), owner, uid)
	must(b.t, err)
	blocks, err := b.db.Blocks(b.t.Context(), c.ID, 0, 1<<20)
	must(b.t, err)
	for i, bl := range blocks {
		p := content[i*block : min((i+1)*block, len(content))]
		if bl.XXH3 != protocol.SumXXH3(p) || bl.Head != protocol.SumXXH3(p[:min(len(p), protocol.HeadSize)]) {
			b.t.Errorf("file %s: block %d is recorded wrong", uid, i)
		}
	}
	if int64(len(blocks)) != protocol.BlockCount(n) || protocol.DigestOf(blocks) != want {
		b.t.Errorf("file %s has %d blocks recorded that do not give its digest", uid, len(blocks))
	}
}

// findings is what fsck finds: damage, and what would stay for ever.
func (b *bench) findings(bootID string) (list []string) {
	r, err := fsck.Run(context.Background(), fsck.Config{
		Meta: b.db, Stores: map[string]*store.Store{b.store.Name(): b.store}, BootID: bootID, ReadData: true, Clock: b.clock.Now,
	})
	if err != nil {
		list = append(list, err.Error())
	}
	for _, f := range r.Findings {
		list = append(list, fmt.Sprint(f))
	}
	return list
}

func (b *bench) mustBeSound() {
	b.t.Helper()
	for _, f := range b.findings("boot 1") {
		b.t.Error(f)
	}
}
