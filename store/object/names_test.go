package object_test

import (
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

func TestNames(t *testing.T) {
	const key = "00000001/0123456789abcdef0123456789abcdef"
	for _, c := range []struct{ given, prefix string }{{"", ""}, {"a", "a/"}, {"a/", "a/"}, {"20260101/x.y", "20260101/x.y/"}} {
		n, err := object.NewNames(c.given)
		if err != nil || n.Prefix() != c.prefix {
			t.Fatalf("prefix %q: %q, %v", c.given, n.Prefix(), err)
		}
		name := n.Object(key)
		if name != c.prefix+key {
			t.Errorf("prefix %q: %s is called %q", c.given, key, name)
		}
		if k, ok := n.Key(name); !ok || k != key {
			t.Errorf("prefix %q: %q is %q, %t", c.given, name, k, ok)
		}
		if got := n.Object(store.ForeignKey("photos/cat 1.jpg")); got != "photos/cat 1.jpg" {
			t.Errorf("prefix %q: a foreign object is called %q", c.given, got)
		}
		for name, ours := range map[string]bool{
			c.prefix + key: true, n.Mark(): true, c.prefix + "other": false, c.prefix + key + "0": false,
			c.prefix + "@" + key: false, "b/" + key: false, "": false, strings.ToUpper(c.prefix + key): false,
		} {
			if n.Ours(name) != ours {
				t.Errorf("prefix %q: %q ours: %t", c.given, name, !ours)
			}
		}
		if store.Key(strings.TrimPrefix(n.Mark(), c.prefix)).Valid() {
			t.Errorf("the mark %q could be an object", n.Mark())
		}
	}
}

func TestPrefixesThatAreRefused(t *testing.T) {
	for _, p := range []string{
		"/", "/a", "a//b", "a//", ".", "..", "a/../b", "a b", "ä", "a\x00", "a?b", "a+b", "@a", "OSPD-STORE", "a/OSPD-STORE/b", strings.Repeat("a", 513),
	} {
		if n, err := object.NewNames(p); err == nil {
			t.Errorf("prefix %q passes as %q", p, n.Prefix())
		}
	}
}

func TestPrefixesThatNest(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"", "", true}, {"", "a", true}, {"a", "a/", true}, {"a", "a/b", true}, {"a", "ab", false}, {"a/b", "a/c", false}} {
		a, aerr := object.NewNames(c.a)
		b, berr := object.NewNames(c.b)
		if aerr != nil || berr != nil || object.Nest(a, b) != c.want || object.Nest(b, a) != c.want {
			t.Errorf("%q and %q nest: want %t", c.a, c.b, c.want)
		}
	}
}
