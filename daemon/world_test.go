package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/daemon/compose"
	"github.com/osproxy/osproxy/daemon/digest"
	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/fsck"
	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/daemon/placing"
	"github.com/osproxy/osproxy/daemon/scrub"
	"github.com/osproxy/osproxy/daemon/sweep"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/mem"
)

// TestMain looks for goroutines that nobody waited for. fasthttp has two that
// end on their own time or never (daemon/api has the reasons).
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(metatest.OnServer(m),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

const (
	ann protocol.Owner = "ann"
	bob protocol.Owner = "bob"
)

// clocks are the wall clock, which can be set, and the time since the machine
// started, which cannot.
type clocks struct {
	mu   sync.Mutex
	wall time.Time
	up   time.Duration
}

func (c *clocks) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *clocks) uptime() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up
}

// pass lets time pass.
func (c *clocks) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.up = c.wall.Add(d), c.up+d
}

// set has the wall clock jump.
func (c *clocks) set(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// world is a daemon without HTTP: the services over one database and one
// store, with the clocks in the test's hand.
type world struct {
	t      testing.TB
	clocks *clocks
	db     *meta.DB
	dir    string // of everything on disk
	root   string // of a local store
	stores map[string]*store.Store
	minter *meta.Minter
	// importing is what does imports, where there are any.
	importing intake.Config
	*upload.Service
	place *placing.Placer
	files *file.Service
	sweep *sweep.Sweeper
	// sampling runs before a claim reads, sampled after it; sweeping runs
	// before each verb of the sweep, with its name.
	sampling, sampled func()
	sweeping          func(verb string)
	outcomes          map[string]int
	saved             int64
	digest            *digest.Worker
	scrub             *scrub.Worker
	compose           *compose.Worker
	// pacing runs before each piece that these two read. scrubbed and
	// damagedContents count what scrubs read.
	pacing                    func(ctx context.Context)
	scrubbed, damagedContents atomic.Int32
	committed                 int
}

// setup says how a world differs from the usual one: a local store, claims
// within one owner, no grace.
type setup struct {
	mem      bool
	wrap     func(store.Backend) store.Backend
	instant  meta.Scope
	failures int
	grace    time.Duration
	verify   file.VerifyMode
}

func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	w := &world{t: t, clocks: &clocks{wall: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}, outcomes: map[string]int{}}
	dir, err := os.MkdirTemp(t.TempDir(), "world")
	must(t, err)
	w.dir = dir
	quiet := slog.New(slog.DiscardHandler)
	w.db = metatest.OpenDB(t, meta.Config{Path: filepath.Join(dir, "meta.db"), Clock: w.clocks.Now, Logger: quiet})
	var backend store.Backend = mem.New()
	if !s.mem {
		w.root = filepath.Join(dir, "blobs")
		backend, err = local.New(local.Config{Path: w.root})
		must(t, err)
	}
	if s.wrap != nil {
		backend = s.wrap(backend)
	}
	st := store.New("disk", backend, store.Options{Attempts: 1})
	w.stores = map[string]*store.Store{"disk": st}
	id, err := w.db.ServerID(t.Context())
	must(t, err)
	must(t, st.Claim(t.Context(), id, false))
	must(t, w.db.RememberStore(t.Context(), "disk"))
	w.minter, err = meta.NewMinter(w.db, 0, w.clocks.Now)
	must(t, err)
	w.files = file.New(file.Config{Meta: w.db, Stores: w.stores, Verify: s.verify, Clock: w.clocks.Now, Logger: quiet})
	if s.instant == "" {
		s.instant = meta.ScopeOwner
	}
	w.place = placing.New(w.db, w.stores, "disk")
	w.Service = upload.New(upload.Config{
		Meta: w.db, Minter: w.minter, Store: st, Stores: w.stores, Place: w.place, BootID: "boot", Clock: w.clocks.Now, Logger: quiet,
		Instant: s.instant, Sample: w.sample, ClaimFailures: s.failures,
		Observe: func(o string) { w.outcomes[o]++ }, Saved: func(n int64) { w.saved += n },
		Committed: func() { w.committed++ },
	})
	paced := pace.New(pace.Config{Rate: 1, Now: w.clocks.Now, Sleep: func(ctx context.Context, _ time.Duration) error {
		if w.pacing != nil {
			w.pacing(ctx)
		}
		return ctx.Err()
	}})
	must(t, paced.Wait(t.Context(), 1<<20)) // from now on all wait
	w.digest = digest.New(digest.Config{Meta: w.db, Read: w.files, Stores: []string{"disk"}, Pace: paced, Logger: quiet})
	w.scrub = scrub.New(scrub.Config{Meta: w.db, Read: w.files, Pace: paced, Now: w.clocks.Now, Logger: quiet, Scrubbed: func(damaged bool) {
		w.scrubbed.Add(1)
		if damaged {
			w.damagedContents.Add(1)
		}
	}})
	w.compose = compose.New(w.composing(w.db))
	w.sweep = sweep.New(sweep.Config{
		Meta: hooked{w.db, w}, Stores: w.stores, Grace: s.grace,
		Clock: w.clocks.Now, Uptime: w.clocks.uptime, Logger: quiet,
	})
	return w
}

// end checks that the world is sound and closes it.
func (w *world) end() {
	w.t.Helper()
	w.sound()
	must(w.t, errors.Join(w.Close(), w.db.Close()))
	for _, st := range w.stores {
		must(w.t, st.Close())
	}
}

func (w *world) sample(ctx context.Context, c meta.Content, ranges [][2]int64) (io.ReaderAt, error) {
	run(w.sampling)
	defer run(w.sampled)
	return w.files.Sample(ctx, c, ranges)
}

func run(f func()) {
	if f != nil {
		f()
	}
}

// hooked are the sweep's verbs, with the test's own before each.
type hooked struct {
	*meta.DB
	w *world
}

func (h hooked) hook(verb string) {
	if h.w.sweeping != nil {
		h.w.sweeping(verb)
	}
}

var sweepVerbs = []string{"ExpireFiles", "AbandonUploads", "DoomOffered", "DoomOrphans", "Doomed", "MarkGone", "Tombstones", "Prune"}

func (h hooked) ExpireFiles(ctx context.Context, now time.Time, limit int) (int, error) {
	h.hook("ExpireFiles")
	return h.DB.ExpireFiles(ctx, now, limit)
}

func (h hooked) AbandonUploads(ctx context.Context, before time.Time, limit int) (int, error) {
	h.hook("AbandonUploads")
	return h.DB.AbandonUploads(ctx, before, limit)
}

func (h hooked) DoomOffered(ctx context.Context, limit int) (int, error) {
	h.hook("DoomOffered")
	return h.DB.DoomOffered(ctx, limit)
}

func (h hooked) DoomOrphans(ctx context.Context, limit int) (int, error) {
	h.hook("DoomOrphans")
	return h.DB.DoomOrphans(ctx, limit)
}

func (h hooked) Doomed(ctx context.Context, in string, before time.Time, after *meta.Blob, limit int) ([]meta.Blob, error) {
	h.hook("Doomed")
	return h.DB.Doomed(ctx, in, before, after, limit)
}

func (h hooked) MarkGone(ctx context.Context, blobs []meta.BlobID) error {
	h.hook("MarkGone")
	return h.DB.MarkGone(ctx, blobs)
}

func (h hooked) Tombstones(ctx context.Context, in string, before time.Time, after *meta.Blob, limit int) ([]meta.Blob, error) {
	h.hook("Tombstones")
	return h.DB.Tombstones(ctx, in, before, after, limit)
}

func (h hooked) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	h.hook("Prune")
	return h.DB.Prune(ctx, before, limit)
}

// failing is what a check needs of a test or of a property.
type failing interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func must(t failing, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t failing, err error, want protocol.Kind) {
	t.Helper()
	if got := protocol.KindOf(err); got != want {
		t.Fatalf("error is %q (%v), want %q", got, err, want)
	}
}

// noise is n bytes, other ones for each seed.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func digestOf(data []byte) protocol.Digest {
	d, _, err := protocol.HashContent(bytes.NewReader(data))
	if err != nil {
		panic(err) // a reader of memory does not fail
	}
	return d
}

// begin begins an upload of data, whose fingerprint the caller says.
func (w *world) begin(owner protocol.Owner, name string, data []byte) protocol.Upload {
	w.t.Helper()
	return w.beginAs(owner, name, data, true)
}

// beginAs is begin, with the size of the data or without.
func (w *world) beginAs(owner protocol.Owner, name string, data []byte, sized bool) protocol.Upload {
	w.t.Helper()
	size := int64(len(data))
	fp, err := protocol.FingerprintReader(bytes.NewReader(data), size)
	must(w.t, err)
	b := protocol.BeginUpload{Name: name, Fingerprint: &fp}
	if sized {
		b.Size = &size
	}
	r, err := w.Begin(w.t.Context(), owner, b, nil)
	must(w.t, err)
	u, err := w.Upload(w.t.Context(), owner, r.UID)
	must(w.t, err)
	return u
}

// probe asks for contents before any is begun.
func (w *world) probe(owner protocol.Owner, contents ...[]byte) []bool {
	w.t.Helper()
	var items []protocol.ProbeItem
	for _, data := range contents {
		fp, err := protocol.FingerprintReader(bytes.NewReader(data), int64(len(data)))
		must(w.t, err)
		items = append(items, protocol.ProbeItem{Size: int64(len(data)), Fingerprint: fp})
	}
	may, err := w.Probe(w.t.Context(), owner, items)
	must(w.t, err)
	return may
}

func (w *world) sendParts(owner protocol.Owner, u protocol.Upload, data []byte) error {
	for n := protocol.PartNumber(1); len(data) > 0; n++ {
		k := min(int64(len(data)), u.PartSize)
		if _, err := w.PutPart(w.t.Context(), owner, u.UID, n, upload.Body{Reader: bytes.NewReader(data[:k]), Length: k}); err != nil {
			return err
		}
		data = data[k:]
	}
	return nil
}

// put is a whole plain upload.
func (w *world) put(owner protocol.Owner, name string, data []byte) protocol.UID {
	w.t.Helper()
	u := w.begin(owner, name, data)
	must(w.t, w.sendParts(owner, u, data))
	w.commit(owner, u.UID)
	return u.UID
}

func (w *world) commit(owner protocol.Owner, uid protocol.UID) {
	w.t.Helper()
	_, _, err := w.Commit(w.t.Context(), owner, uid, protocol.CommitUpload{})
	must(w.t, err)
}

// putSmall is a put in one request.
func (w *world) putSmall(owner protocol.Owner, name string, data []byte) protocol.UID {
	w.t.Helper()
	r, err := w.PutFile(w.t.Context(), owner, upload.NewFile{Name: name, Body: data}, nil)
	must(w.t, err)
	return r.UID
}

// proof answers a challenge as somebody does who holds data.
func (w *world) proof(uid protocol.UID, c protocol.Challenge, data []byte) string {
	w.t.Helper()
	n, err := protocol.ParseNonce(c.Nonce)
	must(w.t, err)
	p, err := protocol.Proof(n, uid, int64(len(data)), digestOf(data), c.Ranges, bytes.NewReader(data))
	must(w.t, err)
	return fmt.Sprintf("%x", p)
}

// claim is both rounds.
func (w *world) claim(owner protocol.Owner, uid protocol.UID, data []byte) (protocol.File, error) {
	w.t.Helper()
	c, err := w.StartClaim(w.t.Context(), owner, uid, digestOf(data), string(owner))
	if err != nil {
		return protocol.File{}, err
	}
	return w.FinishClaim(w.t.Context(), owner, uid, c.Nonce, w.proof(uid, c, data), string(owner))
}

// read writes the whole content to a writer.
func (w *world) read(owner protocol.Owner, uid protocol.UID, to io.Writer) error {
	c, err := w.files.Open(w.t.Context(), owner, uid)
	if err != nil {
		return err
	}
	return errors.Join(c.WriteRange(w.t.Context(), to, 0, c.Size()), c.Close())
}

func (w *world) reads(owner protocol.Owner, uid protocol.UID, want []byte) {
	w.t.Helper()
	rest := unread(want)
	if err := w.read(owner, uid, &rest); err != nil {
		w.t.Fatalf("read %s of %s: %v", uid, owner, err)
	}
	if len(rest) > 0 {
		w.t.Fatalf("%s of %s reads as other bytes", uid, owner)
	}
}

// unread is what has yet to be written to it, and nothing else can be.
type unread []byte

func (u *unread) Write(p []byte) (int, error) {
	rest, ok := bytes.CutPrefix(*u, p)
	if !ok {
		return 0, errors.New("other bytes")
	}
	*u = rest
	return len(p), nil
}

func (w *world) delete(owner protocol.Owner, uid protocol.UID) {
	w.t.Helper()
	must(w.t, w.files.Delete(w.t.Context(), owner, uid))
}

// round is one of the sweep, and the scrubs that are due then. It must not fail.
func (w *world) round() (r daemon.Collected) {
	w.t.Helper()
	var err error
	r.Report, err = w.sweep.Round(w.t.Context())
	must(w.t, err)
	w.scrubbed.Store(0)
	w.damagedContents.Store(0)
	w.runDue(w.t.Context(), job.Handler{Kind: protocol.JobScrub, Do: job.With(w.scrub.Do)})
	r.Scrubbed, r.Damaged = int(w.scrubbed.Load()), int(w.damagedContents.Load())
	if r.Failed > 0 {
		w.t.Fatalf("%d objects could not be deleted", r.Failed)
	}
	return r
}

// runDue runs the jobs of a kind that are due.
func (w *world) runDue(ctx context.Context, h job.Handler) {
	w.t.Helper()
	q, err := job.New(job.Config{Meta: w.db, Alone: true, Holder: meta.JobHolder{Name: "round"}, Logger: slog.New(slog.DiscardHandler),
		Handlers: []job.Handler{h}})
	must(w.t, err)
	must(w.t, q.RunDue(ctx))
}

// check is fsck --read-data.
func (w *world) check() fsck.Report {
	w.t.Helper()
	r, err := fsck.Run(w.t.Context(), fsck.Config{Meta: w.db, Stores: w.stores, BootID: "boot", ReadData: true, Clock: w.clocks.Now})
	must(w.t, err)
	return r
}

// sound fails where fsck finds anything.
func (w *world) sound() {
	w.t.Helper()
	if r := w.check(); !r.Clean() {
		var text bytes.Buffer
		must(w.t, r.WriteText(&text))
		w.t.Fatal(text.String())
	}
}

// objects are the keys in the store.
func (w *world) objects() (keys []store.Key) {
	w.t.Helper()
	for info, err := range w.stores["disk"].List(w.t.Context(), "", "") {
		must(w.t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

// extent is the only one of a file.
func (w *world) extent(owner protocol.Owner, uid protocol.UID) meta.Extent {
	w.t.Helper()
	_, c, err := w.db.Content(w.t.Context(), owner, uid)
	must(w.t, err)
	if len(c.Extents) != 1 {
		w.t.Fatalf("%d extents", len(c.Extents))
	}
	return c.Extents[0]
}

// damage changes one bit of a file's bytes in the local store.
func (w *world) damage(owner protocol.Owner, uid protocol.UID, at int64) {
	w.t.Helper()
	e := w.extent(owner, uid)
	f, err := os.OpenFile(filepath.Join(w.root, filepath.FromSlash(e.Key)), os.O_RDWR, 0)
	must(w.t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], e.Offset+at)
	must(w.t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b[:], e.Offset+at)
	must(w.t, errors.Join(err, f.Close()))
}
