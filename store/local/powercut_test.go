package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/local/record"
)

// promise is something that was acknowledged when the log had k operations,
// and how to see whether it still holds.
type promise struct {
	k    int
	what string
	kept func(*local.Backend) error
}

// trace is a backend on a recording, and what it promised.
type trace struct {
	*local.Backend
	t   testing.TB
	rec *record.FS

	mu       sync.Mutex
	promises []promise
}

func newTrace(t testing.TB, rec *record.FS) *trace {
	return &trace{Backend: open(t, local.Config{FS: rec}), t: t, rec: rec}
}

// promised notes what has just been acknowledged.
func (tr *trace) promised(what string, kept func(*local.Backend) error) {
	k := tr.rec.Len()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.promises = append(tr.promises, promise{k, what, kept})
}

func (tr *trace) put(key store.Key, data []byte) {
	if err := tr.Put(tr.t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		tr.t.Errorf("put: %v", err)
		return
	}
	tr.promised("put "+string(key), holds(key, 0, data))
}

// holds checks that key has data at off.
func holds(key store.Key, off int64, data []byte) func(*local.Backend) error {
	return func(b *local.Backend) error {
		r, err := b.Get(context.Background(), key, off, int64(len(data)))
		if err != nil {
			return err
		}
		got, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, data) {
			return errors.New("other bytes")
		}
		return r.Close()
	}
}

// losses cuts the power at every point of the recording, in every way, and
// yields the promises that do not hold.
func (tr *trace) losses() iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range tr.rec.Len() + 1 {
			for _, v := range record.Variants() {
				for seed := range uint64(4) {
					if seed > 0 && v != record.Torn {
						break
					}
					for _, loss := range tr.lossesAt(k, v, seed) {
						if !yield(loss) {
							return
						}
					}
				}
			}
		}
	}
}

func (tr *trace) lossesAt(k int, v record.Variant, seed uint64) (found []string) {
	fs := tr.rec.CrashAt(k, v, seed)
	b := open(tr.t, local.Config{FS: fs})
	for _, p := range tr.promises {
		if p.k > k {
			continue
		}
		if err := p.kept(b); err != nil {
			found = append(found, fmt.Sprintf("power cut after %d operations (%v, seed %d): %s: %v", k, v, seed, p.what, err))
		}
	}
	// Whatever a crash left, the store works.
	next := &trace{Backend: b, t: tr.t, rec: fs}
	next.put(store.NewKey("00000001"), []byte("after the crash"))
	return found
}

// scenarios are runs of which every sync is needed.
var scenarios = map[string]func(*trace){
	"put": func(tr *trace) {
		for i, dir := range []store.Dir{"00000001", "00000001", "00000002"} {
			tr.put(store.NewKey(dir), random(i, 150_000*i+5000))
		}
	},
	"assembly": func(tr *trace) {
		key := store.NewKey("00000001")
		data := random(9, 900_000)
		a, err := tr.Assemble(tr.t.Context(), key)
		if err != nil {
			tr.t.Fatal(err)
		}
		for _, off := range []int64{600_000, 0, 300_000} {
			part := data[off : off+300_000]
			for i := 0; i < len(part); i += 100_000 {
				if _, err := a.WriteAt(part[i:i+100_000], off+int64(i)); err != nil {
					tr.t.Error(err)
				}
			}
			if err := a.Sync(tr.t.Context()); err != nil {
				tr.t.Error(err)
			}
			tr.promised(fmt.Sprint("sync of the part at ", off), holds(key, off, part))
		}
		if err := a.Close(); err != nil {
			tr.t.Error(err)
		}
	},
	"mark": func(tr *trace) {
		if err := tr.SetMark(tr.t.Context(), "me"); err != nil {
			tr.t.Error(err)
		}
		tr.promised("mark", func(b *local.Backend) error {
			if id, err := b.Mark(context.Background()); err != nil || id != "me" {
				return fmt.Errorf("mark %q: %w", id, err)
			}
			return nil
		})
	},
	"directory made ahead": func(tr *trace) {
		if err := tr.MakeDir(tr.t.Context(), "00000007"); err != nil {
			tr.t.Error(err)
		}
		tr.put(store.NewKey("00000007"), random(1, 10_000))
	},
	"directory left by a process that died": func(tr *trace) {
		if err := tr.rec.Mkdir("00000007"); err != nil {
			tr.t.Error(err)
		}
		tr.put(store.NewKey("00000007"), random(1, 10_000))
	},
}

func random(seed, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(p)
	return p
}

func TestPowerCut(t *testing.T) {
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			tr := newTrace(t, record.New())
			scenario(tr)
			if len(tr.promises) == 0 {
				t.Fatal("nothing was promised")
			}
			for loss := range tr.losses() {
				t.Error(loss)
			}
		})
	}
}

// TestPowerCutNoticesEachSync is the negative control: with any one sync left
// out, the test above must fail.
func TestPowerCutNoticesEachSync(t *testing.T) {
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			whole := newTrace(t, record.New())
			scenario(whole)
			kinds := map[record.Kind]int{}
			for _, op := range whole.rec.Log() {
				kinds[op.Kind]++
			}
			if kinds[record.SyncFile]+kinds[record.SyncDir] < 2 {
				t.Fatalf("too few syncs to leave out: %v", kinds)
			}
			for _, kind := range []record.Kind{record.SyncFile, record.SyncDir} {
				for n := range kinds[kind] {
					tr := newTrace(t, record.New())
					tr.rec.DropSyncs(nth(kind, n+1))
					scenario(tr)
					noticed := false
					for range tr.losses() {
						noticed = true
						break
					}
					if !noticed {
						t.Errorf("%s number %d may be left out and nothing is lost", kind, n+1)
					}
				}
			}
		})
	}
}

// nth matches the nth operation of a kind.
func nth(kind record.Kind, n int) func(record.Op) bool {
	fault := record.Nth(kind, n, errors.New("this one"))
	return func(op record.Op) bool { return fault(op) != nil }
}

// TestPowerCutConcurrent: shared syncs cover all that share them.
func TestPowerCutConcurrent(t *testing.T) {
	tr := newTrace(t, record.New())
	ctx := t.Context()
	blob := store.NewKey("00000001")
	a, err := tr.Assemble(ctx, blob)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			tr.put(store.NewKey(store.DirOf(uint32(i%2+1))), random(i, 5000))
			part := random(i, 5000)
			if _, err := a.WriteAt(part, int64(i*5000)); err != nil {
				t.Error(err)
			}
			if err := a.Sync(ctx); err != nil {
				t.Error(err)
			}
			tr.promised(fmt.Sprint("part ", i), holds(blob, int64(i*5000), part))
		})
	}
	wg.Wait()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	for loss := range tr.losses() {
		t.Error(loss)
	}
}

// TestMarkIsWholeOrAbsent: a power cut while the store is marked leaves no
// damaged mark.
func TestMarkIsWholeOrAbsent(t *testing.T) {
	tr := newTrace(t, record.New())
	scenarios["mark"](tr)
	for k := range tr.rec.Len() + 1 {
		for _, v := range record.Variants() {
			b := open(t, local.Config{FS: tr.rec.CrashAt(k, v, 1)})
			id, err := b.Mark(t.Context())
			if id != "me" && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("after %d operations (%v): %q, %v", k, v, id, err)
			}
			for name := range b.Strays(t.Context()) {
				t.Errorf("after %d operations (%v): stray %s", k, v, name)
			}
		}
	}
}
