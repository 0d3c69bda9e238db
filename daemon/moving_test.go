package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/digest"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/migrate"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// moving is a world with a second store and migrations between the two.
type moving struct {
	*world
	worker *migrate.Worker
	// flipping runs before each flip.
	flipping func()
	// listing is told after which blob each page of the source begins.
	listing func(ctx context.Context, after meta.BlobID)
	target  *hookedStore
	// slept is how long migrations were made to wait, by a clock that stands
	// still.
	slept atomic.Int64
	// counted is how often the source was counted for them.
	counted atomic.Int64
	// log is what they said, to be read while none runs.
	log bytes.Buffer
}

// hookedStore is a store in memory that does what a test wants before it puts
// and gives.
type hookedStore struct {
	*mem.Backend
	putting func(key store.Key) error
	giving  func(b []byte) []byte
}

func (h *hookedStore) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	if h.putting != nil {
		if err := h.putting(key); err != nil {
			return err
		}
	}
	return h.Backend.Put(ctx, key, r, size)
}

func (h *hookedStore) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	rc, err := h.Backend.Get(ctx, key, off, n)
	if err != nil || h.giving == nil {
		return rc, err
	}
	b, err := io.ReadAll(rc)
	return io.NopCloser(bytes.NewReader(h.giving(b))), errors.Join(err, rc.Close())
}

// hookedRecords are those of a migration, with the test's own before flips.
type hookedRecords struct {
	*meta.DB
	m *moving
}

func (h hookedRecords) MoveExtents(ctx context.Context, mv meta.Move) error {
	run(h.m.flipping)
	return h.DB.MoveExtents(ctx, mv)
}

func (h hookedRecords) StoredBlobs(ctx context.Context, st string, after meta.BlobID, limit int) ([]meta.Stored, error) {
	if h.m.listing != nil {
		h.m.listing(ctx, after)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return h.DB.StoredBlobs(ctx, st, after, limit)
}

func (h hookedRecords) CountStore(ctx context.Context, st string) (meta.StoreCount, error) {
	h.m.counted.Add(1)
	return h.DB.CountStore(ctx, st)
}

func newMoving(t *testing.T) *moving {
	t.Helper()
	m := &moving{world: newWorld(t, setup{}), target: &hookedStore{Backend: mem.New()}}
	st := store.New("mem", m.target, store.Options{})
	id, err := m.db.ServerID(t.Context())
	must(t, err)
	must(t, st.Claim(t.Context(), id, false))
	must(t, m.db.RememberStore(t.Context(), "mem"))
	m.stores["mem"] = st
	var ticks atomic.Int64
	m.worker = migrate.New(migrate.Config{
		Meta: hookedRecords{m.db, m}, Read: m.files, Place: m.place, Stores: m.stores, Digest: func(string) meta.NewJob { return digest.Job() }, ObjectMax: 2 * protocol.BlockSize,
		Pace: func(rate int64) *pace.Pace {
			return pace.New(pace.Config{Rate: rate, Now: m.clocks.Now, Sleep: func(ctx context.Context, d time.Duration) error {
				m.slept.Add(int64(d))
				return ctx.Err()
			}})
		},
		Reach:  func(ctx context.Context, st *store.Store) error { return st.Claim(ctx, id, true) },
		Now:    func() time.Time { return time.UnixMilli(ticks.Add(3000)) },
		Logger: slog.New(slog.NewTextHandler(&m.log, nil)),
	})
	return m
}

func (m *moving) handler() job.Handler {
	return job.Handler{Kind: protocol.JobMigrate, Do: job.With(m.worker.Do)}
}

// ask makes the job.
func (m *moving) ask(from, to string) protocol.JobID {
	m.t.Helper()
	n, err := m.worker.Request(m.t.Context(), fmt.Appendf(nil, `{"from": %q, "to": %q}`, from, to))
	must(m.t, err)
	id, _, err := m.db.Enqueue(m.t.Context(), n)
	must(m.t, err)
	return id
}

// goOn runs the job until it waits or has ended.
func (m *moving) goOn(id protocol.JobID) meta.Job {
	m.t.Helper()
	m.clocks.pass(time.Hour)
	m.runDue(m.t.Context(), m.handler())
	return m.jobOf(id)
}

// moves migrates, and expects the job to be done with a summary that begins so.
func (m *moving) moves(from, to, summary string) {
	m.t.Helper()
	m.ended(m.goOn(m.ask(from, to)), summary)
}

func (m *moving) ended(j meta.Job, summary string) {
	m.t.Helper()
	if j.State != protocol.JobDone || j.Progress == nil || !strings.HasPrefix(j.Progress.Note, summary) || j.Progress.Done != *j.Progress.Total {
		m.t.Fatalf("the job is %s (%s) at %+v, want %q", j.State, j.Error, j.Progress, summary)
	}
}

// waits expects a job that waits, and says so.
func (m *moving) waits(j meta.Job, note string) {
	m.t.Helper()
	if j.State != protocol.JobReady || j.Attempts != 0 || j.Progress == nil || !strings.Contains(j.Progress.Note, note) {
		m.t.Fatalf("the job is %s (%s) after %d attempts at %+v, want %q", j.State, j.Error, j.Attempts, j.Progress, note)
	}
}

// lies expects all blobs in use to be in one store.
func (m *moving) lies(in string, blobs int64) {
	m.t.Helper()
	m.round()
	for name := range m.stores {
		n, err := m.db.CountStore(m.t.Context(), name)
		must(m.t, err)
		want := int64(0)
		if name == in {
			want = blobs
		}
		if n.Blobs != want {
			m.t.Errorf("%d blobs lie in %s, want %d", n.Blobs, name, want)
		}
	}
	m.sound()
}
