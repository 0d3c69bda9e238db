package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// TestMigrateUnderReaders: who reads meanwhile sees each byte right and never an
// error, there and back.
func TestMigrateUnderReaders(t *testing.T) {
	m := newMoving(t)
	files := map[protocol.UID][]byte{}
	for i, size := range []int{1, protocol.BlockSize, protocol.BlockSize + 1, 9<<20 + 5} {
		data := noise(byte(i), size)
		files[m.put(ann, fmt.Sprint(i), data)] = data
	}
	for i := range 100 {
		data := noise(byte(100+i%90), 1000+i%90)
		files[m.putSmall(ann, fmt.Sprint("small", i), data)] = data
	}
	files[m.putSmall(bob, "empty", nil)] = nil
	var uids []protocol.UID
	for uid := range files {
		uids = append(uids, uid)
	}
	stop := make(chan struct{})
	var reads atomic.Int64
	var wg sync.WaitGroup
	for r := range uint64(4) {
		wg.Go(func() {
			for random := rand.New(rand.NewPCG(r, 7)); ; reads.Add(1) {
				select {
				case <-stop:
					return
				default:
				}
				uid := uids[random.IntN(len(uids))]
				if err := m.readsAlso(uid, files[uid], random); err != nil {
					t.Errorf("%s: %v", uid, err)
					return
				}
			}
		})
	}
	// Readers that began before the flips have their blobs until they end: no
	// sweep runs beside them here, as none does within the grace period.
	m.moves("disk", "mem", "94 contents, 0 skipped, 0 damaged, 0 waiting")
	m.moves("mem", "disk", "94 contents, 0 skipped, 0 damaged, 0 waiting")
	m.moves("disk", "mem", "94 contents, 0 skipped, 0 damaged, 0 waiting")
	close(stop)
	wg.Wait()
	if reads.Load() < 10 {
		t.Errorf("there were %d reads", reads.Load())
	}
	m.lies("mem", 90+3+2) // the largest is of three blocks, which are two objects
	for uid, data := range files {
		owner := ann
		if len(data) == 0 {
			owner = bob
		}
		m.world.reads(owner, uid, data)
	}
	m.end()
}

// readsAlso reads all of a file, or a range of it.
func (m *moving) readsAlso(uid protocol.UID, want []byte, random *rand.Rand) (err error) {
	owner := ann
	if len(want) == 0 {
		owner = bob
	}
	c, err := m.files.Open(m.t.Context(), owner, uid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	off, n := 0, len(want)
	if n > 0 && random.IntN(2) == 0 {
		off = random.IntN(n)
		n = 1 + random.IntN(n-off)
	}
	rest := unread(want[off : off+n])
	if err := c.WriteRange(m.t.Context(), &rest, int64(off), int64(n)); err != nil {
		return err
	}
	if len(rest) > 0 {
		return errors.New("it ended early")
	}
	return nil
}

// TestNewBlobsGoToTheTarget: from the closing on, also where the migration ended
// long ago; until one the other way round.
func TestNewBlobsGoToTheTarget(t *testing.T) {
	m := newMoving(t)
	m.putSmall(ann, "a", noise(1, 100))
	m.moves("disk", "mem", "1 contents")
	m.putSmall(ann, "b", noise(2, 100))
	m.put(ann, "c", noise(3, 5<<20))
	m.lies("mem", 3)
	m.moves("mem", "disk", "3 contents")
	m.putSmall(ann, "d", noise(4, 100))
	m.lies("disk", 4)
	m.end()
}

// TestMigrateWaitsForOpenUploads: their parts may go on where they are.
func TestMigrateWaitsForOpenUploads(t *testing.T) {
	m := newMoving(t)
	data := noise(1, 3*protocol.MinPartSize)
	u := m.begin(ann, "open", data)
	_, err := m.PutPart(t.Context(), ann, u.UID, 1, upload.Body{Reader: bytes.NewReader(data[:u.PartSize]), Length: u.PartSize})
	must(t, err)
	given := m.begin(ann, "given up", noise(2, 3*protocol.MinPartSize))
	id := m.ask("disk", "mem")
	m.waits(m.goOn(id), "waits for 2 open uploads")
	must(t, m.Abort(t.Context(), ann, given.UID))
	for n := protocol.PartNumber(2); n <= 3; n++ {
		part := data[int64(n-1)*u.PartSize : int64(n)*u.PartSize]
		_, err := m.PutPart(t.Context(), ann, u.UID, n, upload.Body{Reader: bytes.NewReader(part), Length: u.PartSize})
		must(t, err)
	}
	m.waits(m.goOn(id), "waits for 1 open uploads")
	m.commit(ann, u.UID)
	m.ended(m.goOn(id), "1 contents, 0 skipped")
	m.world.reads(ann, u.UID, data)
	m.lies("mem", 3) // of two blocks each
	m.end()
}

// TestMigrateWaitsForDigests: nothing says yet what the bytes of a content are
// whose digest is not known.
func TestMigrateWaitsForDigests(t *testing.T) {
	m := newMoving(t)
	data := noise(1, 100)
	uid := m.commitUnknown(ann, "unknown", data)
	id := m.ask("disk", "mem")
	m.waits(m.goOn(id), "waits for the digests of 1 contents")
	m.digests()
	m.ended(m.goOn(id), "1 contents")
	m.world.reads(ann, uid, data)
	m.lies("mem", 1)
	m.end()
}

// TestMigrateLeavesDamage: what is damaged is named, also where nobody knew of it
// before, and the rest is moved.
func TestMigrateLeavesDamage(t *testing.T) {
	m := newMoving(t)
	m.putSmall(ann, "sound", noise(1, 100))
	data := noise(2, 100)
	damaged := m.putSmall(ann, "damaged", data)
	m.damage(ann, damaged, 50)
	leaves := func(want int64, summary string) {
		t.Helper()
		j := m.goOn(m.ask("disk", "mem"))
		m.ended(j, summary)
		if j.Progress.Left != want {
			t.Errorf("it says that %d are left, want %d", j.Progress.Left, want)
		}
	}
	leaves(1, "1 contents, 0 skipped, 1 damaged (left in disk; files "+damaged.String()+"), 0 waiting")
	leaves(1, "0 contents, 0 skipped, 1 damaged")
	m.putSmall(ann, "again", data) // heals it, in the target
	leaves(0, "0 contents, 0 skipped, 0 damaged")
	m.world.reads(ann, damaged, data)
	m.lies("mem", 2)
	m.end()
}

// TestMigrateMeetsOthers is about what happens to a content between its copy and
// its flip.
func TestMigrateMeetsOthers(t *testing.T) {
	data := noise(1, 100)
	for name, c := range map[string]struct {
		meanwhile func(m *moving, uid protocol.UID)
		summary   string
		blobs     int64
	}{
		"it is deleted":         {func(m *moving, uid protocol.UID) { m.delete(ann, uid) }, "0 contents, 1 skipped, 0 damaged", 0},
		"the same is put again": {func(m *moving, _ protocol.UID) { m.putSmall(ann, "again", data) }, "0 contents, 0 skipped, 0 damaged", 1},
		"it is moved within the source": {func(m *moving, uid protocol.UID) {
			must(m.t, m.db.CloseStore(m.t.Context(), "mem", "disk"))
			must(m.t, m.place.Load(m.t.Context()))
			m.putSmall(ann, "again", data)
			must(m.t, m.db.CloseStore(m.t.Context(), "disk", "mem"))
		}, "1 contents, 0 skipped, 0 damaged", 1},
		"it is found damaged": {func(m *moving, uid protocol.UID) {
			_, c, err := m.db.Content(m.t.Context(), ann, uid)
			must(m.t, err)
			must(m.t, m.db.MarkDamaged(m.t.Context(), c.ID, c.Gen))
			m.flipping = nil
		}, "0 contents, 0 skipped, 1 damaged", 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMoving(t)
			uid := m.putSmall(ann, "a", data)
			once := sync.OnceFunc(func() { c.meanwhile(m, uid) })
			m.flipping = once
			m.moves("disk", "mem", c.summary)
			if strings.Contains(c.summary, "1 damaged") {
				must(t, errors.Join(m.Close(), m.db.Close())) // fsck would find it
				return
			}
			m.lies("mem", c.blobs)
			m.end()
		})
	}
}

// TestMigrateOverFailures: a target that fails or gives other bytes has the job
// wait, lose nothing and leave nothing.
func TestMigrateOverFailures(t *testing.T) {
	for name, fail := range map[string]func(h *hookedStore){
		"it does not take objects": func(h *hookedStore) { h.putting = func(store.Key) error { return store.ErrDenied } },
		"it is full":               func(h *hookedStore) { h.putting = func(store.Key) error { return store.ErrFull } },
		"it gives other bytes": func(h *hookedStore) {
			h.giving = func(b []byte) []byte { return append(b[:len(b)-1:len(b)-1], b[len(b)-1]^1) }
		},
		"it gives fewer bytes": func(h *hookedStore) { h.giving = func(b []byte) []byte { return b[:len(b)-1] } },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMoving(t)
			small, large := noise(1, 100), noise(2, 9<<20)
			a, b := m.putSmall(ann, "a", small), m.put(ann, "b", large)
			fail(m.target)
			id := m.ask("disk", "mem")
			m.waits(m.goOn(id), "waits after a failure")
			m.waits(m.goOn(id), "waits after a failure")
			m.target.giving = nil // of contents that are read
			m.world.reads(ann, a, small)
			m.world.reads(ann, b, large)
			fail(m.target)
			m.waits(m.goOn(id), "waits after a failure")
			m.target.putting, m.target.giving = nil, nil
			m.ended(m.goOn(id), "2 contents, 0 skipped, 0 damaged")
			m.world.reads(ann, a, small)
			m.world.reads(ann, b, large)
			m.lies("mem", 3)
			m.end()
		})
	}
}

// TestMigrateIsCancelledAndTriedAgain: what was moved stays moved, and the source
// closed.
func TestMigrateIsCancelledAndTriedAgain(t *testing.T) {
	m := newMoving(t)
	files := map[protocol.UID][]byte{}
	for i := range 200 {
		data := noise(byte(i), 100+i)
		files[m.putSmall(ann, fmt.Sprint(i), data)] = data
	}
	id := m.ask("disk", "mem")
	ctx, cancel := context.WithCancel(t.Context())
	var flips atomic.Int32
	m.flipping = func() {
		if flips.Add(1) == 100 {
			cancel()
		}
	}
	q, err := job.New(job.Config{Meta: m.db, Alone: true, Holder: meta.JobHolder{Name: "one"}, Logger: slog.New(slog.DiscardHandler), Handlers: []job.Handler{m.handler()}})
	must(t, err)
	if err := q.RunDue(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if j, err := m.db.CancelJob(t.Context(), meta.AnyOwner, id); err != nil || j.State != protocol.JobCancelled {
		t.Fatal(j, err)
	}
	left, err := m.db.CountStore(t.Context(), "mem")
	must(t, err)
	if left.Blobs < 50 || left.Blobs > 150 {
		t.Errorf("%d were moved", left.Blobs)
	}
	data := noise(201, 10)
	files[m.putSmall(ann, "new", data)] = data
	if e := m.extent(ann, uidNamed(t, m, "new")); e.Store != "mem" {
		t.Errorf("a new blob lies in %s", e.Store)
	}
	m.flipping = nil
	_, err = m.db.RetryJob(t.Context(), meta.AnyOwner, id)
	must(t, err)
	m.ended(m.goOn(id), "200 contents, 0 skipped, 0 damaged")
	for uid, data := range files {
		m.world.reads(ann, uid, data)
	}
	m.lies("mem", 201)
	m.end()
}

func uidNamed(t *testing.T, m *moving, name string) protocol.UID {
	t.Helper()
	list, err := m.db.Files(t.Context(), ann, meta.FileQuery{Limit: 1, Name: name})
	must(t, err)
	return list[0].UID
}

// TestMigrateIsThrottled: each content waits until those before it have taken
// their time.
func TestMigrateIsThrottled(t *testing.T) {
	m := newMoving(t)
	for i := range byte(3) {
		m.putSmall(ann, fmt.Sprint(i), noise(i, 1000))
	}
	n, err := m.worker.Request(t.Context(), []byte(`{"from": "disk", "to": "mem", "rate": 1000}`))
	must(t, err)
	id, _, err := m.db.Enqueue(t.Context(), n)
	must(t, err)
	m.ended(m.goOn(id), "3 contents")
	// The first none, the second a second, the third two; what is read back of
	// them waits for those, too.
	if got := time.Duration(m.slept.Load()); got < 3*time.Second {
		t.Errorf("3,000 bytes at 1,000 a second waited for %s", got)
	}
	m.slept.Store(0)
	m.moves("mem", "disk", "3 contents") // without a rate
	if got := m.slept.Load(); got != 0 {
		t.Errorf("without a rate it waited for %d ns", got)
	}
	m.end()
}

// TestSourceIsTakenAway: what was deleted there needs no store to be forgotten.
func TestSourceIsTakenAway(t *testing.T) {
	m := newMoving(t)
	uid := m.putSmall(ann, "a", noise(1, 100))
	m.moves("disk", "mem", "1 contents")
	m.lies("mem", 1)
	must(t, m.stores["disk"].Close())
	delete(m.stores, "disk")
	m.clocks.pass(25 * time.Hour)
	if r := m.round(); r.Forgotten != 1 {
		t.Errorf("%+v", r)
	}
	m.world.reads(ann, uid, noise(1, 100))
	m.end()
}

// TestMigrationsThatCannotBe are refused before anything is done.
func TestMigrationsThatCannotBe(t *testing.T) {
	m := newMoving(t)
	other := store.New("other", &hookedStore{Backend: mem.New()}, store.Options{}) // without a mark
	m.stores["other"] = other
	running := m.ask("mem", "disk")
	for name, c := range map[string]struct {
		args string
		kind protocol.Kind
		word string
	}{
		"an unknown source":          {`{"from": "x", "to": "mem"}`, protocol.KindBadRequest, `no store "x"`},
		"an unknown target":          {`{"from": "mem", "to": ""}`, protocol.KindBadRequest, `no store ""`},
		"one store":                  {`{"from": "other", "to": "other"}`, protocol.KindBadRequest, "both store other"},
		"no rate":                    {`{"from": "mem", "to": "disk", "rate": -1}`, protocol.KindBadRequest, "rate"},
		"a field that nobody knows":  {`{"from": "mem", "to": "disk", "fast": true}`, protocol.KindBadRequest, "args"},
		"the other way round":        {`{"from": "disk", "to": "mem"}`, protocol.KindConflict, "job " + running.String() + " migrates from mem to disk already"},
		"one of the stores is moved": {`{"from": "other", "to": "mem"}`, protocol.KindConflict, "already"},
		"the same, which waits":      {`{"from": "mem", "to": "disk"}`, "", ""},
	} {
		_, err := m.worker.Request(t.Context(), []byte(c.args))
		if protocol.KindOf(err) != c.kind || err != nil && !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := m.db.CancelJob(t.Context(), meta.AnyOwner, running)
	must(t, err)
	if _, err := m.worker.Request(t.Context(), []byte(`{"from": "mem", "to": "other"}`)); protocol.KindOf(err) != protocol.KindStoreUnavailable {
		t.Errorf("a target that is not ours: %v", err)
	}
	closed, err := m.db.ClosedStores(t.Context())
	if err != nil || len(closed) > 0 {
		t.Errorf("closed are %v, %v", closed, err)
	}
	// Two that were asked for at once: the later one is dead.
	first := m.ask("disk", "mem")
	second, _, err := m.db.Enqueue(t.Context(), meta.NewJob{Kind: protocol.JobMigrate, Subject: "mem>disk", Args: []byte(`{"from": "mem", "to": "disk", "rate": 0}`)})
	must(t, err)
	m.begin(ann, "open", noise(1, 5<<20)) // the first waits
	m.waits(m.goOn(first), "waits for 1 open uploads")
	if j := m.jobOf(second); j.State != protocol.JobDead || !strings.Contains(j.Error, "it goes first") {
		t.Errorf("the second is %s: %s", j.State, j.Error)
	}
	delete(m.stores, "other")
	must(t, other.Close())
	m.end()
}
