package front

import (
	"bytes"
	"fmt"
	"hash/crc64"
	"io"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

func TestSpool(t *testing.T) {
	f := &Front{Config: Config{Spool: t.TempDir()}}
	for _, n := range []int{0, 1, inMemory - 1, inMemory, inMemory + 1, 3 * inMemory} {
		data := bytes.Repeat([]byte("0123456789a"), n/11+1)[:n]
		s, err := f.spool(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := io.ReadAll(s.reader()); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: read %d, %v", n, len(got), err)
			}
		}
		if s.size != int64(n) || s.sum != crc64.Checksum(data, ecma) {
			t.Errorf("%d bytes: size %d, sum %x", n, s.size, s.sum)
		}
		if err := s.drop(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(f.Spool); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestListingOfMinIO: what MinIO refuses is asked for in another way.
func TestListingOfMinIO(t *testing.T) {
	for _, c := range []struct{ prefix, marker, want string }{
		{"", "", "marker=&prefix="},
		{"a/", "", "prefix=a%2F"},
		{"a/", "a/b", "marker=a%2Fb&prefix=a%2F"},
		{"b/", "a/b", "prefix=b%2F"},          // begins before all of them
		{"a/", "b", "max-keys=0&prefix=a%2F"}, // and behind
		{"a//", "", "max-keys=0&prefix="},     // there are none
		{"..", "", "max-keys=0&prefix="},      // nor of these
		{"a/", "a", "prefix=a%2F"},            // a comes before a/
		{"a", "a/b", "marker=a%2Fb&prefix=a"},
		{"a/b", "a/a", "prefix=a%2Fb"},
		{"a/b", "a/c", "max-keys=0&prefix=a%2Fb"},
		{"a/b", "a/bb", "marker=a%2Fbb&prefix=a%2Fb"},
		{"/", "", "max-keys=0&prefix="},
		{"a/./b", "", "max-keys=0&prefix="},
		{"a.b/..c/d.", "", "prefix=a.b%2F..c%2Fd."}, // dots alone are odd
		{"a/b/", "a/b/c", "marker=a%2Fb%2Fc&prefix=a%2Fb%2F"},
		{"a/b/", "a/b0", "max-keys=0&prefix=a%2Fb%2F"},
		{"a/b/", "a/b-", "prefix=a%2Fb%2F"},
		{"a/b/", "\u00e9", "max-keys=0&prefix=a%2Fb%2F"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		q := r.URL.Query()
		q.Set("prefix", c.prefix)
		q.Set("marker", c.marker)
		r.URL.RawQuery = q.Encode()
		if got := listing(&call{Request: r}).Encode(); got != c.want {
			t.Errorf("prefix %q after %q: asks for %s, want %s", c.prefix, c.marker, got, c.want)
		}
	}
}

func TestUploadsAreListedInOrder(t *testing.T) {
	u := uploads{open: map[string]*upload{}}
	for i, key := range []string{"b", "a", "c", "a", "ab"} {
		u.add(fmt.Sprint("id", i), key, time.Time{})
	}
	ids := func(list []*upload) (all string) {
		for _, up := range list {
			all += " " + up.id
		}
		return all
	}
	for _, c := range []struct{ prefix, key, id, want string }{
		{"", "", "", " id1 id3 id4 id0 id2"},
		{"a", "", "", " id1 id3 id4"},
		{"", "a", "", " id4 id0 id2"},
		{"", "a", "id1", " id3 id4 id0 id2"},
		{"a", "ab", "id4", ""},
	} {
		if got := ids(u.after(c.prefix, c.key, c.id)); got != c.want {
			t.Errorf("%q after %q, %q: %s, want %s", c.prefix, c.key, c.id, got, c.want)
		}
	}
	if err := u.remove("id3"); err != nil || u.has("id3") || !u.has("id1") {
		t.Errorf("remove: %v", err)
	}
}
