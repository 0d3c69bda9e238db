package local_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/local/record"
)

// model is a store, and what it must hold whatever happens.
type model struct {
	rec  *record.FS
	b    *local.Backend
	must map[store.Key][]byte
	keys []store.Key // all there were, in order

	key     store.Key      // of the open assembly
	open    store.Assembly // nil: none
	written []byte         // what was written into it
}

// TestModel runs random histories with power cuts in them against a map.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{rec: record.New(), must: map[store.Key][]byte{}}
		m.start(t)
		t.Repeat(map[string]func(*rapid.T){
			"":         m.check,
			"put":      m.put,
			"short":    m.putShort,
			"delete":   m.delete,
			"assemble": m.assemble,
			"write":    m.write,
			"sync":     m.sync,
			"restart":  m.restart,
			"cut":      m.cut,
		})
	})
}

func (m *model) start(t *rapid.T) {
	b, err := local.New(local.Config{FS: m.rec})
	if err != nil {
		t.Fatal(err)
	}
	m.b, m.open = b, nil
}

func (m *model) newKey(t *rapid.T) store.Key {
	key := store.NewKey(store.DirOf(rapid.Uint32Range(0, 2).Draw(t, "directory")))
	m.keys = append(m.keys, key)
	return key
}

func (m *model) data(t *rapid.T) []byte {
	return random(rapid.IntRange(0, 255).Draw(t, "seed"), rapid.IntRange(0, 20_000).Draw(t, "size"))
}

func (m *model) put(t *rapid.T) {
	key, data := m.newKey(t), m.data(t)
	if err := m.b.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatalf("put: %v", err)
	}
	m.must[key] = data
}

func (m *model) putShort(t *rapid.T) {
	data := m.data(t)
	err := m.b.Put(t.Context(), m.newKey(t), bytes.NewReader(data), int64(len(data)+1))
	if !errors.Is(err, store.ErrShort) {
		t.Fatalf("short put: %v", err)
	}
}

func (m *model) delete(t *rapid.T) {
	if len(m.keys) == 0 {
		return
	}
	key := rapid.SampledFrom(m.keys).Draw(t, "key")
	if key == m.key {
		return
	}
	if err := m.b.Delete(t.Context(), key); err != nil {
		t.Fatalf("delete: %v", err)
	}
	delete(m.must, key)
}

func (m *model) assemble(t *rapid.T) {
	if m.open != nil {
		return
	}
	m.key, m.written = m.newKey(t), nil
	a, err := m.b.Assemble(t.Context(), m.key)
	if err != nil {
		t.Fatalf("assemble: %v", err)
	}
	m.open = a
}

func (m *model) write(t *rapid.T) {
	if m.open == nil {
		return
	}
	p := m.data(t)
	if _, err := m.open.WriteAt(p, int64(len(m.written))); err != nil {
		t.Fatalf("write: %v", err)
	}
	m.written = append(m.written, p...)
}

func (m *model) sync(t *rapid.T) {
	if m.open == nil {
		return
	}
	if err := m.open.Sync(t.Context()); err != nil {
		t.Fatalf("sync: %v", err)
	}
	m.must[m.key] = slices.Clone(m.written)
}

func (m *model) restart(t *rapid.T) { m.start(t) }

// cut is a power cut now. The recording then goes on from what was left.
func (m *model) cut(t *rapid.T) {
	v := rapid.SampledFrom(record.Variants()).Draw(t, "variant")
	m.rec = m.rec.CrashAt(m.rec.Len(), v, rapid.Uint64().Draw(t, "seed"))
	m.start(t)
}

// check reads everything that must be there, the beginning of an assembly
// included.
func (m *model) check(t *rapid.T) {
	for key, data := range m.must {
		r, err := m.b.Get(t.Context(), key, 0, int64(len(data)))
		if err != nil {
			t.Fatalf("get %s: %v", key, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("get %s: %d bytes, want %d; %v", key, len(got), len(data), err)
		}
	}
}
