package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/osproxy/osproxy/store"
)

// ForeignPutter is a backend, as Open gives it, whose storage the suite may put
// objects into that are not ospd's, past the backend. The cases of foreign
// objects need it. Names are counted as in store.ForeignKey. A name that the
// storage cannot have is store.ErrUnsupported, and left out.
type ForeignPutter interface {
	PutForeign(ctx context.Context, name, mediaType string, data []byte) error
}

func runBrowser(t T, open Open) {
	for _, c := range []struct {
		name string
		run  func(T, browsing)
	}{
		{"browse in order", browseInOrder},
		{"browse by prefix", browsePrefix},
		{"browse many", browseMany},
		{"browse leaves out our own", browseOwn},
		{"browse with an ended context", browseEnded},
		{"foreign objects of odd names", foreignNames},
		{"foreign objects among ours", foreignAmong},
		{"foreign objects that are absent", foreignMissing},
		{"foreign objects that change", foreignChanges},
		{"marks of other stores", foreignMarks},
	} {
		t.Run(c.name, func(t T) {
			b := opened(t, open)
			browser, browses := b.(store.Browser)
			putter, puts := b.(ForeignPutter)
			switch {
			case !browses:
				t.Logf("the backend does not browse")
			case !puts:
				t.Logf("nothing here can put foreign objects")
			default:
				// No directory of keys is called so, which would be ospd's own.
				c.run(t, browsing{b, browser, putter, "t" + string(store.NewKey(""))[1:9]})
			}
		})
	}
	t.Run("foreign objects are not written", func(t T) { foreignUnwritten(t, opened(t, open)) })
}

// browsing is a backend that browses, and a prefix for the names of one case: a
// bucket may hold others.
type browsing struct {
	store.Backend
	store.Browser
	ForeignPutter

	prefix string
}

// putForeign reports whether the storage can have the name.
func putForeign(t T, b browsing, name string, data []byte) bool {
	t.Helper()
	err := b.PutForeign(t.Context(), name, "text/x-test", data)
	if isUnsupported(err) {
		t.Logf("the storage cannot have an object named %q: %v", name, err)
		return false
	}
	if err != nil {
		t.Fatalf("put foreign object %q: %v", name, err)
	}
	t.Cleanup(func() {
		if err := b.Delete(context.WithoutCancel(t.Context()), store.ForeignKey(name)); err != nil {
			t.Errorf("delete foreign object %q: %v", name, err)
		}
	})
	return true
}

// spreadForeign puts plain names, and gives them in order.
func spreadForeign(t T, b browsing, names ...string) []string {
	t.Helper()
	var all []string
	for _, n := range names {
		name := b.prefix + n
		if !putForeign(t, b, name, []byte(name)) {
			t.Fatalf("a storage that cannot have %q", name)
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func browse(t T, b browsing, prefix, after string) []string {
	t.Helper()
	var names []string
	for f, err := range b.Browse(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("browse %q after %q: %v", prefix, after, err)
		}
		names = append(names, f.Name)
	}
	return names
}

func wantNames(t T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d names %q\nwant %d names %q", what, len(got), got, len(want), want)
	}
}

func browseInOrder(t T, b browsing) {
	names := spreadForeign(t, b, "/b.txt", "/a/z", "/a.txt", "/a-b/c/d", "/a0", "/B", "/a/y/x", "-other")
	wantNames(t, "browse", browse(t, b, b.prefix, ""), names)
	for f, err := range b.Browse(t.Context(), b.prefix, "") {
		if err != nil {
			t.Fatalf("browse: %v", err)
		}
		d, err := b.Describe(t.Context(), f.Name)
		if err != nil {
			t.Errorf("describe %q: %v", f.Name, err)
			continue
		}
		if f.Size != int64(len(f.Name)) || f.Tag == "" || f.Time.IsZero() || f.MediaType != "" && f.MediaType != "text/x-test" {
			t.Errorf("browse: %+v", f)
		}
		// A listing may have fractions of seconds that a description lacks.
		if d.Name != f.Name || d.Size != f.Size || d.Tag != f.Tag || d.Time.Sub(f.Time).Abs() >= time.Second {
			t.Errorf("browse: %+v; describe: %+v", f, d)
		}
		if d.MediaType != "" && d.MediaType != "text/x-test" {
			t.Errorf("describe: media type %q", d.MediaType)
		}
	}
	for i, name := range names {
		wantNames(t, fmt.Sprintf("browse after name %d", i), browse(t, b, b.prefix, name), names[i+1:])
	}
	for f, err := range b.Browse(t.Context(), b.prefix, "") {
		if err != nil || f.Name != names[0] {
			t.Errorf("first found: %q, %v, want %q", f.Name, err, names[0])
		}
		break
	}
}

func browsePrefix(t T, b browsing) {
	names := spreadForeign(t, b, "/a", "/ab/1", "/ab/2", "/abc", "/b/1")
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"/a", "", names[:4]},
		{"/ab", "", names[1:4]},
		{"/ab/", "", names[1:3]},
		{"/ab/", "/ab/1", names[2:3]},
		{"/ab/", "/aa", names[1:3]},
		{"/ab/", "/b", nil},
		{"/abc", "", names[3:4]},
		{"/abc", "/abc", nil},
		{"/abcd", "", nil},
		{"/b", "/ab/2", names[4:]},
		{"/", "/ab/1x", names[2:]},
	} {
		after := c.after
		if after != "" {
			after = b.prefix + after
		}
		wantNames(t, fmt.Sprintf("browse %q after %q", c.prefix, c.after), browse(t, b, b.prefix+c.prefix, after), c.want)
	}
}

func browseMany(t T, b browsing) {
	var names []string
	for i := range 1003 {
		names = append(names, fmt.Sprintf("/%d/%d", i%7, i))
	}
	names = spreadForeign(t, b, names...)
	wantNames(t, "browse of more than a page", browse(t, b, b.prefix, ""), names)
	wantNames(t, "browse of the last ones", browse(t, b, b.prefix, names[900]), names[901:])
}

func browseOwn(t T, b browsing) {
	spreadForeign(t, b, "/a", "/z")
	before := browse(t, b, "", "")
	keys := spread(t, b, 2, 3)
	if err := b.SetMark(t.Context(), "one"); err != nil {
		t.Fatalf("set mark: %v", err)
	}
	wantNames(t, "browse beside objects of our own", browse(t, b, "", ""), before)
	wantKeys(t, "list beside foreign objects", list(t, b, "", ""), keys)
}

func browseEnded(t T, b browsing) {
	names := spreadForeign(t, b, "/a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var err error
	for _, err = range b.Browse(ctx, b.prefix, "") {
	}
	wantErr(t, "browse with an ended context", err, context.Canceled)
	_, err = b.Describe(ctx, names[0])
	wantErr(t, "describe with an ended context", err, context.Canceled)
}

// foreignUnwritten holds for every backend, whether it reads foreign objects or
// not.
func foreignUnwritten(t T, b store.Backend) {
	for _, name := range []string{"a", "a/b", "STORE", string(store.NewKey(dir))} {
		key := store.ForeignKey(name)
		wantErr(t, "put under a foreign key", b.Put(t.Context(), key, bytes.NewReader([]byte("x")), 1), store.ErrKey)
		if a, ok := b.(store.Assembler); ok {
			_, err := a.Assemble(t.Context(), key)
			wantErr(t, "assemble under a foreign key", err, store.ErrKey)
		}
		if c, ok := b.(store.Composer); ok {
			_, err := c.BeginCompose(t.Context(), key)
			wantErr(t, "begin compose under a foreign key", err, store.ErrKey)
		}
		if _, ok := b.(store.Browser); !ok {
			_, err := b.Stat(t.Context(), key)
			wantErr(t, "stat of a foreign key", err, store.ErrKey)
		}
	}
	wantKeys(t, "list", list(t, b, "", ""), nil)
}
