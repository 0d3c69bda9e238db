package placing_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/placing"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// numbers gives out directories, or fails.
type numbers struct {
	next uint32
	fail error
}

func (n *numbers) ReserveDir(context.Context, string) (uint32, error) {
	if n.fail != nil {
		return 0, n.fail
	}
	n.next++
	return n.next - 1, nil
}

func (n *numbers) ClosedStores(context.Context) (map[string]string, error) {
	return map[string]string{"a": "x"}, n.fail
}

// dirs is a backend that wants its directories made.
type dirs struct {
	*mem.Backend
	made []store.Dir
	fail error
}

func (d *dirs) MakeDir(_ context.Context, dir store.Dir) error {
	if d.fail == nil {
		d.made = append(d.made, dir)
	}
	return d.fail
}

func stores(names ...string) map[string]*store.Store {
	all := map[string]*store.Store{}
	for _, name := range names {
		all[name] = store.New(name, mem.New(), store.Options{})
	}
	return all
}

func TestStore(t *testing.T) {
	for name, c := range map[string]struct {
		closed map[string]string
		want   string
	}{
		"none is closed":           {nil, "a"},
		"it is closed":             {map[string]string{"a": "b"}, "b"},
		"and so is the other":      {map[string]string{"a": "b", "b": "c"}, "c"},
		"another is closed":        {map[string]string{"b": "c"}, "a"},
		"through one that is gone": {map[string]string{"a": "x", "x": "c"}, "c"},
		"all are":                  {map[string]string{"a": "b", "b": "c", "c": "a"}, ""},
		"one is for itself":        {map[string]string{"a": "a"}, ""},
		"the other is gone":        {map[string]string{"a": "x"}, ""},
	} {
		p := placing.New(&numbers{}, stores("a", "b", "c"), "a")
		p.Close(map[string]string{"a": "c"})
		p.Close(c.closed)
		got := ""
		if st := p.Store(); st != nil {
			got = st.Name()
		}
		if got != c.want {
			t.Errorf("%s: new blobs go to %q, not %q", name, got, c.want)
		}
	}
}

func TestDirectoriesAreFilledInTurn(t *testing.T) {
	b := &dirs{Backend: mem.New()}
	all := map[string]*store.Store{"a": store.New("a", b, store.Options{}), "b": store.New("b", &dirs{Backend: mem.New()}, store.Options{})}
	n := &numbers{}
	p := placing.New(n, all, "a")
	key := func(name string) store.Key {
		t.Helper()
		k, err := p.Key(t.Context(), all[name])
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for range 4096 {
		if k := key("a"); k.Dir() != store.DirOf(0) {
			t.Fatal(k)
		}
	}
	if k := key("b"); k.Dir() != store.DirOf(1) {
		t.Errorf("another store's directory is %s", k.Dir())
	}
	if k := key("a"); k.Dir() != store.DirOf(2) || len(b.made) != 2 {
		t.Errorf("the next directory is %s, made were %v", k.Dir(), b.made)
	}
}

// No two objects put in a row lie side by side in an object store, and nothing
// is reserved for them.
func TestKeysOfAnObjectStoreAreSpread(t *testing.T) {
	all := stores("a")
	n := &numbers{fail: errors.New("nothing is to be reserved")}
	p := placing.New(n, all, "a")
	dirs := map[store.Dir]bool{}
	for range 64 {
		k, err := p.Key(t.Context(), all["a"])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(k.Dir()), "00000") {
			t.Errorf("directory %s is none of 4,096", k.Dir())
		}
		dirs[k.Dir()] = true
	}
	if len(dirs) < 50 {
		t.Errorf("64 keys have %d directories", len(dirs))
	}
}

func TestADirectoryThatCannotBeMadeIsTriedAgain(t *testing.T) {
	b := &dirs{Backend: mem.New(), fail: errors.New("no")}
	all := map[string]*store.Store{"a": store.New("a", b, store.Options{})}
	n := &numbers{}
	p := placing.New(n, all, "a")
	for range 3 {
		if _, err := p.Key(t.Context(), all["a"]); !errors.Is(err, b.fail) {
			t.Fatal(err)
		}
	}
	b.fail = nil
	if k, err := p.Key(t.Context(), all["a"]); err != nil || k.Dir() != store.DirOf(0) || n.next != 1 {
		t.Error(k, err, n.next)
	}
	n.fail = errors.New("no database")
	p = placing.New(n, all, "a")
	if _, err := p.Key(t.Context(), all["a"]); !errors.Is(err, n.fail) {
		t.Error(err)
	}
}

// TestLoad: a store that is to take new blobs and is not configured is nobody.
func TestLoad(t *testing.T) {
	n := &numbers{}
	p := placing.New(n, stores("a", "b"), "a")
	if err := p.Load(t.Context()); err != nil || p.Store() != nil {
		t.Errorf("%v, new blobs go to %v", err, p.Store())
	}
	n.fail = errors.New("away")
	if err := p.Load(t.Context()); !errors.Is(err, n.fail) || p.Store() != nil {
		t.Errorf("%v", err)
	}
}
