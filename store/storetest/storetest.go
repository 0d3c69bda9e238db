// Package storetest is the definition of a store.Backend, line by line. It
// does not import testing, so that an operator's command can run it against a
// real folder or bucket; package gotest runs it under go test.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/osproxy/osproxy/store"
)

// T is what the suite needs of its runner; *testing.T has the same methods but
// for Run.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // does not return
	Context() context.Context
	Cleanup(func())
	Run(name string, f func(T)) bool
}

// Open gives a case its backend: empty, unmarked and usable. The case closes
// it.
type Open func(T) store.Backend

// Run checks every line of the contract. Capabilities are checked where the
// backend has them.
func Run(t T, open Open) {
	for _, c := range []struct {
		name string
		run  func(T, store.Backend)
	}{
		{"put keeps bytes", putKeepsBytes},
		{"put of a wrong length", putWrongLength},
		{"put with a failing reader", putFailingReader},
		{"put cancelled midway", putCancelled},
		{"put of an existing key", putExisting},
		{"put races for one key", putRaces},
		{"put after a failed put", putAfterFailure},
		{"ranges", ranges},
		{"get of nothing", getMissing},
		{"read while deleting", readWhileDeleting},
		{"delete", deleteIsIdempotent},
		{"stat", statDescribes},
		{"list in order", listInOrder},
		{"list after a key", listAfter},
		{"list by prefix", listPrefix},
		{"list of many", listMany},
		{"list stops early", listStops},
		{"list during inserts", listDuringInserts},
		{"invalid keys", invalidKeys},
		{"ended context", endedContext},
		{"mark", mark},
		{"mark gets a name", markGetsAName},
		{"mark races", markRaces},
		{"mark is no object", markIsNoObject},
	} {
		t.Run(c.name, func(t T) { c.run(t, opened(t, open)) })
	}
	runAssembler(t, open)
	runFileOpener(t, open)
	runDirMaker(t, open)
	runBatchDeleter(t, open)
	runComposer(t, open)
	runBrowser(t, open)
	runChecker(t, open)
}

// opened opens a backend for one case.
func opened(t T, open Open) store.Backend {
	t.Helper()
	b := open(t)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// dir is where most cases put their objects.
const dir store.Dir = "00000001"

// bytesOf gives n bytes that are the same in each run and nowhere periodic.
func bytesOf(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(p)
	return p
}

// put stores data under a new key.
func put(t T, b store.Backend, data []byte) store.Key {
	t.Helper()
	key := store.NewKey(dir)
	putAt(t, b, key, data)
	return key
}

func putAt(t T, b store.Backend, key store.Key, data []byte) {
	t.Helper()
	if err := b.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatalf("put %d bytes: %v", len(data), err)
	}
}

// read reads a range to its end.
func read(ctx context.Context, b store.Backend, key store.Key, off, n int64) ([]byte, error) {
	r, err := b.Get(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// wantBytes checks that key holds data.
func wantBytes(t T, b store.Backend, key store.Key, data []byte) {
	t.Helper()
	got, err := read(t.Context(), b, key, 0, -1)
	if err != nil {
		t.Errorf("get %s: %v", key, err)
	} else if !bytes.Equal(got, data) {
		t.Errorf("get %s: %s", key, difference(got, data))
	}
}

// difference says where two byte strings part.
func difference(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%d bytes, want %d; they differ from byte %d on", len(got), len(want), i)
		}
	}
	return fmt.Sprintf("%d bytes, want %d", len(got), len(want))
}

// wantErr checks what an error means.
func wantErr(t T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want one that is %q", what, got, want)
	}
}

// wantOneOf is wantErr where more than one answer is right.
func wantOneOf(t T, what string, got error, want ...error) {
	t.Helper()
	for _, w := range want {
		if errors.Is(got, w) {
			return
		}
	}
	t.Errorf("%s: error %v, want one that is one of %q", what, got, want)
}

// wantAbsent checks that nothing is visible under key, in any way.
func wantAbsent(t T, b store.Backend, key store.Key) {
	t.Helper()
	_, err := b.Get(t.Context(), key, 0, -1)
	wantErr(t, "get of an absent object", err, store.ErrNotFound)
	_, err = b.Stat(t.Context(), key)
	wantErr(t, "stat of an absent object", err, store.ErrNotFound)
	for _, k := range list(t, b, "", "") {
		if k == key {
			t.Errorf("list yields the absent %s", key)
		}
	}
}

// list lists keys.
func list(t T, b store.Backend, prefix string, after store.Key) []store.Key {
	t.Helper()
	var keys []store.Key
	for info, err := range b.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("list %q after %q: %v", prefix, after, err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}
