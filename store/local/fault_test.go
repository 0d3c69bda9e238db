package local_test

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/local/record"
)

// TestPutFailsWhole fails a put at each of its operations in turn: nothing is
// visible after, and the key can be put again.
func TestPutFailsWhole(t *testing.T) {
	data := random(1, 300_000)
	whole := newTrace(t, record.New())
	whole.put(store.NewKey("00000001"), data)
	for at := range whole.rec.Len() {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT} {
			rec := record.New()
			tr := newTrace(t, rec)
			key := store.NewKey("00000001")
			rec.Inject(once(at, cause))
			err := tr.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)))
			if !errors.Is(err, cause) || errors.Is(err, store.ErrFull) != (cause != syscall.EIO) {
				t.Errorf("operation %d (%s) fails with %v: put: %v", at, whole.rec.Log()[at].Kind, cause, err)
			}
			if _, err := tr.Stat(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("operation %d failed with %v and the object is visible: %v", at, cause, err)
			}
			tr.put(key, data)
			for loss := range tr.losses() {
				t.Errorf("operation %d failed with %v; put again: %s", at, cause, loss)
			}
		}
	}
}

// once fails the operation with the given number, from 0.
func once(at int, err error) func(record.Op) error {
	seen := -1
	return func(record.Op) error {
		if seen++; seen == at {
			return err
		}
		return nil
	}
}

func TestPutSaysWhatItCouldNotRemove(t *testing.T) {
	rec := record.New()
	b := open(t, local.Config{FS: rec})
	rec.Inject(func(op record.Op) error {
		if op.Kind == record.Remove || op.Kind == record.SyncFile {
			return syscall.EIO
		}
		return nil
	})
	err := b.Put(t.Context(), store.NewKey("00000001"), bytes.NewReader([]byte("x")), 1)
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("could not be removed")) {
		t.Errorf("put: %v", err)
	}
}

// TestFailedSyncIsFinal: after a failed sync of either kind the assembly is
// lost for good, although the next sync of the system would succeed.
func TestFailedSyncIsFinal(t *testing.T) {
	for _, kind := range []record.Kind{record.SyncFile, record.SyncDir} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			rec := record.New()
			b := open(t, local.Config{FS: rec})
			ctx := t.Context()
			a, err := b.Assemble(ctx, store.NewKey("00000001"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.WriteAt([]byte("abc"), 0); err != nil {
				t.Fatal(err)
			}
			rec.Inject(record.Nth(kind, 1, cause))
			err = a.Sync(ctx)
			if !errors.Is(err, store.ErrLost) || !errors.Is(err, cause) || errors.Is(err, store.ErrFull) != (cause == syscall.ENOSPC) {
				t.Errorf("%s fails with %v: sync: %v", kind, cause, err)
			}
			before := rec.Len()
			for range 2 {
				if err := a.Sync(ctx); !errors.Is(err, store.ErrLost) || !errors.Is(err, cause) {
					t.Errorf("later sync: %v", err)
				}
				if _, err := a.WriteAt([]byte("def"), 3); !errors.Is(err, store.ErrLost) {
					t.Errorf("later write: %v", err)
				}
			}
			if n := rec.Len() - before; n > 0 {
				t.Errorf("a lost assembly did %d more operations", n)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestFailedDirSyncReachesOthers: a sync of a directory that fails for one
// writer may have dropped the name another had made before.
func TestFailedDirSyncReachesOthers(t *testing.T) {
	rec := record.New()
	b := open(t, local.Config{FS: rec})
	ctx := t.Context()
	mine := store.NewKey("00000001")
	a, err := b.Assemble(ctx, mine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.WriteAt([]byte("abc"), 0); err != nil {
		t.Fatal(err)
	}
	rec.Inject(record.Nth(record.SyncDir, 1, syscall.EIO))
	if err := b.Put(ctx, store.NewKey("00000001"), bytes.NewReader(nil), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("put: %v", err)
	}
	if err := a.Sync(ctx); !errors.Is(err, store.ErrLost) {
		left := open(t, local.Config{FS: rec.CrashAt(rec.Len(), record.Lost, 0)})
		_, statErr := left.Stat(ctx, mine)
		t.Errorf("sync: %v; after a power cut: %v", err, statErr)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// TestFailedMarkIsNoMark: a mark that is not durable is not there.
func TestFailedMarkIsNoMark(t *testing.T) {
	whole := newTrace(t, record.New())
	scenarios["mark"](whole)
	for at := range whole.rec.Len() {
		rec := record.New()
		b := open(t, local.Config{FS: rec})
		rec.Inject(once(at, syscall.ENOSPC))
		op := whole.rec.Log()[at].Kind
		err := b.SetMark(t.Context(), "me")
		if !errors.Is(err, store.ErrFull) {
			t.Errorf("%s fails: set mark: %v", op, err)
		}
		if _, err := b.Mark(t.Context()); op != record.Remove && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s failed: mark: %v", op, err)
		}
	}
}

// TestFullDisk: a full disk refuses, loses nothing, and recovers when there is
// room again, without a restart.
func TestFullDisk(t *testing.T) {
	rec := record.New()
	b := open(t, local.Config{FS: rec})
	ctx := t.Context()
	rec.SetRoom(1_000_000)

	big := store.NewKey("00000001")
	put := func() error { return b.Put(ctx, big, bytes.NewReader(random(1, 900_000)), 900_000) }
	a, err := b.Assemble(ctx, store.NewKey("00000001"))
	if err != nil {
		t.Fatal(err)
	}
	part := random(2, 300_000)
	if _, err := a.WriteAt(part, 0); err != nil {
		t.Fatal(err)
	}
	if err := put(); !errors.Is(err, store.ErrFull) {
		t.Errorf("put on a full disk: %v", err)
	}
	if free, err := b.Free(ctx); err != nil || free != 700_000 {
		t.Errorf("a failed put left %d bytes free (%v), want 700000", free, err)
	}
	if _, err := a.WriteAt(random(3, 800_000), 300_000); !errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrLost) {
		t.Errorf("write on a full disk: %v", err)
	}
	if err := a.Sync(ctx); err != nil {
		t.Errorf("sync after a write that failed: %v", err)
	}

	rec.SetRoom(10_000_000)
	if err := put(); err != nil {
		t.Errorf("put when there is room again: %v", err)
	}
	if _, err := a.WriteAt(random(3, 800_000), 300_000); err != nil {
		t.Errorf("write when there is room again: %v", err)
	}
	got := make([]byte, len(part))
	if _, err := a.ReadAt(got, 0); err != nil || !bytes.Equal(got, part) {
		t.Errorf("the part written before: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
