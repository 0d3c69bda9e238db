//go:build !postgres

// What readers cost is the same wherever metadata is.

package file

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"runtime"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

const (
	slowReaders = 1000
	// slowStart is what each reader takes before it stands still.
	slowStart = 128 << 10
	// perReader bounds what one costs: what is read at once, what is held back, and
	// what is remembered of it.
	perReader = storeReadSize + holdBack + 32<<10
	// sameMemory is what two measures may differ in that are the same.
	sameMemory = 16 << 20
)

// standing takes what it is given, and stands still after a while until it may go
// on.
type standing struct {
	taken   int
	started func()
	goOn    <-chan struct{}
	// sum is of what came, where somebody looks at it.
	sum hash.Hash
}

func (s *standing) Write(p []byte) (int, error) {
	before := s.taken
	s.taken += len(p)
	if s.sum != nil {
		s.sum.Write(p)
	}
	if before < slowStart && s.taken >= slowStart {
		s.started()
		<-s.goOn
	}
	return len(p), nil
}

// TestSlowReadersOfAnObjectStore: a thousand downloads from a store that is not
// files, all of which stand still in the middle, keep none of them from having
// begun; and what they cost depends on how many they are, not on how large the
// File is.
func TestSlowReadersOfAnObjectStore(t *testing.T) {
	small, large := slowCost(t, protocol.BlockSize), slowCost(t, 8*protocol.BlockSize)
	t.Logf("with Files of 4 MiB: %.1f MB, of 32 MiB: %.1f MB", float64(small)/1e6, float64(large)/1e6)
	for _, cost := range []int64{small, large} {
		if most := int64(slowReaders*perReader + aheadBudget); cost > most {
			t.Errorf("they took %d bytes, more than %d", cost, most)
		}
	}
	// Reading ahead has its budget whatever is read.
	if large > small+aheadBudget+sameMemory {
		t.Errorf("they took %d bytes for Files of 4 MiB and %d for Files of 32 MiB", small, large)
	}
}

// slowCost is what the readers of one File take while all of them stand still.
func slowCost(t *testing.T, size int64) int64 {
	t.Helper()
	b := newBench(t, "mem", VerifyFirst)
	data := noise(int(size))
	uid, want := b.put(data), sha256.Sum256(data)
	before := inUse()
	goOn := make(chan struct{})
	errs := make([]error, slowReaders)
	var started, ended sync.WaitGroup
	started.Add(slowReaders)
	for i := range errs {
		ended.Go(func() {
			s := &standing{goOn: goOn}
			all := i%100 == 0
			if all {
				s.sum = sha256.New()
			}
			s.started = sync.OnceFunc(started.Done)
			defer s.started() // also where it failed before
			errs[i] = b.slowRead(uid, s, all, want)
		})
	}
	started.Wait()
	cost := inUse() - before
	close(goOn)
	ended.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("reader %d: %v", i, err)
		}
	}
	return cost
}

// slowRead reads the File to its end, or, but for some, no further than where it
// stood still: that costs the test less.
func (b *bench) slowRead(uid protocol.UID, s *standing, all bool, want [sha256.Size]byte) error {
	ctx := b.t.Context()
	c, err := b.svc.Open(ctx, owner, uid)
	if err != nil {
		return err
	}
	defer c.Close()
	n := c.Size()
	if !all {
		n = min(n, protocol.BlockSize)
	}
	if err := c.WriteRange(ctx, s, 0, n); err != nil {
		return err
	}
	if int64(s.taken) != n || all && [sha256.Size]byte(s.sum.Sum(nil)) != want {
		return fmt.Errorf("%d bytes of %d came, or others", s.taken, n)
	}
	return nil
}

// inUse is how many bytes are in use, those that nobody needs left out.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // what pools kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
